//! Microsoft Teams' outgoing webhook: somebody mentions it in a channel to say that prompts come.
//!
//! Teams signs the body, names the writer by their object id in Entra and the message by its id and time. It is the
//! tenant's word who wrote: enough to know somebody by, and no proof, for a chat account may itself be in the wrong hands.

use serde_json::Value;

use super::body;
use super::json::{get, report_id, text_at, time};
use super::parsed::{Record, Verdict};
use super::problem::Problem;
use crate::model::alert::{Proof, Report};
use crate::model::event::AccountName;
use crate::model::text::tame;
use crate::model::time::{Span, Time};

/// Longest text that is kept of a message.
const TEXT_MAX: usize = 2_000;
/// How far a message's time may be from its receipt.
const TOLERANCE: Span = Span::minutes(5);

/// Names a message, and refuses one that is sent again later: its signature has no time of its own.
pub(super) fn fresh(raw: &[u8], now: Time) -> Result<String, Problem> {
    let text = std::str::from_utf8(raw).map_err(|_| Problem::NotUtf8)?;
    let message = body::document(text.trim())?;
    let at = get(&message, "timestamp").and_then(time).ok_or(Problem::MissingField("timestamp"))?;
    if (now - at).abs() > TOLERANCE.delta() {
        return Err(Problem::StaleTimestamp(TOLERANCE.delta().num_seconds()));
    }
    let id = text_at(&message, &["id"]).ok_or(Problem::MissingField("id"))?;
    let place = text_at(&message, &["conversation", "id"]).unwrap_or_default();
    Ok(format!("{place} {id}"))
}

pub(super) fn report(row: &Value, received_at: Time) -> Result<Verdict, Problem> {
    match text_at(row, &["type"]).as_deref() {
        None => return Err(Problem::MissingField("type")),
        Some("message") => {}
        Some(_) => return Ok(Verdict::irrelevant("no message")),
    }
    let writer = text_at(row, &["from", "aadObjectId"]);
    let writer = writer.ok_or(Problem::MissingField("from.aadObjectId"))?.to_lowercase();
    if writer.len() != 36 || !writer.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
        let why = "it is no object id".to_owned();
        return Err(Problem::BadField { field: "from.aadObjectId".to_owned(), why });
    }
    let id = text_at(row, &["id"]).ok_or(Problem::MissingField("id"))?;
    let place = text_at(row, &["conversation", "id"]).unwrap_or_default();
    Ok(Verdict::Facts(vec![Record::Report(Box::new(Report {
        id: report_id(received_at, &format!("{place} {id} {writer}")),
        account: AccountName { provider_id: Some(writer), login: None },
        time: received_at,
        proof: Proof::AuthenticatedOther,
        text: plain(row.get("text").and_then(Value::as_str).unwrap_or_default()),
        taken_by: None,
    }))]))
}

/// A message's words, without the mention that sent it here.
fn plain(marked_up: &str) -> String {
    let mut words = String::with_capacity(marked_up.len());
    let mut rest = marked_up;
    while let Some((before, mention)) = rest.split_once("<at>") {
        words.push_str(before);
        rest = mention.split_once("</at>").map_or("", |(_, after)| after);
    }
    words.push_str(rest);
    let text = mail_parser::decoders::html::html_to_text(&words);
    tame(text.replace('\u{a0}', " ").trim(), TEXT_MAX)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use http::HeaderMap;
    use serde_json::json;
    use sha2::Sha256;

    use super::super::{Auth, Kind, Parsed, Verified, Verifier, parse};
    use super::*;

    /// Of the form that Teams shows it in when the webhook is made.
    const SECRET: &str = "vqF0En+Z0ucuRTM/01o2GuhMH3hKKk/N2bOmlM31zaA=";
    const ANA: &str = "7d0f7b3e-0f4c-4f58-9c2e-3a3f6f1f0001";

    fn now() -> Time {
        "2026-05-05T10:15:30Z".parse().unwrap()
    }

    fn message(text: &str) -> Value {
        json!({"type": "message", "id": "1777976130000", "timestamp": "2026-05-05T10:15:29.123Z",
            "serviceUrl": "https://smba.trafficmanager.net/emea/", "channelId": "msteams",
            "from": {"id": "29:1", "name": "Ana", "aadObjectId": ANA},
            "conversation": {"isGroup": true, "id": "19:x@thread.tacv2;messageid=1777976130000", "conversationType": "channel"},
            "text": text, "textFormat": "plain"})
    }

    fn read(message: &Value) -> Parsed {
        parse(Kind::Teams, message.to_string().as_bytes(), now()).unwrap()
    }

    fn sign(body: &str, secret: &str) -> String {
        let key = STANDARD.decode(secret).unwrap();
        let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(body);
        format!("HMAC {}", STANDARD.encode(mac.finalize().into_bytes()))
    }

    fn verify(body: &str, header: &str, at: Time) -> Result<Verified, Problem> {
        let auth = Auth::Teams { secrets: Vec::new() };
        let mut headers = HeaderMap::new();
        headers.insert("authorization", header.parse().unwrap());
        let verifier = Verifier::new(auth, vec![SECRET.into()]).unwrap();
        verifier.verify(Kind::Teams, &headers, Bytes::from(body.to_owned()), at)
    }

    #[test]
    fn a_message_is_proved_by_its_signature_and_for_five_minutes() {
        let body = message("hi").to_string();
        let good = sign(&body, SECRET);
        let other = sign(&body, "QgyNSToQjf4p6+YzDpjKks1/tXeJQ7FhVHqRwTnugVI=");

        let proved = verify(&body, &good, now()).unwrap();

        assert_eq!(proved.delivery_id(), "19:x@thread.tacv2;messageid=1777976130000 1777976130000");
        for wrong in [&other, &good.replace("HMAC", "Bearer"), "HMAC !"] {
            assert_eq!(verify(&body, wrong, now()), Err(Problem::WrongSignature), "{wrong}");
        }
        assert_eq!(verify(&body.replace("hi", "ho"), &good, now()), Err(Problem::WrongSignature));
        let late = now() + Span::minutes(6).delta();
        assert_eq!(verify(&body, &good, late), Err(Problem::StaleTimestamp(300)));
        let mut timeless = message("hi");
        timeless["timestamp"] = Value::Null;
        let body = timeless.to_string();
        let refused = verify(&body, &sign(&body, SECRET), now());
        assert_eq!(refused, Err(Problem::MissingField("timestamp")));
    }

    #[test]
    fn a_secret_that_teams_never_made_is_no_secret() {
        for bad in ["not base64 at all", "c2hvcnQ="] {
            let auth = Auth::Teams { secrets: Vec::new() };
            assert!(Verifier::new(auth, vec![bad.into()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_writer_is_the_reporter_and_the_mention_no_part_of_the_words() {
        let parsed =
            read(&message("<at>Quell</at>&nbsp;ten <b>prompts</b> &lt;help&gt;\u{202e}\n"));

        let [Record::Report(report)] = &parsed.records[..] else { panic!("{parsed:?}") };
        assert_eq!(report.account.provider_id.as_deref(), Some(ANA));
        assert_eq!(report.proof, Proof::AuthenticatedOther);
        assert_eq!(report.text, "ten prompts <help>⟪U+202E⟫");
    }

    #[test]
    fn whatever_else_teams_sends_is_no_report() {
        let with = |name: &str, value: Value| {
            let mut changed = message("x");
            changed[name] = value;
            read(&changed)
        };
        assert_eq!(with("type", json!("conversationUpdate")).irrelevant.len(), 1);
        for (name, value) in [
            ("from", json!({"id": "28:bot"})),
            ("from", json!({"aadObjectId": "<b>"})),
            ("id", Value::Null),
            ("type", Value::Null),
        ] {
            assert_eq!(with(name, value.clone()).problems.len(), 1, "{name} {value}");
        }
    }
}
