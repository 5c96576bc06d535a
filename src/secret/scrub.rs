//! Takes known secrets out of text, by value: as they are, in base64, percent-encoded, escaped for JSON.
//!
//! Knows only the values that were registered with it; it is the last net, not the fence.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

use super::SecretString;

/// Shorter values would take ordinary words out of every text.
const SHORTEST: usize = 6;
/// Secrets that pass (generated passwords, access tokens) are kept this many at a time.
const PASSING: usize = 64;

#[derive(Default)]
struct Known {
    lasting: BTreeMap<String, Vec<Zeroizing<String>>>,
    passing: VecDeque<(String, Vec<Zeroizing<String>>)>,
}

/// The secrets to take out. Cheap to clone; all clones know the same secrets.
#[derive(Clone, Default)]
pub(crate) struct Scrubber(Arc<RwLock<Known>>);

impl Scrubber {
    /// From now on `secret` is taken out of every text; a new value under the same name joins the older.
    pub(crate) fn register(&self, secret: &SecretString) {
        let is_known = |known: &Known| {
            known
                .lasting
                .get(secret.name())
                .is_some_and(|kept| kept.iter().any(|form| form.as_str() == secret.expose()))
        };
        if is_known(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let forms = forms(secret.expose());
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let kept = known.lasting.entry(secret.name().to_owned()).or_default();
        for form in forms {
            if !kept.contains(&form) {
                kept.push(form);
            }
        }
    }

    /// As [`register`](Self::register), for a value that is soon replaced.
    pub(crate) fn register_passing(&self, secret: &SecretString) {
        let forms = forms(secret.expose());
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.passing.len() >= PASSING {
            known.passing.pop_front();
        }
        known.passing.push_back((secret.name().to_owned(), forms));
    }

    /// The text without any known secret; each is replaced with `‹secret:name›`.
    pub(crate) fn text(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let lasting = known.lasting.iter();
        let passing = known.passing.iter().map(|(name, forms)| (name, forms));
        let mut out = text.to_owned();
        for (name, forms) in lasting.chain(passing) {
            for form in forms {
                if out.contains(form.as_str()) {
                    out = out.replace(form.as_str(), &format!("‹secret:{name}›"));
                }
            }
        }
        out
    }

    /// The value without any known secret, in texts and in names, at every depth.
    pub(crate) fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|v| self.value(v)).collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(name, value)| (self.text(&name), self.value(value)))
                .collect(),
            other => other,
        }
    }
}

fn forms(value: &str) -> Vec<Zeroizing<String>> {
    if value.chars().count() < SHORTEST {
        return Vec::new();
    }
    let json = serde_json::to_string(value).unwrap_or_default();
    let mut forms = vec![
        value.to_owned(),
        utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
        url::form_urlencoded::byte_serialize(value.as_bytes()).collect(),
        json.trim_matches('"').to_owned(),
    ];
    for offset in 0..3 {
        forms.extend(base64_inside(value, offset));
    }
    forms.retain(|form| form.chars().count() >= SHORTEST);
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms.dedup();
    forms.into_iter().map(Zeroizing::new).collect()
}

/// The characters that stand for `value` in the base64 of any longer text in which it begins at `offset` (mod 3).
fn base64_inside(value: &str, offset: usize) -> [String; 2] {
    let mut bytes = vec![0_u8; offset];
    bytes.extend_from_slice(value.as_bytes());
    // The first characters mix with what stands before, the last with what follows.
    let head = [0, 2, 3][offset];
    let tail = usize::from(!bytes.len().is_multiple_of(3));
    [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)]
        .map(|text| text[head..text.len() - tail].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn knowing(value: &str) -> Scrubber {
        let scrubber = Scrubber::default();
        scrubber.register(&SecretString::new("t", value.into()));
        scrubber
    }

    #[test]
    fn a_secret_inside_basic_credentials_is_found() {
        let scrubber = knowing("correct horse/battery");
        let basic = STANDARD_NO_PAD.encode("svc:correct horse/battery");

        let out = scrubber.text(&format!("Authorization: Basic {basic}"));

        assert!(out.contains("‹secret:t›"), "{out}");
    }

    #[test]
    fn short_values_do_not_shred_ordinary_text() {
        assert_eq!(knowing("at").text("that cat"), "that cat");
    }

    #[test]
    fn names_and_values_are_scrubbed_at_every_depth() {
        let value = serde_json::json!({"a": [{"canary-value": "x canary-value y"}]});

        let out = knowing("canary-value").value(value);

        assert_eq!(out, serde_json::json!({"a": [{"‹secret:t›": "x ‹secret:t› y"}]}));
    }

    proptest! {
        #[test]
        fn no_form_of_a_secret_survives(
            secret in "[ -~]{8,40}", before in "[a-z]{0,9}", after in "[a-z]{0,9}",
        ) {
            let scrubber = knowing(&secret);
            let percent = utf8_percent_encode(&secret, NON_ALPHANUMERIC).to_string();
            for form in [secret.clone(), percent] {
                let out = scrubber.text(&format!("{before}{form}{after}"));
                prop_assert!(out.contains("‹secret:t›"));
            }
            let whole = STANDARD_NO_PAD.encode(format!("{before}{secret}{after}"));
            prop_assert!(scrubber.text(&whole).contains("‹secret:t›"));
        }
    }
}
