//! Duo's authentication log, as its Admin API gives it and as Microsoft Sentinel's tables flatten it.
//!
//! What lets somebody in without asking (a bypass, a remembered device, a trusted network) is a sign-in
//! and no approval. The phone that answers is not the device that asked.

use serde_json::Value;
use std::borrow::Cow;
use std::net::IpAddr;

use super::client;
use super::json::{content_id, embedded, event_id, get, ip_at, text, text_at, time};
use super::parsed::Verdict;
use super::problem::Problem;
use crate::model::event::{
    AccountName, ChangedBy, Event, EventKind, EventOutcome, Factor, Origin, Place,
};
use crate::model::time::Time;

/// What the columns of a Sentinel table end with, by their type.
const SUFFIXES: [&str; 5] = ["_s", "_g", "_d", "_t", "_t [UTC]"];

pub(super) fn record(row: &Value, _received_at: Time) -> Result<Verdict, Problem> {
    if !row.is_object() {
        return Err(Problem::UnknownShape("it is not an object".into()));
    }
    let says = |names: &[&str]| names.iter().any(|name| field(row, &[name]).is_some());
    if says(&["sekey", "surfaced_timestamp", "surfaced_auth"]) {
        return Ok(Verdict::irrelevant("what Trust Monitor found odd"));
    }
    if says(&["credits"]) {
        return Ok(Verdict::irrelevant("a text message or call that was paid for"));
    }
    if let Some(action) = field(row, &["action"]) {
        return admin(row, &action);
    }
    let result = field(row, &["result"]).unwrap_or_default().to_lowercase();
    let reason = field(row, &["reason"]).unwrap_or_default().to_lowercase();
    let kind = field(row, &["event_type"]).unwrap_or_default().to_lowercase();
    if result.is_empty() {
        return Err(Problem::MissingField("result"));
    }
    if result == "error" {
        return Ok(Verdict::irrelevant("an error of the service, and no answer"));
    }
    let asked = factor(row);
    let (kind, outcome) = if kind == "enrollment" {
        let done = result == "success";
        let outcome = if done { EventOutcome::Succeeded } else { EventOutcome::Failed };
        (EventKind::FactorChange, outcome)
    } else {
        meaning(&result, &reason, asked)
    };
    Ok(Verdict::event(Event {
        id: field(row, &["txid"])
            .map_or_else(|| content_id("duo", row), |txid| event_id("duo", &txid)),
        kind,
        account: account(row)?,
        time: stamp(row).ok_or(Problem::MissingField("isotimestamp"))?,
        outcome,
        factor: Some(asked),
        origin: origin(row),
        ip: field(row, &["access_device", "ip"])
            .and_then(|ip| ip.parse::<IpAddr>().ok())
            .filter(|ip| !ip.is_unspecified()),
        asn: None,
        place: place(row),
        // An endpoint that Duo Desktop vouches for.
        device: field(row, &["access_device", "epkey"]),
        client: client(row),
        app: field(row, &["application", "name"]),
        session: None,
        correlation: None,
        factor_id: None,
        changed_by: if kind == EventKind::FactorChange {
            ChangedBy::Own
        } else {
            ChangedBy::Unknown
        },
        new_device: None,
        message: if reason.is_empty() { result } else { format!("{result}: {reason}") },
        synthetic: false,
    }))
}

/// An administrator of Duo itself is asked by Duo too; the administrators' log says in words what came of it.
fn admin(row: &Value, action: &str) -> Result<Verdict, Problem> {
    if action != "admin_2fa_error" {
        return Ok(Verdict::irrelevant("what an administrator did"));
    }
    let told = ["description", "description_s"].iter().find_map(|name| get(row, name));
    let told = told.map_or(Cow::Owned(Value::Null), embedded);
    let said = text_at(&told, &["error"]).unwrap_or_default();
    let asked = factor(&told);
    let says = |words: &[&str]| words.iter().any(|word| said.to_lowercase().contains(word));
    let outcome = if says(&["fraud"]) {
        EventOutcome::Reported
    } else if asked != Factor::Push && asked != Factor::Call {
        EventOutcome::Failed
    } else if says(&["timed out", "timeout", "no response", "expired"]) {
        EventOutcome::TimedOut
    } else if says(&["denied", "cancel", "reject", "declined"]) {
        EventOutcome::Denied
    } else {
        EventOutcome::Failed
    };
    let login = text_at(&told, &["email"]).ok_or(Problem::MissingField("description.email"))?;
    Ok(Verdict::event(Event {
        id: content_id("duo", row),
        kind: EventKind::Prompt,
        account: AccountName { provider_id: None, login: Some(login.to_lowercase()) },
        time: stamp(row).ok_or(Problem::MissingField("isotimestamp"))?,
        outcome,
        factor: Some(asked),
        origin: Origin::Password,
        ip: ip_at(&told, &["ip_address"]),
        asn: None,
        place: None,
        device: None,
        client: None,
        app: Some("Duo Admin Panel".to_owned()),
        session: None,
        correlation: None,
        factor_id: None,
        changed_by: ChangedBy::Unknown,
        new_device: None,
        message: said,
        synthetic: false,
    }))
}

/// What the log says came of it. The words are Duo's.
fn meaning(result: &str, reason: &str, asked: Factor) -> (EventKind, EventOutcome) {
    use EventOutcome::{Approved, Denied, Failed, Reported, Succeeded, TimedOut, WrongAnswer};
    let prompt = |outcome| (EventKind::Prompt, outcome);
    match (result, reason) {
        ("fraud", _) | (_, "user_marked_fraud") => prompt(Reported),
        ("success", "user_approved" | "valid_passcode") => prompt(Approved),
        // An older log does not say why.
        ("success", "") if asked == Factor::Push => prompt(Approved),
        ("success", _) => (EventKind::SignIn, Succeeded),
        (_, "user_cancelled" | "user_mistake" | "anomalous_push") => prompt(Denied),
        (_, "no_response" | "no_keys_pressed") => prompt(TimedOut),
        (_, "verification_code_incorrect" | "verification_code_missing") => prompt(WrongAnswer),
        (_, "invalid_passcode") => prompt(Failed),
        // By policy, before anybody was asked.
        _ => (EventKind::SignIn, Failed),
    }
}

fn factor(row: &Value) -> Factor {
    let name = field(row, &["factor"]).unwrap_or_default().to_lowercase();
    let says = |word: &str| name.contains(word);
    if says("push") || name.is_empty() {
        Factor::Push
    } else if says("phone_call") || says("phone call") {
        Factor::Call
    } else if says("sms") {
        Factor::Sms
    } else if says("webauthn") || says("u2f") || says("security key") || says("platform") {
        Factor::Fido
    } else if says("passcode") || says("token") || says("otp") || says("bypass_code") {
        Factor::Otp
    } else {
        Factor::Other
    }
}

/// Duo asks after the first factor, so a prompt means that somebody had the password.
fn origin(row: &Value) -> Origin {
    let app = field(row, &["application", "name"]).unwrap_or_default().to_lowercase();
    if app.contains("vpn") { Origin::Vpn } else { Origin::Password }
}

fn account(row: &Value) -> Result<AccountName, Problem> {
    let mail = field(row, &["email"]).filter(|mail| mail.contains('@'));
    let name = field(row, &["user", "name"]).or_else(|| text_at(row, &["username"]));
    let login = mail.or(name).map(|login| login.to_lowercase());
    let provider_id = field(row, &["user", "key"]);
    if login.is_none() && provider_id.is_none() {
        return Err(Problem::MissingField("user"));
    }
    Ok(AccountName { provider_id, login })
}

fn client(row: &Value) -> Option<String> {
    let said = |name: &str| field(row, &["access_device", name]);
    let browser = client::versioned(said("browser"), said("browser_version"));
    client::said(browser, client::versioned(said("os"), said("os_version")), None)
}

fn place(row: &Value) -> Option<Place> {
    let country = field(row, &["access_device", "location", "country"]);
    let city = field(row, &["access_device", "location", "city"]);
    (country.is_some() || city.is_some()).then_some(Place { country, city })
}

fn stamp(row: &Value) -> Option<Time> {
    let named = |name: &str| {
        let plain = get(row, name);
        let columns = SUFFIXES.iter().filter_map(|suffix| get(row, &format!("{name}{suffix}")));
        plain.into_iter().chain(columns).find_map(|value| {
            let seconds = value.as_str().and_then(|text| text.trim().parse::<i64>().ok());
            seconds.map_or_else(|| time(value), |n| time(&Value::from(n)))
        })
    };
    named("isotimestamp").or_else(|| named("timestamp"))
}

/// A value at a path, or in the column that a table makes of it.
fn field(row: &Value, path: &[&str]) -> Option<String> {
    text_at(row, path).or_else(|| {
        let column = path.join("_");
        let named = |suffix: &&str| get(row, &format!("{column}{suffix}")).and_then(text);
        SUFFIXES.iter().find_map(named)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Record, parse};
    use super::*;
    use serde_json::json;

    fn read(change: &Value) -> Result<(EventKind, EventOutcome), String> {
        let mut row = json!({
            "txid": "340a23e3", "timestamp": 1_777_975_572, "event_type": "authentication",
            "isotimestamp": "2026-05-05T10:06:12.000000+00:00", "factor": "duo_push",
            "email": "Ana@Example.com", "user": {"key": "DU3K", "name": "ana"},
            "application": {"name": "VPN"}, "access_device": {"ip": "203.0.113.9"},
        });
        for (key, value) in change.as_object().unwrap() {
            row[key] = value.clone();
        }
        let body = json!({"stat": "OK", "response": {"authlogs": [row]}}).to_string();
        let now = "2026-05-05T10:15:30Z".parse().unwrap();
        let parsed = parse(Kind::Duo, body.as_bytes(), now).unwrap();
        match parsed.records.first() {
            Some(Record::Event(event)) => {
                assert_eq!(event.account.login.as_deref(), Some("ana@example.com"));
                assert_eq!(event.id.as_str(), "duo:340a23e3");
                Ok((event.kind, event.outcome))
            }
            _ => Err(parsed.irrelevant.first().map_or("unusable", |(_, why)| why).to_owned()),
        }
    }

    #[test]
    fn duos_words_say_what_came_of_a_prompt() {
        use EventKind::{Prompt, SignIn};
        use EventOutcome::{Approved, Denied, Failed, Reported, Succeeded, TimedOut, WrongAnswer};
        for (result, reason, means) in [
            ("success", "user_approved", (Prompt, Approved)),
            ("SUCCESS", "", (Prompt, Approved)),
            ("success", "bypass_user", (SignIn, Succeeded)),
            ("success", "remembered_device", (SignIn, Succeeded)),
            ("denied", "user_mistake", (Prompt, Denied)),
            ("denied", "no_response", (Prompt, TimedOut)),
            ("denied", "verification_code_incorrect", (Prompt, WrongAnswer)),
            ("denied", "invalid_passcode", (Prompt, Failed)),
            ("denied", "location_restricted", (SignIn, Failed)),
            ("fraud", "user_marked_fraud", (Prompt, Reported)),
        ] {
            let told = read(&json!({"result": result, "reason": reason}));
            assert_eq!(told, Ok(means), "{result} {reason}");
        }
    }

    #[test]
    fn what_is_no_authentication_is_named() {
        assert_eq!(
            read(&json!({"action": "admin_login"})),
            Err("what an administrator did".to_owned())
        );
        assert!(read(&json!({"credits": 1})).is_err());
        assert_eq!(read(&json!({})), Err("unusable".to_owned()), "nothing says what came of it");
    }
}
