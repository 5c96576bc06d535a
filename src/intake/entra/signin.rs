//! A sign-in record: the prompts among its steps, and the sign-in itself.
//!
//! 50074 and 50076 are challenges, not denials: a normal sign-in writes one, and then a
//! success under the *same* record id. So an id is made of record id and result code, and a
//! step's of its flow and instant, because every later record of a flow lists it again.

use serde_json::Value;
use std::collections::BTreeSet;

use super::super::json::{asn_at, event_id, get, text_at, time};
use super::super::parsed::{Record, Verdict};
use super::super::problem::Problem;
use super::steps::{self, Step};
use super::{Fields, ZERO};
use crate::model::event::{ChangedBy, Event, EventKind, EventOutcome, Factor, Origin, Place};
use crate::model::id::EventId;
use crate::model::time::{Time, rfc3339};

/// Strong authentication failed: denied, ignored or mistyped.
const MFA_FAILED: i64 = 500_121;
/// A second factor is asked for.
const CHALLENGES: [i64; 2] = [50_074, 50_076];
/// Pages on the way of a sign-in that state no result: enrolment, device, picker, "stay signed in".
const INTERRUPTS: [i64; 12] = [
    16_000, 16_001, 16_003, 50_058, 50_072, 50_079, 50_097, 50_125, 50_140, 50_155, 50_158, 50_199,
];

pub(super) fn record(fields: &Fields<'_>, category: &str) -> Result<Verdict, Problem> {
    let code = code(fields);
    let mut facts = prompts(fields, code)?;
    let silent = fields.text(&["isInteractive"]).is_some_and(|t| t.eq_ignore_ascii_case("false"));
    let kind = if silent || category.starts_with("noninteractive") {
        EventKind::TokenRefresh
    } else {
        EventKind::SignIn
    };
    match code {
        Some(0) => facts.push(event(fields, kind, EventOutcome::Succeeded, None)?),
        Some(code) if CHALLENGES.contains(&code) => {
            if facts.is_empty() {
                facts.push(event(
                    fields,
                    EventKind::Prompt,
                    EventOutcome::Prompted,
                    method(fields),
                )?);
            }
        }
        Some(code) if INTERRUPTS.contains(&code) => {}
        Some(MFA_FAILED) if !facts.is_empty() => {}
        Some(_) => facts.push(event(fields, kind, EventOutcome::Failed, None)?),
        None => return Err(Problem::MissingField("status.errorCode")),
    }
    if facts.is_empty() {
        return Ok(Verdict::irrelevant("an interruption of a sign-in, not a result"));
    }
    Ok(Verdict::Facts(facts.into_iter().map(|event| Record::Event(Box::new(event))).collect()))
}

fn code(fields: &Fields<'_>) -> Option<i64> {
    let stated = fields.text(&["status", "errorCode"]).and_then(|code| code.parse().ok());
    stated.or_else(|| match fields.text(&["resultType"])?.as_str() {
        "Success" => Some(0),
        other => other.parse().ok(),
    })
}

/// The prompts that a person answered, or failed to.
fn prompts(fields: &Fields<'_>, code: Option<i64>) -> Result<Vec<Event>, Problem> {
    let details = fields.get("authenticationDetails");
    let listed = details.as_ref().and_then(|d| d.as_array()).map(Vec::as_slice).unwrap_or_default();
    let mut seen = BTreeSet::new();
    let mut events = Vec::new();
    for row in listed.iter().take(64) {
        let Some(step) = Step::read(row) else { continue };
        let moment = get(row, "authenticationStepDateTime").and_then(time);
        let id = step_id(fields, row, &step);
        if seen.insert(id.clone()) {
            let mut prompt = event(fields, EventKind::Prompt, step.outcome, step.factor)?;
            prompt.id = id;
            prompt.time = moment.unwrap_or(prompt.time);
            prompt.message = step.said;
            events.push(prompt);
        }
    }
    if events.is_empty() && code == Some(MFA_FAILED) {
        events.push(from_status(fields)?);
    }
    Ok(events)
}

/// v1.0 of the API has no steps, only a sentence about the last one.
fn from_status(fields: &Fields<'_>) -> Result<Event, Problem> {
    let said = fields
        .text(&["status", "additionalDetails"])
        .or_else(|| fields.text(&["resultDescription"]))
        .unwrap_or_default();
    let factor = method(fields);
    let outcome = steps::outcome(&said, factor).unwrap_or(match factor {
        // A prompt failed and nothing says how: nobody answered it as it was meant.
        None | Some(Factor::Push | Factor::Call) => EventOutcome::TimedOut,
        Some(_) => EventOutcome::Failed,
    });
    let mut prompt = event(fields, EventKind::Prompt, outcome, factor.or(Some(Factor::Push)))?;
    prompt.message = said;
    Ok(prompt)
}

fn method(fields: &Fields<'_>) -> Option<Factor> {
    fields.text(&["mfaDetail", "authMethod"]).and_then(|name| steps::factor(&name))
}

/// The same step listed by several records of one flow is one event.
fn step_id(fields: &Fields<'_>, row: &Value, step: &Step) -> EventId {
    let flow = fields.text(&["correlationId"]).filter(|id| id != ZERO);
    let moment = text_at(row, &["authenticationStepDateTime"]);
    match (flow, moment) {
        (Some(flow), Some(moment)) => {
            event_id("entra", &format!("{flow}:{moment}:{}", step.method))
        }
        (_, moment) => fields.id(&format!("{}:{}", moment.unwrap_or_default(), step.said)),
    }
}

fn event(
    fields: &Fields<'_>,
    kind: EventKind,
    outcome: EventOutcome,
    factor: Option<Factor>,
) -> Result<Event, Problem> {
    let at = started(fields).ok_or(Problem::MissingField("createdDateTime"))?;
    let scrubbed = fields.text(&["id"]).is_none_or(|id| id == ZERO);
    let code = code(fields).unwrap_or(-1);
    // A scrubbed id is the same for all, and a forwarder's row may differ when sent again.
    let suffix = if scrubbed { format!("{code}:{}", rfc3339(at)) } else { code.to_string() };
    Ok(Event {
        id: fields.id(&suffix),
        kind,
        account: fields.account()?,
        time: at,
        outcome,
        factor,
        origin: origin(fields),
        ip: fields
            .text(&["ipAddress"])
            .or_else(|| fields.text(&["callerIpAddress"]))
            .and_then(|ip| ip.parse().ok()),
        asn: fields.get("autonomousSystemNumber").and_then(|asn| asn_at(&asn, &[])),
        place: place(fields),
        device: fields.text(&["deviceDetail", "deviceId"]),
        client: fields.client(),
        app: fields.text(&["appDisplayName"]),
        session: fields.text(&["sessionId"]),
        correlation: fields.text(&["correlationId"]).filter(|id| id != ZERO),
        factor_id: None,
        changed_by: ChangedBy::default(),
        new_device: None,
        message: fields.text(&["status", "additionalDetails"]).unwrap_or_default(),
        synthetic: false,
    })
}

fn started(fields: &Fields<'_>) -> Option<Time> {
    fields.time(&["createdDateTime", "time", "TimeGenerated"])
}

fn place(fields: &Fields<'_>) -> Option<Place> {
    ["locationDetails", "location"].iter().find_map(|name| {
        let there = |part| fields.text(&[name, part]);
        let place = Place { country: there("countryOrRegion"), city: there("city") };
        (place != Place::default()).then_some(place)
    })
}

/// What stood before the prompt: a password, none, or the reset of one.
fn origin(fields: &Fields<'_>) -> Origin {
    let app = fields.text(&["appDisplayName"]).unwrap_or_default().to_lowercase();
    if app.contains("password reset") {
        return Origin::Sspr;
    }
    let details = fields.get("authenticationDetails");
    let listed = details.as_ref().and_then(|d| d.as_array()).map(Vec::as_slice).unwrap_or_default();
    for row in listed.iter().take(64) {
        let name = text_at(row, &["authenticationMethod"]).unwrap_or_default().to_lowercase();
        if name.contains("passwordless") || name.contains("phone sign-in") {
            return Origin::Passwordless;
        }
        if matches!(steps::factor(&name), Some(Factor::Password)) {
            return Origin::Password;
        }
    }
    Origin::Unknown
}
