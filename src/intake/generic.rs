//! Quell's own shapes: events, alerts and reports as our API describes them.
//!
//! Strict: an unknown key is a problem of that record, so that a misspelt `origin` is seen
//! by who wrote it and not missed by the detector.

use serde::Deserialize;
use serde_json::Value;
use std::net::IpAddr;

use super::json::{alert_id, event_id, is_sane, report_id};
use super::parsed::{Record, Verdict};
use super::problem::Problem;
use crate::model::alert::{Alert, AlertKind, Proof, Report};
use crate::model::event::{
    AccountName, ChangedBy, Event, EventKind, EventOutcome, Factor, Origin, Place,
};
use crate::model::id::AlertId;
use crate::model::incident::Stage;
use crate::model::text::{tame, tame_field};
use crate::model::time::Time;

/// Longest free text that is kept of a report.
const TEXT_MAX: usize = 2_000;
/// Most events that an alert may name.
const EVENTS_MAX: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEvent {
    id: String,
    kind: EventKind,
    account: WireAccount,
    time: Time,
    outcome: EventOutcome,
    factor: Option<Factor>,
    #[serde(default)]
    origin: Origin,
    ip: Option<IpAddr>,
    asn: Option<u32>,
    place: Option<Place>,
    device: Option<String>,
    #[serde(alias = "user_agent")]
    client: Option<String>,
    app: Option<String>,
    session: Option<String>,
    correlation: Option<String>,
    factor_id: Option<String>,
    #[serde(default)]
    changed_by: ChangedBy,
    new_device: Option<bool>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    synthetic: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireAlert {
    id: Option<String>,
    kind: AlertKind,
    account: WireAccount,
    time: Option<Time>,
    stage: Option<Stage>,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    rule: String,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    password_exposed: bool,
    link: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireReport {
    #[serde(alias = "report_id")]
    id: Option<String>,
    account: WireAccount,
    #[serde(alias = "reported_at")]
    time: Option<Time>,
    /// Said by the sender; how much of it is believed depends on the source.
    proof: Option<Proof>,
    #[serde(default, alias = "comment")]
    text: String,
}

/// A login alone, or the fields.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireAccount {
    Login(String),
    Fields(AccountFields),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountFields {
    provider_id: Option<String>,
    login: Option<String>,
}

impl WireAccount {
    fn name(self) -> Result<AccountName, Problem> {
        let fields = match self {
            Self::Login(login) => AccountFields { provider_id: None, login: Some(login) },
            Self::Fields(fields) => fields,
        };
        let name = AccountName {
            provider_id: fields.provider_id.as_deref().and_then(kept),
            login: fields.login.as_deref().and_then(kept).map(|login| login.to_lowercase()),
        };
        if name == AccountName::default() {
            Err(Problem::MissingField("account"))
        } else {
            Ok(name)
        }
    }
}

pub(super) fn event(row: &Value, _received_at: Time) -> Result<Verdict, Problem> {
    let wire: WireEvent = typed(row)?;
    if wire.id.trim().is_empty() {
        return Err(Problem::MissingField("id"));
    }
    Ok(Verdict::event(Event {
        id: event_id("events", &wire.id),
        kind: wire.kind,
        account: wire.account.name()?,
        time: sane(wire.time)?,
        outcome: wire.outcome,
        factor: wire.factor,
        origin: wire.origin,
        ip: wire.ip,
        asn: wire.asn,
        place: wire.place.map(|place| Place {
            country: place.country.as_deref().and_then(kept),
            city: place.city.as_deref().and_then(kept),
        }),
        device: wire.device.as_deref().and_then(kept),
        client: wire.client.as_deref().and_then(kept),
        app: wire.app.as_deref().and_then(kept),
        session: wire.session.as_deref().and_then(kept),
        correlation: wire.correlation.as_deref().and_then(kept),
        factor_id: wire.factor_id.as_deref().and_then(kept),
        changed_by: wire.changed_by,
        new_device: wire.new_device,
        message: tame_field(&wire.message),
        synthetic: wire.synthetic,
    }))
}

pub(super) fn alert(row: &Value, received_at: Time) -> Result<Verdict, Problem> {
    let wire: WireAlert = typed(row)?;
    if wire.events.len() > EVENTS_MAX {
        return Err(bad("events", format!("it names more than {EVENTS_MAX}")));
    }
    let account = wire.account.name()?;
    let time = sane(wire.time.unwrap_or(received_at))?;
    let posted = wire.id.as_deref().and_then(|id| id.parse::<AlertId>().ok());
    let rule = if wire.rule.is_empty() { "posted" } else { &wire.rule };
    let reason = if wire.reason.is_empty() { "A detector says so" } else { &wire.reason };
    Ok(Verdict::Facts(vec![Record::Alert(Box::new(Alert {
        id: posted.unwrap_or_else(|| alert_id(time, &seed(row, wire.id.as_deref()))),
        kind: wire.kind,
        account,
        time,
        stage: wire.stage.unwrap_or(Stage::Suspected),
        reason: tame_field(reason),
        rule: tame_field(rule),
        events: wire.events.iter().map(|id| event_id("events", id)).collect(),
        password_exposed: wire.password_exposed,
        link: wire.link.as_deref().and_then(kept).filter(|link| link.starts_with("https://")),
    }))]))
}

pub(super) fn report(row: &Value, received_at: Time) -> Result<Verdict, Problem> {
    let wire: WireReport = typed(row)?;
    let account = wire.account.name()?;
    let time = sane(wire.time.unwrap_or(received_at))?;
    Ok(Verdict::Facts(vec![Record::Report(Box::new(Report {
        id: report_id(time, &seed(row, wire.id.as_deref())),
        account,
        time,
        proof: wire.proof.unwrap_or(Proof::Relayed),
        text: tame(&wire.text, TEXT_MAX),
        taken_by: None,
    }))]))
}

fn typed<T: serde::de::DeserializeOwned>(row: &Value) -> Result<T, Problem> {
    if !row.is_object() {
        return Err(Problem::UnknownShape("it is not an object".into()));
    }
    T::deserialize(row).map_err(|e| Problem::UnknownShape(tame_field(&e.to_string())))
}

fn sane(at: Time) -> Result<Time, Problem> {
    if is_sane(at) { Ok(at) } else { Err(bad("time", "it is out of range".into())) }
}

fn bad(field: &str, why: String) -> Problem {
    Problem::BadField { field: field.into(), why }
}

fn kept(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| tame_field(text))
}

fn seed(row: &Value, id: Option<&str>) -> String {
    id.map_or_else(|| row.to_string(), |id| format!("id:{id}"))
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Parsed, parse};
    use super::*;
    use serde_json::json;

    fn read(kind: Kind, body: &Value) -> Parsed {
        let now = "2026-05-05T10:15:30Z".parse().unwrap();
        parse(kind, body.to_string().as_bytes(), now).unwrap()
    }

    fn denied(id: &str) -> Value {
        json!({"id": id, "kind": "prompt", "account": "Ana@Example.com", "outcome": "denied",
               "time": "2026-05-05T10:15:00Z", "factor": "push", "ip": "203.0.113.9"})
    }

    /// Good records commit although others in the batch fail.
    #[test]
    fn a_misspelt_key_costs_only_its_own_record() {
        let mut odd = denied("2");
        odd["orgin"] = json!("sspr");

        let parsed = read(Kind::Events, &json!({"events": [denied("1"), odd, 7]}));

        assert_eq!(parsed.understood, 1);
        let Record::Event(event) = &parsed.records[0] else { panic!("no event") };
        assert_eq!(event.id.as_str(), "events:1");
        assert_eq!(event.account.login.as_deref(), Some("ana@example.com"));
        let told: Vec<_> = parsed.problems.iter().map(|(n, p)| (*n, p.slug())).collect();
        assert_eq!(told, [(1, "unknown-shape"), (2, "unknown-shape")]);
    }

    #[test]
    fn a_record_from_the_future_is_refused() {
        let mut late = denied("1");
        late["time"] = json!("2026-05-05T10:20:31Z");

        assert_eq!(read(Kind::Events, &late).problems[0].1, Problem::FutureTime);
    }

    #[test]
    fn hidden_characters_in_a_name_are_made_visible() {
        let mut odd = denied("1");
        odd["app"] = json!("VPN\u{202E}\u{0}");

        let parsed = read(Kind::Events, &odd);

        let Record::Event(event) = &parsed.records[0] else { panic!("no event") };
        assert_eq!(event.app.as_deref(), Some("VPN⟪U+202E⟫⟪U+0000⟫"));
    }

    #[test]
    fn the_same_alert_gets_the_same_id_again() {
        let alert = json!({"id": "det-42", "kind": "mfa_fatigue", "account": {"login": "ana@example.com"},
                           "time": "2026-05-05T10:15:00Z"});
        let ids: Vec<_> = [&alert, &alert]
            .into_iter()
            .map(|alert| match &read(Kind::Alerts, alert).records[0] {
                Record::Alert(alert) => alert.id,
                other => panic!("{other:?}"),
            })
            .collect();

        assert_eq!(ids[0], ids[1]);
    }

    /// Anybody who may post may relay; nobody becomes the person by leaving a field out.
    #[test]
    fn a_report_without_proof_is_relayed() {
        let body = json!({"account": "ana@example.com", "comment": "phone keeps asking"});

        let Record::Report(report) = &read(Kind::Reports, &body).records[0] else {
            panic!("no report")
        };
        assert_eq!(report.proof, Proof::Relayed);
    }
}
