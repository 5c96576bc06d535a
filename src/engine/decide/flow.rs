//! Blocks: what they choose, which steps they let through, and what must come before `finally`.
//!
//! A block that chooses is answered once a round, and the answer is journalled: a case that was
//! taken stays taken although the evidence rises; the rise makes a round of its own.

use serde_json::Value;

use super::cell::Pass;
use super::expand::{accounts_are_read, is_true, speaks_of_accounts};
use super::{Command, RoundView, is_concluded, rounds};
use crate::engine::context::Scopes;
use crate::model::id::StepPath;
use crate::model::plan::{Block, Form, PlanStep};
use crate::model::run::{Cell, CellKey, CellState, Conclusion};
use crate::model::subject::AccountKey;
use crate::template;

/// A run that was under way at this many deaths of the process waits for a person.
pub(crate) const CRASHES_MAX: u32 = 3;

/// What a block came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Took {
    /// All of its branches, or what it calls.
    All,
    /// One case of a `switch`; `None` is its default.
    Case(Option<String>, String),
    /// None of its steps, and why.
    Nothing(String),
}

/// Whether the blocks around a step let it through.
pub(super) enum Way {
    Open,
    /// Not to be said yet.
    Wait,
    Shut(String),
    /// An expression of a block could not be evaluated.
    Broken(String),
}

impl Took {
    /// Whether the steps of a branch run; else why not.
    fn lets_through(&self, block: &Block, branch: Option<&str>) -> Result<(), String> {
        match self {
            Self::All => Ok(()),
            Self::Case(case, _) if case.as_deref() == branch => Ok(()),
            Self::Case(case, _) => {
                let taken =
                    case.as_ref().map_or_else(|| "its default".to_owned(), |c| format!("`{c}`"));
                Err(format!("`{}` took {taken}", block.id))
            }
            Self::Nothing(reason) => Err(reason.clone()),
        }
    }

    /// What was journalled of a block.
    fn recorded(block: &Block, cell: &Cell) -> Option<Self> {
        match (cell.conclusion()?, &block.form) {
            (Conclusion::Skipped, _) => Some(Self::Nothing(format!("`{}` was skipped", block.id))),
            (_, Form::Switch { .. }) => {
                let case = cell.output.get("case").and_then(Value::as_str).map(str::to_owned);
                Some(Self::Case(case, String::new()))
            }
            _ => Some(Self::All),
        }
    }
}

/// Answers a block's `when` and `switch`; an error says which of them could not be evaluated.
fn choose(block: &Block, scopes: &Scopes<'_>) -> Result<Took, String> {
    let scope = scopes.of(&block.place)?;
    if let Some(when) = &block.when {
        let holds = template::evaluate(when, &scope).map_err(|e| format!("`when: {when}`: {e}"))?;
        if !is_true(&holds) {
            return Ok(Took::Nothing(format!("`when: {when}` is false")));
        }
    }
    let Form::Switch { on, cases } = &block.form else { return Ok(Took::All) };
    let value = template::evaluate(on, &scope).map_err(|e| format!("`switch: {on}`: {e}"))?;
    let word = match value {
        Value::String(text) => Some(text),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null => None,
        Value::Array(_) | Value::Object(_) => {
            return Err(format!("`switch: {on}` gives a list or an object"));
        }
    };
    let shown = word.as_deref().unwrap_or("nothing");
    let reason = format!("`{on}` is `{}`", crate::model::text::tame_field(shown));
    Ok(Took::Case(word.filter(|word| cases.contains(word)), reason))
}

/// Whether the blocks around a step let it through as things are, whatever was answered before.
pub(super) fn would_pass(
    scopes: &Scopes<'_>,
    plan: &crate::model::plan::Plan,
    step: &PlanStep,
) -> bool {
    plan.around(&step.place).into_iter().all(|(block, branch)| {
        choose(block, scopes).is_ok_and(|took| took.lets_through(block, branch).is_ok())
    })
}

impl Pass<'_, '_> {
    /// Walks every round, whether or not the one before has concluded, and then what comes last.
    /// True when all of it has concluded.
    pub(super) fn rounds(&mut self) -> bool {
        let rounds = rounds(self.view.run);
        let mut all = true;
        for round in &rounds {
            all &= self.round(round, |step| !step.place.finally);
        }
        if !self.view.plan.steps.iter().any(|step| step.place.finally) {
            return all;
        }
        // What was said in this pass is not yet so for the expressions of the last steps.
        let may_begin = all && self.out.commands.is_empty();
        for round in &rounds {
            let prefix = round.prefix.clone();
            let begun = |step: &PlanStep| {
                let path = StepPath::new(format!("{prefix}{}", step.id));
                self.view.run.cells.keys().any(|key| key.step == path)
            };
            let due: Vec<String> = (self.view.plan.steps.iter())
                .filter(|step| step.place.finally && (may_begin || begun(step)))
                .map(|step| step.id.clone())
                .collect();
            let finished = self.round(round, |step| due.contains(&step.id));
            all &= may_begin && finished;
        }
        all
    }

    /// What ends a step before its own conditions are asked.
    pub(super) fn ended_by(&self, step: &PlanStep) -> Option<String> {
        let crashes = self.view.run.crashes;
        if step.place.finally {
            let quarantined = crashes >= CRASHES_MAX;
            return quarantined.then(|| format!("the process died {crashes} times in this run"));
        }
        let by = step.place.within.as_ref().and_then(|_| self.stopped_by(step))?;
        Some(format!("step `{by}` failed, on_error: stop"))
    }

    /// A failed step that says `stop` and that this one follows.
    pub(super) fn stopped_by(&self, step: &PlanStep) -> Option<String> {
        let plan = &self.view.plan;
        let follows = |place| !plan.side_by_side(place, &step.place);
        self.stops.iter().find(|(place, _)| follows(place)).map(|(_, by)| by.clone())
    }

    /// Whether an earlier step of this run is still about the account, or may yet be.
    pub(super) fn is_behind(&self, step: &PlanStep, account: &AccountKey, passing: bool) -> bool {
        let plan = &self.view.plan;
        self.held.iter().any(|held| {
            let same = match &held.account {
                Some(held) => held == account,
                // Which accounts it will be about is not known: what follows its block waits.
                None => plan.leaves(&held.place, &step.place),
            };
            same && !(held.asked && passing) && !plan.side_by_side(&held.place, &step.place)
        })
    }

    /// Whether a step, or every step of a block, has concluded in the round at hand.
    pub(super) fn is_done(&self, id: &str) -> bool {
        let done = |step: &PlanStep| self.concluded.get(&step.id).copied().unwrap_or(true);
        self.view.plan.members(id).all(done)
    }

    /// Whether expressions can see what a step came to. What concludes in this very pass is not told
    /// yet: the next one sees it.
    pub(super) fn is_known(&self, id: &str) -> bool {
        self.is_done(id) && (self.out.commands.is_empty() || self.scopes.tells(id))
    }

    /// Whether what the step and the blocks around it name under `after` has concluded.
    pub(super) fn may_follow(&self, step: &PlanStep) -> bool {
        self.view.plan.after(step).all(|id| self.is_done(id))
    }

    /// Asks the blocks around a step, outermost first. Answers that are new are said.
    pub(super) fn way(&mut self, round: &RoundView, step: &PlanStep) -> Way {
        let plan = self.view.plan.clone();
        for (block, branch) in plan.around(&step.place) {
            match self.way_into(round, block, branch) {
                Way::Open => {}
                other => return other,
            }
        }
        Way::Open
    }

    fn way_into(&mut self, round: &RoundView, block: &Block, branch: Option<&str>) -> Way {
        let path = StepPath::new(format!("{}{}", round.prefix, block.id));
        let key = CellKey { step: path, item: String::new() };
        let recorded = self.view.run.cells.get(&key).and_then(|c| Took::recorded(block, c));
        if let Some(Err(reason)) = recorded.as_ref().map(|took| took.lets_through(block, branch)) {
            return Way::Shut(reason);
        }
        if block.reads.iter().any(|read| !self.is_known(read)) {
            return Way::Wait;
        }
        if speaks_of_accounts(block) && !accounts_are_read(self.view) {
            self.look_up();
            return Way::Wait;
        }
        if block.chooses() && recorded.is_none() {
            return match choose(block, self.scopes) {
                Err(problem) => Way::Broken(problem),
                Ok(took) => {
                    let command = Command::Decide { cell: key, took };
                    if !self.out.commands.contains(&command) {
                        self.out.commands.push(command);
                    }
                    Way::Wait
                }
            };
        }
        match self.scopes.inputs_of(block) {
            Err(problem) => Way::Broken(problem),
            Ok(()) => Way::Open,
        }
    }

    /// The round's cells of a step that have a place in the journal.
    pub(super) fn cells_of(&self, round: &RoundView, step: &PlanStep) -> Vec<&Cell> {
        let path = StepPath::new(format!("{}{}", round.prefix, step.id));
        self.view.run.cells().filter(|cell| cell.key.step == path).collect()
    }

    /// A cancelled run's step: what was sent is seen through, the rest is left out.
    pub(super) fn wind_down(
        &mut self,
        whole: &CellKey,
        round: &RoundView,
        step: &PlanStep,
    ) -> bool {
        let cells: Vec<Cell> = self.cells_of(round, step).into_iter().cloned().collect();
        let reason = "the run was cancelled";
        if cells.is_empty() {
            return self.conclude_unless(whole, Conclusion::Skipped, reason.to_owned());
        }
        let mut all = true;
        self.seen.extend(cells.iter().map(|cell| cell.key.clone()));
        for cell in cells.iter().filter(|cell| !is_concluded(&cell.state)) {
            all &= match cell.state {
                CellState::Intended | CellState::InDoubt { .. } | CellState::Applied { .. } => {
                    self.begun(cell, None).unwrap_or(false)
                }
                _ => {
                    let tried = cell.attempt > 0;
                    let conclusion = if tried { Conclusion::Failed } else { Conclusion::Skipped };
                    let (cell, reason) = (cell.key.clone(), reason.to_owned());
                    self.out.commands.push(Command::Settle { cell, conclusion, reason });
                    true
                }
            };
        }
        all
    }
}
