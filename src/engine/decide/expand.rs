//! A step becomes cells: its `when` and `for_each` are evaluated, its items named.

use serde_json::Value;

use super::{RoundView, View};
use crate::engine::context::item_name;
use crate::model::id::StepPath;
use crate::model::plan::{Block, Form, PlanStep};
use crate::model::run::{CellKey, CellState};
use crate::template::{self, Context};

/// One step for one item, before anything is known of it.
#[derive(Debug, Clone)]
pub(super) struct Sketch {
    pub(super) key: CellKey,
    pub(super) item: Option<Value>,
}

/// What a step comes to in a round.
pub(super) enum Expansion {
    /// It is over accounts that are not read yet.
    NeedsAccounts,
    /// Its `when` is false.
    Skipped(CellKey, String),
    /// It could not be evaluated, and no person has said yet to go on.
    Parked,
    /// Its `when` or `for_each` could not be evaluated.
    Broken(CellKey, String),
    Cells(Vec<Sketch>),
}

/// Evaluates a step of a round. `context` is without `item`.
pub(super) fn expand(
    view: &View<'_>,
    round: &RoundView,
    step: &PlanStep,
    context: Context<'_>,
) -> Expansion {
    let path = StepPath::new(format!("{}{}", round.prefix, step.id));
    let whole = CellKey { step: path.clone(), item: String::new() };
    if needs_accounts(step) && !accounts_are_read(view) {
        return Expansion::NeedsAccounts;
    }
    // A step over a list that was skipped as a whole has a mark in place of its cells.
    if step.for_each.is_some()
        && view.run.cells.get(&whole).is_some_and(|c| super::is_concluded(&c.state))
    {
        return Expansion::Skipped(whole, String::new());
    }
    // Its items must not run while a person is asked about the whole of it.
    if step.for_each.is_some()
        && (view.run.cells.get(&whole)).is_some_and(|c| matches!(c.state, CellState::Parked { .. }))
    {
        return Expansion::Parked;
    }
    let entered = view.run.cells.keys().any(|key| key.step == path);
    if let Some(when) = step.when.as_ref().filter(|_| !entered && !is_per_item(step)) {
        match template::evaluate(when, &context) {
            Ok(value) if is_true(&value) => {}
            Ok(_) => return Expansion::Skipped(whole, format!("`when: {when}` is false")),
            Err(error) => return Expansion::Broken(whole, format!("`when: {when}`: {error}")),
        }
    }
    let Some(for_each) = &step.for_each else {
        return Expansion::Cells(vec![Sketch { key: whole, item: None }]);
    };
    match template::evaluate(for_each, &context) {
        Ok(Value::Array(items)) => {
            let sketches = items.into_iter().map(|item| Sketch {
                key: CellKey { step: path.clone(), item: item_name(&item) },
                item: Some(item),
            });
            Expansion::Cells(sketches.collect())
        }
        Ok(_) => Expansion::Broken(whole, format!("`for_each: {for_each}` is not a list")),
        Err(error) => Expansion::Broken(whole, format!("`for_each: {for_each}`: {error}")),
    }
}

/// A condition that speaks of `item` is asked for each item.
pub(super) fn is_per_item(step: &PlanStep) -> bool {
    step.for_each.is_some()
        && step.when.as_ref().is_some_and(|when| {
            template::names(when).iter().any(|name| name.part(0) == Some("item"))
        })
}

pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64().is_some_and(|n| n != 0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(a) => !a.is_empty(),
        Value::Object(o) => !o.is_empty(),
    }
}

fn needs_accounts(step: &PlanStep) -> bool {
    step.for_each.iter().chain(&step.when).any(|text| speaks(text))
}

/// Whether what a block chooses by, or hands over, depends on the subject's accounts.
pub(super) fn speaks_of_accounts(block: &Block) -> bool {
    let by_form = match &block.form {
        Form::Parallel { .. } => false,
        Form::Switch { on, .. } => speaks(on),
        Form::Call { inputs, .. } => inputs.values().any(|value| speaks(&value.to_string())),
    };
    by_form || block.when.as_ref().is_some_and(|when| speaks(when))
}

fn speaks(text: &str) -> bool {
    ["subject.accounts", "subject.privileged", "subject.protected", "hostile_factors"]
        .iter()
        .any(|name| text.contains(name))
}

/// Read since the run started, or recently enough before.
pub(super) fn accounts_are_read(view: &View<'_>) -> bool {
    let Some(incident) = view.state.incidents.get(&view.run.incident) else { return false };
    let Some(subject) = view.state.subject(incident.subject) else { return false };
    // What an earlier run could not read, this one tries for itself.
    let age = if subject.silent.is_empty() {
        view.policy.directory_age.delta()
    } else {
        chrono::TimeDelta::zero()
    };
    subject.resolved_at.is_some_and(|at| at >= view.run.started_at - age)
}
