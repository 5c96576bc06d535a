//! When an incident counts as contained, and how a run ended.

use super::{View, is_look_up};
use crate::engine::context::{Scopes, item_name};
use crate::engine::ports::Catalogue;
use crate::model::action::Effect;
use crate::model::incident::IncidentStatus;
use crate::model::plan::{Does, PlanStep};
use crate::model::run::{Cell, Conclusion, Purpose, Run, RunStatus};
use crate::template;
use std::collections::BTreeMap;

/// Every `contain` step whose `when` held, not-applicable aside, has its newest cell succeeded on every item.
///
/// A success without read-back (`verify: none`) counts; its residual is named in the
/// containment table. Denied, expired, refused, unsupported and failed ones keep the incident open.
pub(super) fn now(view: &View<'_>, scopes: &Scopes<'_>) -> bool {
    let Some(incident) = view.state.incidents.get(&view.run.incident) else { return false };
    if incident.status != IncidentStatus::Open || view.run.purpose == Purpose::Restore {
        return false;
    }
    // Accounts that a source named since are not read yet.
    if view.state.subject(incident.subject).is_none_or(is_unread) {
        return false;
    }
    // An undo that is under way may have opened what is still held.
    let opening = |r: &Run| r.purpose == Purpose::Restore && !r.status.ended();
    if view.state.runs_of(incident.id).any(opening) {
        return false;
    }
    let mut newest: BTreeMap<(String, String), &Cell> = BTreeMap::new();
    let mut runs: Vec<&Run> =
        view.state.runs_of(incident.id).filter(|r| r.purpose != Purpose::Restore).collect();
    runs.sort_by_key(|r| r.id);
    for run in &runs {
        for cell in run.cells_by_round() {
            newest.insert((cell.key.step.step().to_owned(), cell.key.item.clone()), cell);
        }
    }
    let steps: Vec<&PlanStep> =
        view.plan.steps.iter().filter(|step| contains(view.catalogue, step)).collect();
    let of_step = |step: &PlanStep| -> Vec<&Cell> {
        newest.iter().filter(|((id, _), _)| *id == step.id).map(|(_, c)| *c).collect()
    };
    let answered = steps.iter().all(|step| {
        let cells = of_step(step);
        // A step without cells is one that was not reached, unless it is over an empty list.
        let reached = match &step.for_each {
            Some(list) => is_over_all_of(scopes, step, list, &cells),
            None => !cells.is_empty(),
        };
        let undone = |c: &&Cell| view.state.is_undone(incident.id, c);
        reached && cells.iter().all(|c| is_fine(c)) && !cells.iter().any(undone)
    });
    // What could not be looked up could not be contained.
    let unread = newest.values().any(|c| is_look_up(c) && !is_fine(c));
    let something = steps
        .iter()
        .any(|s| of_step(s).iter().any(|c| c.conclusion() == Some(Conclusion::Succeeded)));
    answered && something && !unread
}

fn is_unread(subject: &crate::model::subject::Subject) -> bool {
    subject.resolved_at.is_none() || !subject.silent.is_empty()
}

/// The run's own status at its end.
pub(super) fn end_status(view: &View<'_>) -> RunStatus {
    let bad = view.run.cells.values().any(|cell| {
        matches!(
            cell.conclusion(),
            Some(Conclusion::Failed | Conclusion::Refused | Conclusion::Expired)
        )
    });
    if bad { RunStatus::Failed } else { RunStatus::Succeeded }
}

fn is_fine(cell: &Cell) -> bool {
    match cell.conclusion() {
        Some(Conclusion::Succeeded) => true,
        Some(Conclusion::Skipped) => cell.not_applicable || cell.capability.is_none(),
        _ => false,
    }
}

/// Whether a step is one of containment.
pub(super) fn contains(catalogue: &dyn Catalogue, step: &PlanStep) -> bool {
    match &step.does {
        Does::Use { name, .. } => {
            catalogue.signature(name).is_some_and(|s| s.effect == Effect::Contain)
        }
        Does::Wait(_) | Does::Ask { .. } => false,
    }
}

/// Every item that there is has a cell, or the step was skipped as a whole.
fn is_over_all_of(scopes: &Scopes<'_>, step: &PlanStep, list: &str, cells: &[&Cell]) -> bool {
    if cells.iter().any(|c| c.key.item.is_empty() && is_fine(c)) {
        return true;
    }
    let items = template::evaluate(list, &scopes.at(&step.place));
    items.is_ok_and(|items| {
        items.as_array().is_some_and(|items| {
            items.iter().map(item_name).all(|name| cells.iter().any(|c| c.key.item == name))
        })
    })
}
