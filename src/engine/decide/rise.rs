//! Evidence that rises after a step was answered: which steps are due again, and which never are.
//!
//! Only steps whose `when` was false, items that did not exist, and effects that
//! end at a moment (revocation) and are older than the newest hostile entry, block
//! or reset. Never a second block, reset or ticket for what is already so.

use serde_json::Value;

use super::expand::is_true;
use super::{RoundView, View, flow};
use crate::engine::context::{Scopes, item_name};
use crate::engine::ports::Catalogue;
use crate::engine::state::State;
use crate::model::incident::{Incident, Stage};
use crate::model::plan::{Does, Plan, PlanStep};
use crate::model::run::{Cell, CellKey, CellState, Conclusion, Purpose, Round, Run};
use crate::model::time::Time;
use crate::template::{self, Context};

/// For a live run whose incident has risen since: the round to add.
pub(super) fn due_round(view: &View<'_>) -> Option<Round> {
    let incident = view.state.incidents.get(&view.run.incident)?;
    let over = view.run.purpose == Purpose::Restore || view.run.cancelled;
    if over || view.run.rises_seen >= incident.rises {
        return None;
    }
    let steps = due_steps(view.state, view.catalogue, view.run, &view.plan);
    (!steps.is_empty()).then(|| Round {
        prefix: format!("rise.{}/", view.run.rounds.len() + 1),
        started_at: view.now,
        steps,
    })
}

/// Which steps of a run's plan are due again, over all runs of the incident that ran this plan.
pub(crate) fn due_steps(
    state: &State,
    catalogue: &dyn Catalogue,
    run: &Run,
    plan: &Plan,
) -> Vec<String> {
    let Some(incident) = state.incidents.get(&run.incident) else { return Vec::new() };
    let scopes = Scopes::new(state, run, plan);
    let chain = Chain::of(state, run);
    let mut due: Vec<String> = Vec::new();
    for step in &plan.steps {
        if step.place.finally {
            continue;
        }
        // A round that has not come to it yet will look at what is known by then.
        let ahead = is_ahead(run, step);
        let own = !ahead
            && (chain.is_due(run, (plan, step), &scopes, catalogue, incident)
                || chain.is_let_in_since(state, (plan, step), &scopes, incident));
        // That round does not wait for what another one does: its revocation may come before the block.
        let behind = is_point_in_time(catalogue, step)
            && (ahead || chain.has_entered(step))
            && plan.after(step).flat_map(|id| plan.members(id)).any(|s| due.contains(&s.id));
        if own || behind {
            due.push(step.id.clone());
        }
    }
    if !due.is_empty() {
        due.extend(chain.last_steps(plan));
    }
    due
}

/// Whether a live run has a round with this step that has not reached it.
fn is_ahead(run: &Run, step: &PlanStep) -> bool {
    !run.status.ended()
        && super::rounds(run).iter().filter(|round| round.has(&step.id)).any(|round| {
            let path = format!("{}{}", round.prefix, step.id);
            !run.cells.keys().any(|key| key.step.as_str() == path)
        })
}

/// Whether a cell of a round is to be made at all: in a continuation, not for what is already so.
pub(super) fn is_needed(
    view: &View<'_>,
    round: &RoundView,
    step: &PlanStep,
    key: &CellKey,
) -> bool {
    if round.steps.is_none() {
        return true;
    }
    if is_point_in_time(view.catalogue, step) || says_what_came_of_it(step) {
        return true;
    }
    let chain = Chain::of(view.state, view.run);
    // A continuing run names its cells as the run before it did: only the item tells.
    let state = view.state;
    !chain
        .cells(step)
        .any(|c| c.key.item == key.item && holds(c) && !state.is_undone(view.run.incident, c))
}

/// The cells of all runs of one incident that ran one plan.
struct Chain<'s> {
    runs: Vec<&'s Run>,
}

impl<'s> Chain<'s> {
    fn of(state: &'s State, run: &Run) -> Self {
        let runs = state
            .runs_of(run.incident)
            .filter(|r| r.plan == run.plan && r.purpose != Purpose::Restore)
            .collect();
        Self { runs }
    }

    fn cells(&self, step: &PlanStep) -> impl Iterator<Item = &'s Cell> {
        let id = step.id.clone();
        self.runs.iter().flat_map(|r| r.cells()).filter(move |c| c.key.step.step() == id)
    }

    fn has_entered(&self, step: &PlanStep) -> bool {
        self.cells(step).any(|c| !was_skipped(c))
    }

    /// When a block or reset was last applied, or the hostile side last came in.
    fn stale_before(&self, catalogue: &dyn Catalogue, incident: &Incident) -> Option<Time> {
        incident.hostile_entry_at.filter(|at| {
            // Only an entry that no completed pass of the plan has seen; blocks and resets order themselves by `after`.
            self.runs.iter().flat_map(|r| r.cells()).any(|c| {
                c.done_at.is_some_and(|done| done < *at)
                    && c.capability
                        .as_ref()
                        .is_some_and(|cap| is_revocation(catalogue, cap.as_str()))
            })
        })
    }

    /// The steps of `finally` that a continuation ends with, if an earlier end has begun: those that
    /// did not run, and those that say what came of the others.
    fn last_steps(&self, plan: &Plan) -> Vec<String> {
        let last = || plan.steps.iter().filter(|step| step.place.finally);
        if !last().any(|step| self.cells(step).next().is_some()) {
            return Vec::new();
        }
        let again = |step: &&PlanStep| {
            says_what_came_of_it(step) || !self.cells(step).any(|cell| !was_skipped(cell))
        };
        last().filter(again).map(|step| step.id.clone()).collect()
    }

    fn is_due(
        &self,
        run: &Run,
        (plan, step): (&Plan, &PlanStep),
        scopes: &Scopes<'_>,
        catalogue: &dyn Catalogue,
        incident: &Incident,
    ) -> bool {
        let cells: Vec<&Cell> = self.cells(step).collect();
        let entered = cells.iter().any(|c| !was_skipped(c));
        let context = scopes.at(&step.place);
        let when = || asks_for(scopes, plan, step);
        if !entered {
            // Not reached yet is for the live round to do; only an answer that has become wrong is due.
            let answered = cells.iter().any(|c| was_skipped(c)) || self.has_ended(step, &cells);
            return answered && when();
        }
        let new = when() && Self::new_items(run, step, context, &cells);
        if is_point_in_time(catalogue, step) && cells.iter().any(|c| c.done_at.is_some()) {
            let newest = cells.iter().filter_map(|c| c.done_at).max();
            let stale = self.stale_before(catalogue, incident);
            return new || newest.zip(stale).is_some_and(|(done, stale)| done < stale);
        }
        let unanswered_anew =
            cells.iter().any(|c| was_refused_by_people(c)) && !cells.iter().any(|c| holds(c));
        new || (unanswered_anew && is_breached(&cells, incident) && when())
    }

    /// What was taken back is due again once the attacker came in after that.
    fn is_let_in_since(
        &self,
        state: &State,
        (plan, step): (&Plan, &PlanStep),
        scopes: &Scopes<'_>,
        incident: &Incident,
    ) -> bool {
        let since = |c: &Cell| {
            state.undone_at(incident.id, c).is_some_and(|at| incident.hostile_entry_at > Some(at))
        };
        self.cells(step).any(since) && asks_for(scopes, plan, step)
    }

    /// A `for_each` over nothing leaves no cell behind.
    fn has_ended(&self, step: &PlanStep, cells: &[&Cell]) -> bool {
        cells.is_empty() && step.for_each.is_some() && self.runs.iter().all(|r| r.status.ended())
    }

    fn new_items(run: &Run, step: &PlanStep, context: Context<'_>, cells: &[&Cell]) -> bool {
        let Some(for_each) = &step.for_each else { return false };
        // A live round with this step takes up what its list gains.
        if !run.status.ended() && super::rounds(run).iter().any(|round| round.has(&step.id)) {
            return false;
        }
        let Ok(Value::Array(items)) = template::evaluate(for_each, &context) else {
            return false;
        };
        items.iter().any(|item| {
            let name = item_name(item);
            !cells.iter().any(|c| c.key.item == name)
        })
    }
}

/// Whether the blocks around a step and its own condition let it through as things are.
fn asks_for(scopes: &Scopes<'_>, plan: &Plan, step: &PlanStep) -> bool {
    let context = scopes.at(&step.place);
    flow::would_pass(scopes, plan, step)
        && step
            .when
            .as_ref()
            .is_none_or(|w| template::evaluate(w, &context).is_ok_and(|v| is_true(&v)))
}

/// Its `when` was false: a marker without an item and without a capability.
fn was_skipped(cell: &Cell) -> bool {
    cell.conclusion() == Some(Conclusion::Skipped) && cell.capability.is_none()
}

fn was_refused_by_people(cell: &Cell) -> bool {
    matches!(cell.conclusion(), Some(Conclusion::Denied | Conclusion::Expired))
}

/// It is so, or is on its way to be so.
fn holds(cell: &Cell) -> bool {
    match &cell.state {
        CellState::Concluded { conclusion } => *conclusion == Conclusion::Succeeded,
        _ => true,
    }
}

/// The attacker has come in or changed something, and nothing of the step was ever begun: what people answered was said
/// of weaker evidence. Only a rise since then leads here.
fn is_breached(cells: &[&Cell], incident: &Incident) -> bool {
    incident.stage == Stage::Breached && cells.iter().all(|c| c.began_at.is_none())
}

/// A step of `finally` that uses what others came to says something else after a rise.
fn says_what_came_of_it(step: &PlanStep) -> bool {
    step.place.finally && !step.reads.is_empty()
}

fn is_revocation(catalogue: &dyn Catalogue, capability: &str) -> bool {
    catalogue.signature(capability).is_some_and(|s| s.point_in_time)
}

fn is_point_in_time(catalogue: &dyn Catalogue, step: &PlanStep) -> bool {
    match &step.does {
        Does::Use { name, .. } => is_revocation(catalogue, name),
        Does::Wait(_) | Does::Ask { .. } => false,
    }
}
