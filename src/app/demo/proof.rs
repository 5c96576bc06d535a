//! What must be so for the demonstration to have worked, by the lab's own word.

use serde::Serialize;

use super::DANA;
use crate::engine::driver::Engine;
use crate::lab::Lab;
use crate::lab::world::System;
use crate::model::id::IncidentId;
use crate::model::incident::IncidentStatus;
use crate::model::run::{Purpose, RunStatus};
use crate::model::time::Time;

/// One thing that must be so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) what: String,
    pub(crate) holds: bool,
}

fn finding(what: impl Into<String>, holds: bool) -> Finding {
    Finding { what: what.into(), holds }
}

pub(super) fn contained(engine: &Engine, lab: &Lab, incident: IncidentId) -> Vec<Finding> {
    let oracle = lab.oracle();
    let status = engine.read(|core| core.state.incidents.get(&incident).map(|i| i.status));
    let position = |effect: &str| {
        oracle
            .calls
            .iter()
            .position(|c| is_danas(c.login.as_deref()) && c.effect.as_deref() == Some(effect))
    };
    let last = |effect: &str| {
        oracle
            .calls
            .iter()
            .rposition(|c| is_danas(c.login.as_deref()) && c.effect.as_deref() == Some(effect))
    };
    let own_factors = |system| {
        oracle
            .condition(system, DANA)
            .is_some_and(|c| !c.factors.is_empty() && c.factors.iter().all(|f| !f.hostile))
    };
    let stamped = oracle.times(DANA, "password set");
    vec![
        finding("Quell says: contained", status == Some(IncidentStatus::Contained)),
        finding(
            "sessions were revoked before anything else",
            position("sessions revoked") < position("blocked"),
        ),
        finding(
            "sessions were revoked again at the end",
            last("sessions revoked") > last("password set"),
        ),
        finding("none of the attacker's sessions works", oracle.hostile_sessions(DANA) == 0),
        finding("sign-in is blocked in Entra and in Okta", oracle.is_blocked(DANA)),
        finding(format!("the password was replaced in both directories ({stamped})"), stamped == 2),
        finding(
            "the attacker's factor is gone",
            oracle.hostile_factors(DANA) == 0 && oracle.times(DANA, "factor removed") == 1,
        ),
        finding(
            "the person's own factors are still there",
            own_factors(System::Okta) && own_factors(System::Graph),
        ),
        finding(
            format!("exactly one ticket was opened ({})", oracle.tickets.len()),
            oracle.tickets.len() == 1,
        ),
    ]
}

fn is_danas(login: Option<&str>) -> bool {
    login.is_some_and(|l| l.eq_ignore_ascii_case(DANA))
}

pub(super) fn restored(engine: &Engine, lab: &Lab, incident: IncidentId) -> Vec<Finding> {
    let oracle = lab.oracle();
    let (status, said) = engine.read(|core| {
        let run = core.state.runs_of(incident).filter(|r| r.purpose == Purpose::Restore).last();
        let said: Vec<String> =
            run.iter().flat_map(|r| r.cells.values()).filter_map(|c| c.problem.clone()).collect();
        (run.map(|r| r.status), said)
    });
    let says = |capability: &str| {
        said.iter().any(|s| s.contains(capability) && s.contains("not reversible"))
    };
    vec![
        finding("the restore run succeeded", status == Some(RunStatus::Succeeded)),
        finding(
            "the account is open again in Entra and in Okta",
            oracle.times(DANA, "unblocked") == 2 && !oracle.is_blocked(DANA),
        ),
        finding(
            "it says that the password reset is not reversible",
            says("identity.reset_credentials"),
        ),
        finding(
            "it says that the removed factor is not reversible",
            says("identity.remove_factor"),
        ),
        finding(
            "it says that the revocations are not reversible",
            says("identity.revoke_sessions"),
        ),
    ]
}

/// First hostile prompt → contained, approval → contained, alert → contained.
pub(super) fn times(engine: &Engine, incident: IncidentId, posted_at: Time) -> String {
    engine.read(|core| {
        let Some(case) = core.state.incidents.get(&incident) else { return String::new() };
        let Some(at) = case.contained_at else { return "not contained".to_owned() };
        let since = |from: Time| {
            let ms = (at - from).num_milliseconds();
            if ms >= 60_000 {
                format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000)
            } else {
                format!("{}.{:03} s", ms / 1000, ms % 1000)
            }
        };
        let entry = case.hostile_entry_at.map_or_else(|| "none".to_owned(), since);
        format!(
            "time to verified containment: {} after the alert, {entry} after the hostile approval, {} after the first hostile prompt",
            since(posted_at),
            since(case.first_event_at),
        )
    })
}
