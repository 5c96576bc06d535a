//! Risk detections of Entra ID Protection: a person's own report, and what Microsoft takes for stolen or odd.
//!
//! Only the person's report, and the fraud mark of a prompt, say something alone. The rest is about sign-ins and not
//! about prompts: it counts beside failed prompts, and is its own policies' business otherwise. A kind that nobody
//! here knows is counted and named.

use std::borrow::Cow;

use super::super::parsed::Verdict;
use super::super::problem::Problem;
use super::{Fields, ZERO, audit};
use crate::model::event::{ChangedBy, Event, EventKind, EventOutcome, Origin, Place};
use crate::model::text::tame_field;

enum Meaning {
    /// The person's own word, or the mark of a prompt as fraud.
    Report,
    Fact(EventKind),
    Nothing(&'static str),
}

pub(super) fn record(fields: &Fields<'_>) -> Result<Verdict, Problem> {
    let kind = fields.text(&["riskEventType"]).or_else(|| fields.text(&["riskType"]));
    let kind = tame_field(&kind.unwrap_or_default());
    match meaning(&kind.to_lowercase()) {
        Some(Meaning::Report) => {
            let rule = if kind.eq_ignore_ascii_case("mfaFraud") {
                "entra.mfa_fraud"
            } else {
                "entra.user_reported_suspicious_activity"
            };
            audit::report(fields, fields.account()?, rule)
        }
        Some(Meaning::Fact(meant)) => event(fields, meant, kind).map(Verdict::event),
        Some(Meaning::Nothing(why)) => Ok(Verdict::irrelevant(why)),
        None if kind.is_empty() => Err(Problem::MissingField("riskEventType")),
        None => {
            let why = format!("a risk detection of a kind that is not known here: `{kind}`");
            Ok(Verdict::Irrelevant(Cow::Owned(why)))
        }
    }
}

/// What a kind says, by Microsoft's names in lower case; some are spelled differently in the portal's exports.
fn meaning(kind: &str) -> Option<Meaning> {
    Some(match kind {
        "userreportedsuspiciousactivity" | "mfafraud" => Meaning::Report,
        "anomaloustoken" | "attackerinthemiddle" | "tokenissueranomaly" | "attemptedprtaccess" => {
            Meaning::Fact(EventKind::StolenSession)
        }
        "passwordspray" | "leakedcredentials" => Meaning::Fact(EventKind::StolenPassword),
        "anonymizedipaddress"
        | "maliciousipaddress"
        | "maliciousipaddressvalidcredentialsblockedip"
        | "malwareinfectedipaddress"
        | "nationstateip"
        | "riskyipaddress"
        | "investigationsthreatintelligence"
        | "unlikelytravel"
        | "impossibletravel"
        | "mcasimpossibletravel"
        | "newcountry"
        | "suspiciousbrowser"
        | "unfamiliarfeatures" => Meaning::Fact(EventKind::OddSignIn),
        "suspiciousinboxforwarding" | "mcassuspiciousinboxmanipulationrules" => {
            Meaning::Fact(EventKind::InboxRule)
        }
        // It may be Quell's own `identity.mark_compromised` that comes back.
        "adminconfirmedusercompromised" => {
            Meaning::Nothing("what an administrator, or Quell itself, told Entra")
        }
        "generic" => Meaning::Nothing("a risk detection without detail, for lack of a licence"),
        "anomaloususeractivity"
        | "suspiciousapitraffic"
        | "suspicioussendingpatterns"
        | "mcasfinsuspiciousfileaccess" => {
            Meaning::Nothing("a risk detection that is about neither prompts nor access")
        }
        _ => return None,
    })
}

fn event(fields: &Fields<'_>, kind: EventKind, name: String) -> Result<Event, Problem> {
    let state = fields.text(&["riskState"]).unwrap_or_default().to_lowercase();
    let withdrawn = matches!(state.as_str(), "dismissed" | "confirmedsafe" | "remediated");
    let here = |part| fields.text(&["location", part]);
    let place = Place { country: here("countryOrRegion"), city: here("city") };
    Ok(Event {
        // What is withdrawn later comes under the same id.
        id: fields.id(if withdrawn { "withdrawn" } else { "" }),
        kind,
        account: fields.account()?,
        time: fields
            .time(&["activityDateTime", "detectedDateTime", "time", "TimeGenerated"])
            .ok_or(Problem::MissingField("activityDateTime"))?,
        outcome: if withdrawn { EventOutcome::Failed } else { EventOutcome::Succeeded },
        factor: None,
        origin: Origin::Unknown,
        ip: fields.text(&["ipAddress"]).and_then(|ip| ip.parse().ok()),
        asn: None,
        place: (place != Place::default()).then_some(place),
        device: None,
        client: fields.client(),
        app: None,
        session: None,
        correlation: fields.text(&["correlationId"]).filter(|id| id != ZERO),
        factor_id: None,
        changed_by: ChangedBy::Unknown,
        new_device: None,
        message: name,
        synthetic: false,
    })
}
