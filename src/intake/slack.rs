//! Slack's slash command and message shortcut: somebody says from where they are that prompts come.
//!
//! Slack signs the form; who wrote is the workspace's word. It is a name that the source's `aliases` have to map
//! to a sign-in name, and a chat account may itself be in the wrong hands.

use serde_json::{Map, Value};

use super::body;
use super::json::{report_id, text_at};
use super::parsed::{Record, Verdict};
use super::problem::Problem;
use crate::model::alert::{Proof, Report};
use crate::model::event::AccountName;
use crate::model::text::tame;
use crate::model::time::Time;

/// Longest text that is kept of a message.
const TEXT_MAX: usize = 2_000;

/// One form is one record; an array is forms that were read before.
pub(super) fn rows(bytes: &[u8], most: usize) -> Result<body::Rows, Problem> {
    let start = bytes.iter().find(|b| !b.is_ascii_whitespace());
    if matches!(start, Some(b'{' | b'[')) {
        return body::rows(bytes, super::Kind::Slack.wrappers(), most);
    }
    let fields = url::form_urlencoded::parse(bytes);
    let fields: Map<String, Value> =
        fields.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect();
    Ok(vec![Ok(Value::Object(fields))])
}

pub(super) fn report(row: &Value, received_at: Time) -> Result<Verdict, Problem> {
    if row.get("ssl_check").is_some() {
        return Ok(Verdict::irrelevant("a check of the address"));
    }
    let payload = row.get("payload").and_then(Value::as_str).map(body::document).transpose()?;
    let (user, said) = match &payload {
        Some(payload) => {
            let kind = payload.get("type").and_then(Value::as_str).unwrap_or_default();
            if !matches!(kind, "message_action" | "shortcut") {
                return Ok(Verdict::irrelevant("neither a command nor a shortcut"));
            }
            (text_at(payload, &["user", "id"]), payload.pointer("/message/text"))
        }
        None if row.get("command").is_some() => (text_at(row, &["user_id"]), row.get("text")),
        None => return Err(Problem::MissingField("command")),
    };
    let user = user.ok_or(Problem::MissingField("user_id"))?;
    if user.len() > 64 || !user.chars().all(|c| c.is_ascii_alphanumeric()) {
        let why = "it is no id of a Slack user".to_owned();
        return Err(Problem::BadField { field: "user_id".to_owned(), why });
    }
    let said = said.and_then(Value::as_str).unwrap_or_default();
    Ok(Verdict::Facts(vec![Record::Report(Box::new(Report {
        id: report_id(received_at, &row.to_string()),
        account: AccountName { login: Some(user), provider_id: None },
        time: received_at,
        // As far as the source's aliases know whose it is.
        proof: Proof::AuthenticatedOther,
        text: tame(said.trim(), TEXT_MAX),
        taken_by: None,
    }))]))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;
    use serde_json::json;

    use super::super::{Auth, Encoding, Kind, Parsed, Verifier, parse};
    use super::*;
    use crate::model::time::Span;

    /// Slack's own published example.
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const SENT: i64 = 1_531_420_618;
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNED: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    fn at(seconds: i64) -> Time {
        Time::from_timestamp(seconds, 0).unwrap()
    }

    fn read(body: &str) -> Parsed {
        parse(Kind::Slack, body.as_bytes(), at(SENT)).unwrap()
    }

    fn one(body: &str) -> Report {
        let parsed = read(body);
        let [Record::Report(report)] = &parsed.records[..] else { panic!("{parsed:?}") };
        (**report).clone()
    }

    fn verifier() -> Verifier {
        let auth = Auth::Hmac {
            header: "x-slack-signature".into(),
            prefix: "v0=".into(),
            encoding: Encoding::Hex,
            timestamp_header: Some("x-slack-request-timestamp".into()),
            id_header: None,
            signed: Some("v0:{timestamp}:{body}".into()),
            secrets: Vec::new(),
            tolerance: Span::minutes(5),
        };
        Verifier::new(auth, vec![SECRET.into()]).unwrap()
    }

    #[test]
    fn slacks_published_signature_holds_within_five_minutes_on_both_sides() {
        let mut headers = HeaderMap::new();
        headers.insert("x-slack-signature", SIGNED.parse().unwrap());
        headers.insert("x-slack-request-timestamp", SENT.to_string().parse().unwrap());
        let proved = |now: i64, body: &'static str| {
            verifier().verify(Kind::Slack, &headers, Bytes::from_static(body.as_bytes()), at(now))
        };

        for now in [SENT - 300, SENT, SENT + 300] {
            assert!(proved(now, BODY).is_ok(), "{now}");
        }
        for now in [SENT - 301, SENT + 301] {
            assert_eq!(proved(now, BODY), Err(Problem::StaleTimestamp(300)), "{now}");
        }
        assert_eq!(proved(SENT, "user_id=U1&command=x"), Err(Problem::WrongSignature));
    }

    #[test]
    fn a_command_is_a_report_of_whoever_gave_it() {
        let report = one(BODY);

        assert_eq!(report.account.login.as_deref(), Some("U2CERLKJA"));
        assert_eq!((report.proof, report.text.as_str()), (Proof::AuthenticatedOther, ""));
    }

    #[test]
    fn a_message_shortcut_brings_the_message() {
        let payload = json!({"type": "message_action", "user": {"id": "U1"}, "message": {"text": "prompts\u{202e}!"}});
        let form: String =
            url::form_urlencoded::byte_serialize(payload.to_string().as_bytes()).collect();

        let report = one(&format!("payload={form}"));

        assert_eq!(report.account.login.as_deref(), Some("U1"));
        assert_eq!(report.text, "prompts⟪U+202E⟫!");
    }

    #[test]
    fn whatever_else_slack_sends_is_no_report() {
        assert_eq!(read("ssl_check=1&token=x").irrelevant.len(), 1);
        assert_eq!(read("payload=%7B%22type%22%3A%22block_actions%22%7D").irrelevant.len(), 1);
        for broken in ["command=x", "command=x&user_id=a%3Cb%3E", "payload=%7B", "text=x", ""] {
            assert_eq!(read(broken).problems.len(), 1, "{broken}");
        }
    }
}
