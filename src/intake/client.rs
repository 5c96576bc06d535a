//! The client software that a record says was used: browser, system, and the user agent as it was sent.
//!
//! All of it is the client's own word: whoever has the password can send the person's user agent too. It is told to
//! people and weighs nothing; [`device`](crate::model::event::Event::device) is what a provider vouches for.

use serde_json::Value;

use super::json::{get, text, text_at};
use crate::model::text::tame_field;

/// `Chrome 124 on Windows 10 (Mozilla/5.0 …)`, as far as the record says it.
pub(super) fn said(
    browser: Option<String>,
    system: Option<String>,
    raw: Option<String>,
) -> Option<String> {
    let named = match (browser, system) {
        (Some(browser), Some(system)) => Some(format!("{browser} on {system}")),
        (browser, system) => browser.or(system),
    };
    match (named, raw) {
        (Some(named), Some(raw)) => Some(tame_field(&format!("{named} ({raw})"))),
        (named, raw) => named.or(raw),
    }
}

/// A name with its version.
pub(super) fn versioned(name: Option<String>, version: Option<String>) -> Option<String> {
    match (name, version) {
        (Some(name), Some(version)) => Some(tame_field(&format!("{name} {version}"))),
        (name, _) => name,
    }
}

/// The value of a list of `{ key, value }` whose key is one of `keys`, whatever the case.
pub(super) fn listed(list: &Value, keys: &[&str]) -> Option<String> {
    let pairs = list.as_array()?.iter().take(64);
    pairs.into_iter().find_map(|pair| {
        let key = text_at(pair, &["key"]).or_else(|| text_at(pair, &["name"]))?;
        let known = keys.iter().any(|wanted| key.eq_ignore_ascii_case(wanted));
        known.then(|| get(pair, "value").and_then(text)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::{Kind, Record, parse};
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn what_is_known_of_a_client_is_one_text() {
        let some = |text: &str| Some(text.to_owned());
        let raw = "Mozilla/5.0 (X11; Linux)";

        assert_eq!(
            said(some("Chrome"), some("Linux"), some(raw)),
            some("Chrome on Linux (Mozilla/5.0 (X11; Linux))")
        );
        assert_eq!(said(None, some("Linux"), None), some("Linux"));
        assert_eq!(said(None, None, some(raw)), some(raw));
        assert_eq!(said(None, None, None), None);
        assert_eq!(versioned(None, some("10")), None, "a version of nothing");
    }

    #[test]
    fn a_pair_is_found_by_its_key_in_any_case() {
        let list =
            json!([{"key": "Other", "value": "x"}, {"Key": "user-agent", "Value": "curl/8"}]);

        assert_eq!(listed(&list, &["User-Agent"]).as_deref(), Some("curl/8"));
        assert_eq!(listed(&json!({"key": "User-Agent"}), &["User-Agent"]), None);
    }

    proptest! {
        /// An attacker writes it: whatever it holds, what is kept is short and shows what it hides.
        #[test]
        fn no_user_agent_is_kept_long_or_with_hidden_characters(text in "\\PC{0,40}|[\u{0}-\u{1f}\u{202a}-\u{202e}a-z]{0,40}|[a-z]{300,600}") {
            let row = json!({"id": "1", "kind": "prompt", "outcome": "denied", "account": "ana",
                "time": "2026-05-05T10:15:30Z", "user_agent": text});
            let parsed = parse(Kind::Events, row.to_string().as_bytes(), "2026-05-05T10:15:30Z".parse().unwrap()).unwrap();
            let Record::Event(event) = &parsed.records[0] else { panic!("{parsed:?}") };
            let kept = event.client.clone().unwrap_or_default();
            prop_assert!(kept.chars().count() <= 9 * 257, "{}", kept);
            let is_hidden = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
            prop_assert!(!kept.contains(is_hidden), "{:?}", kept);
        }
    }
}
