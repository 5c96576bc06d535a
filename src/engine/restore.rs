//! The way back: a run that takes off what one incident holds, in reverse, by a person's decision.

use serde_json::json;
use std::collections::BTreeMap;

use super::context::account_value;
use super::ports::Catalogue;
use super::state::State;
use crate::model::action::{Effect, Reversal};
use crate::model::id::{IncidentId, PlaybookName};
use crate::model::incident::Incident;
use crate::model::plan::{Does, Plan, PlanStep};
use crate::model::run::{Cell, Conclusion, Purpose, Run};
use crate::model::subject::AccountKey;

/// The name of restore runs' own plans.
pub(crate) const RESTORE: &str = "restore";
/// Who starts the undo of a hold that ran out while everything was clean.
pub(crate) const CLEAN_EXPIRY: &str = "expiry-clean";
/// Who starts it otherwise: people are asked.
pub(crate) const EXPIRY: &str = "expiry";
/// Who starts the undo of what people refused to ratify; the run names whose no it was.
pub(crate) const NOT_RATIFIED: &str = "not-ratified";

/// Whether a way back was settled before it began, so that nobody is asked again.
pub(crate) fn is_settled(run: &Run) -> bool {
    run.purpose == Purpose::Restore
        && (run.decided_by.is_some() || run.started_by.as_deref() == Some(CLEAN_EXPIRY))
}

/// Names that stand for Quell itself: nobody may ask for a way back under them.
pub(crate) fn is_reserved(name: &str) -> bool {
    [CLEAN_EXPIRY, EXPIRY, NOT_RATIFIED].contains(&name)
}

/// What restoring an incident would do, and what it cannot.
pub(crate) struct WayBack {
    pub(crate) plan: Plan,
    /// Cells that were done and have no undo, with how they are recovered.
    pub(crate) not_reversible: Vec<(Cell, String)>,
}

/// The plan that takes off an incident's holds, newest first; `only` restricts it to one account.
pub(crate) fn way_back(
    state: &State,
    catalogue: &dyn Catalogue,
    incident: &Incident,
    only: Option<&AccountKey>,
) -> WayBack {
    let mut holds: Vec<_> = state
        .holds_of(incident.id)
        .filter(|(holds, _)| only.is_none_or(|account| holds.account == *account))
        .collect();
    holds.sort_by_key(|(_, hold)| std::cmp::Reverse(hold.placed_at));
    let subject = state.subject(incident.subject);
    let mut steps = Vec::new();
    for (holds, hold) in holds {
        let connection = &holds.account.connection;
        let undo = catalogue
            .resolve(hold.action.as_str(), connection, None)
            .ok()
            .and_then(|spec| spec.undo);
        let Some(undo) = undo else { continue };
        let account = subject.and_then(|s| s.account(&holds.account)).map_or_else(
            || json!({ "connection": connection, "id": holds.account.provider_id }),
            account_value,
        );
        let input = catalogue.item_input(undo.as_str()).unwrap_or_else(|| "account".to_owned());
        let does = Does::Use {
            name: undo.0,
            connection: Some(connection.clone()),
            with: BTreeMap::from([(input, account)]),
        };
        steps.push(PlanStep::new(format!("undo_{}", steps.len() + 1), does));
    }
    let plan = Plan {
        name: PlaybookName::new(RESTORE),
        title: "Take back what this incident changed".to_owned(),
        attack: Vec::new(),
        triggers: Vec::new(),
        also: false,
        mode: None,
        watch: None,
        inputs: BTreeMap::new(),
        blocks: Vec::new(),
        steps,
    };
    WayBack { plan, not_reversible: not_reversible(state, catalogue, incident.id) }
}

fn not_reversible(
    state: &State,
    catalogue: &dyn Catalogue,
    incident: IncidentId,
) -> Vec<(Cell, String)> {
    let mut found = Vec::new();
    for run in state.runs_of(incident).filter(|r| r.purpose != Purpose::Restore) {
        for cell in run.cells.values().filter(|c| c.conclusion() == Some(Conclusion::Succeeded)) {
            let Some(signature) =
                cell.capability.as_ref().and_then(|c| catalogue.signature(c.as_str()))
            else {
                continue;
            };
            let how = match (signature.effect, signature.reversal) {
                (Effect::Contain, Reversal::Recover) => {
                    "not reversible: recovered through the help desk"
                }
                (Effect::Contain, Reversal::None) => "not reversible: the person signs in again",
                _ => continue,
            };
            let known = found.iter().any(|(c, _): &(Cell, String)| {
                c.capability == cell.capability && c.account == cell.account
            });
            if !known {
                found.push(((**cell).clone(), how.to_owned()));
            }
        }
    }
    found
}
