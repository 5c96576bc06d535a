//! `PingID`'s audit records, one JSON object a line as its subscriptions and SIEM feeds write them.
//!
//! The phone that answers is not a requesting device, and is not kept as one. A record
//! without `result` still says in `resources[].pingidmsg` what happened.

use serde_json::Value;
use std::net::IpAddr;

use super::json::{at, content_id, event_id, get, text, text_at, time};
use super::parsed::Verdict;
use super::problem::Problem;
use crate::model::event::{AccountName, ChangedBy, Event, EventKind, EventOutcome, Factor, Origin};
use crate::model::time::Time;

pub(super) fn record(row: &Value, _received_at: Time) -> Result<Verdict, Problem> {
    let resources = list(row, "resources");
    let status = text_at(row, &["result", "status"]).unwrap_or_default().to_uppercase();
    let message = text_at(row, &["result", "message"])
        .or_else(|| resources.iter().find_map(|r| text_at(r, &["pingidmsg"])));
    let Some(message) = message else {
        let known = text_at(row, &["source"]).is_some_and(|s| s.eq_ignore_ascii_case("PINGID"));
        return if known || !status.is_empty() {
            Ok(Verdict::irrelevant("no message"))
        } else {
            Err(Problem::UnknownShape("neither `result` nor `resources` says what happened".into()))
        };
    };
    if status == "POLICY" {
        return Ok(Verdict::irrelevant("how a policy was evaluated, not what came of it"));
    }
    let Some((kind, outcome)) = meaning(&status, &message.to_lowercase()) else {
        return Ok(Verdict::irrelevant("neither a prompt nor a change of a factor"));
    };
    let (account, changed_by) = people(row)?;
    Ok(Verdict::event(Event {
        id: text_at(row, &["id"])
            .map_or_else(|| content_id("pingid", row), |id| event_id("pingid", &id)),
        kind,
        account,
        time: get(row, "recorded").and_then(time).ok_or(Problem::MissingField("recorded"))?,
        outcome,
        factor: Some(factor(&message)),
        origin: origin(&message),
        ip: resources.iter().find_map(|r| text_at(r, &["ipaddress"])?.parse::<IpAddr>().ok()),
        asn: None,
        place: None,
        device: None,
        // Only records of policies name it, and they say nothing of what came of a prompt.
        client: None,
        app: resources.iter().find_map(|r| text_at(r, &["applicationname"])),
        session: resources.iter().find_map(|r| text_at(r, &["websession"])),
        correlation: None,
        // What was paired is named by its text only; there is no id to remove it by.
        factor_id: None,
        changed_by: if kind == EventKind::FactorChange { changed_by } else { ChangedBy::Unknown },
        new_device: None,
        message,
        synthetic: false,
    }))
}

/// What a record's status and words mean, or nothing that matters here.
fn meaning(status: &str, message: &str) -> Option<(EventKind, EventOutcome)> {
    use EventOutcome::{Approved, Denied, Failed, Reported, Succeeded, TimedOut, WrongAnswer};

    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["paired", "pairing", "unpair", "device added", "device removed", "primary device"]) {
        let outcome = if status.starts_with("SUCCESS") { Succeeded } else { Failed };
        return Some((EventKind::FactorChange, outcome));
    }
    let outcome = if says(&["timed out", "timeout", "unresponsive"]) {
        TimedOut
    } else if says(&["fraud", "reported"]) {
        Reported
    } else if says(&["wrong number", "incorrect number", "number mismatch"]) {
        WrongAnswer
    } else if says(&["denied", "declined", "rejected"]) && typed(message) {
        Failed
    } else if says(&["denied", "declined", "rejected"]) {
        Denied
    } else if status.starts_with("SUCCESS") {
        let answered =
            says(&["swipe", "fingerprint", "face", "biometric", "number matching", "auth", "push"]);
        return (answered || typed(message)).then_some((EventKind::Prompt, Approved));
    } else if status.starts_with("FAIL") || status.starts_with("UNSUCCESSFUL") {
        if typed(message) { Failed } else { Denied }
    } else {
        return None;
    };
    Some((EventKind::Prompt, outcome))
}

/// Whether the person had to type something: no push, so nothing to tire anybody with.
fn typed(message: &str) -> bool {
    !matches!(factor(message), Factor::Push | Factor::Call)
}

fn factor(message: &str) -> Factor {
    let message = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["sms"]) {
        Factor::Sms
    } else if says(&["voice", "phone call"]) {
        Factor::Call
    } else if says(&["email", "e-mail"]) {
        Factor::Email
    } else if says(&["fido", "security key", "webauthn"]) {
        Factor::Fido
    } else if says(&["otp", "passcode", "yubikey", "oath", "authenticator app", "one time"]) {
        Factor::Otp
    } else {
        Factor::Push
    }
}

/// `PingID` asks after the first factor, so a prompt means that somebody had the password.
fn origin(message: &str) -> Origin {
    let message = message.trim_start().to_lowercase();
    if message.starts_with("vpn") {
        Origin::Vpn
    } else if message.contains("password reset") {
        Origin::Sspr
    } else {
        Origin::Password
    }
}

fn people(row: &Value) -> Result<(AccountName, ChangedBy), Problem> {
    let actors = list(row, "actors");
    let typed = |wanted: &str| {
        actors
            .iter()
            .find(|a| text_at(a, &["type"]).is_some_and(|t| t.eq_ignore_ascii_case(wanted)))
    };
    let user = typed("user").ok_or(Problem::MissingField("actors"))?;
    let login = get(user, "name").and_then(text).map(|name| name.to_lowercase());
    let provider_id = get(user, "id").and_then(text);
    if login.is_none() && provider_id.is_none() {
        return Err(Problem::MissingField("actors"));
    }
    let admin = typed("admin").or_else(|| typed("administrator")).is_some();
    let by = if admin { ChangedBy::Administrator } else { ChangedBy::Own };
    Ok((AccountName { provider_id, login }, by))
}

fn list<'v>(row: &'v Value, name: &str) -> &'v [Value] {
    at(row, &[name]).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Parsed, Record, parse};
    use super::*;
    use serde_json::json;

    fn read(status: &str, message: &str) -> Parsed {
        let mut row = json!({
            "source": "PINGID", "id": "f6fd2a45", "recorded": "2023-05-10T14:17:50.052Z",
            "actors": [{"type": "user", "name": "Victim_User"}],
            "resources": [{"ipaddress": "74.208.236.210", "websession": "webs_1", "pingidmsg": message}],
        });
        if !status.is_empty() {
            row["result"] = json!({"status": status, "message": message});
        }
        let now = "2023-05-10T14:20:00Z".parse().unwrap();
        parse(Kind::PingId, row.to_string().as_bytes(), now).unwrap()
    }

    fn outcome(status: &str, message: &str) -> (EventKind, EventOutcome, Origin) {
        match &read(status, message).records[0] {
            Record::Event(event) => (event.kind, event.outcome, event.origin),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_words_decide_what_a_record_means() {
        use EventKind::{FactorChange, Prompt};
        use EventOutcome::{Approved, Denied, Succeeded, TimedOut};
        let timed_out = "VPN Auth. Timed Out, Unresponsive User \"samsung SM-S901U\"";

        assert_eq!(outcome("FAILURE,authFail", timed_out), (Prompt, TimedOut, Origin::Vpn));
        assert_eq!(outcome("", "SSO Auth. Timed Out"), (Prompt, TimedOut, Origin::Password));
        assert_eq!(outcome("FAILURE,authFail", "VPN Auth. Denied"), (Prompt, Denied, Origin::Vpn));
        assert_eq!(outcome("SUCCESS", "VPN Swipe \"iPhone 6S\""), (Prompt, Approved, Origin::Vpn));
        let paired = outcome("SUCCESS", "Device Paired SMS \"Mobile 1\"");
        assert_eq!((paired.0, paired.1), (FactorChange, Succeeded));
    }

    #[test]
    fn a_policy_evaluation_is_no_prompt() {
        assert_eq!(read("POLICY", "Authentication Details:").irrelevant.len(), 1);
    }
}
