//! One pass over a run's cells: what each can do now, in written order.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::contained;
use super::expand::{Expansion, Sketch, bound, expand, is_per_item};
use super::{Command, Decided, LookUp, RoundView, Skip, View, is_concluded, rise};
use crate::approval::statement::sha256_hex;
use crate::engine::context::context;
use crate::model::action::{ActionSpec, Call};
use crate::model::approval::{ApprovalState, Item};
use crate::model::id::ApprovalId;
use crate::model::plan::{AskRule, Does, OnError, PlanStep};
use crate::model::run::{Cell, CellKey, CellState, Conclusion, WaitingOn};
use crate::model::subject::{Account, AccountKey};
use crate::template;

pub(super) struct Pass<'a, 'v> {
    pub(super) view: &'a View<'v>,
    pub(super) out: &'a mut Decided,
    pub(super) context: Value,
    pub(super) to_ask: Vec<(Item, Option<AskRule>)>,
    pub(super) waiting: Option<WaitingOn>,
    /// Some containment step of some round has not concluded.
    pub(super) contain_open: bool,
    /// Steps of the round at hand: whether all their cells have concluded.
    pub(super) concluded: BTreeMap<String, bool>,
    /// Accounts that an earlier, unconcluded cell of this run is about; `true` = it only waits for people.
    pub(super) held: Vec<(AccountKey, bool)>,
    pub(super) stopped_by: Option<String>,
    /// Cells that some round came to.
    seen: BTreeSet<CellKey>,
}

/// A cell with all that is needed to judge and start it.
pub(super) struct Ready<'s> {
    pub(super) step: &'s PlanStep,
    pub(super) sketch: Sketch,
    pub(super) account: Option<Account>,
    pub(super) key: Option<AccountKey>,
    pub(super) spec: ActionSpec,
    pub(super) call: Call,
}

impl<'a, 'v> Pass<'a, 'v> {
    pub(super) fn new(view: &'a View<'v>, out: &'a mut Decided) -> Self {
        let context = context(view.state, view.run, &view.plan);
        Self {
            view,
            out,
            context,
            to_ask: Vec::new(),
            waiting: None,
            contain_open: false,
            concluded: BTreeMap::new(),
            held: Vec::new(),
            stopped_by: None,
            seen: BTreeSet::new(),
        }
    }

    /// Walks one round; true when all of it has concluded.
    pub(super) fn round(&mut self, round: &RoundView) -> bool {
        self.concluded.clear();
        self.held.clear();
        self.stopped_by = None;
        let plan = self.view.plan.clone();
        let mut all = true;
        for step in plan.steps.iter().filter(|step| round.has(&step.id)) {
            let done = self.step(round, step);
            self.contain_open |= !done && contained::contains(self.view.catalogue, step);
            self.concluded.insert(step.id.clone(), done);
            all &= done;
        }
        all
    }

    /// Cells under way whose item is in no list any more are brought to their end all the same.
    fn is_left(&self, cell: &Cell) -> bool {
        let under_way = matches!(
            cell.state,
            CellState::Intended
                | CellState::InDoubt { .. }
                | CellState::Applied { .. }
                | CellState::Retrying { .. }
                | CellState::Asked { .. }
        );
        under_way && !self.seen.contains(&cell.key)
    }

    /// True when nothing was left.
    pub(super) fn what_is_left(&mut self) -> bool {
        let run = self.view.run;
        let left: Vec<&Cell> = run.cells.values().filter(|c| self.is_left(c)).collect();
        let mut all = true;
        for cell in left {
            all &= self.begun(cell, None).unwrap_or(true);
        }
        all
    }

    pub(super) fn is_done(&self, step: &str) -> bool {
        self.concluded.get(step).copied().unwrap_or(true)
    }

    pub(super) fn step(&mut self, round: &RoundView, step: &PlanStep) -> bool {
        if step.reads.iter().any(|read| !self.is_done(read)) {
            return false;
        }
        match expand(self.view, round, step, &self.context) {
            Expansion::NeedsAccounts => self.look_up(),
            Expansion::Skipped(key, reason) => {
                self.conclude_unless(&key, Conclusion::Skipped, reason)
            }
            Expansion::Broken(key, reason) => self.broken(step, &key, reason),
            Expansion::Cells(sketches) => {
                let mut all = true;
                for sketch in sketches {
                    all &= self.sketch(round, step, sketch);
                }
                all
            }
        }
    }

    pub(super) fn look_up(&mut self) -> bool {
        match self.view.busy.look_up(self.view.run.id) {
            LookUp::UnderWay => {}
            LookUp::Again(at) => self.out.wake_at(at),
            LookUp::Due if self.out.commands.contains(&Command::LookUp) => {}
            LookUp::Due => self.out.commands.push(Command::LookUp),
        }
        false
    }

    pub(super) fn existing(&self, key: &CellKey) -> Option<&'v Cell> {
        self.view.run.cells.get(key)
    }

    /// Ends a whole step, once.
    pub(super) fn conclude_unless(
        &mut self,
        key: &CellKey,
        conclusion: Conclusion,
        reason: String,
    ) -> bool {
        if self.existing(key).is_none() {
            self.out.commands.push(Command::Skip(Box::new(Skip {
                cell: key.clone(),
                capability: None,
                account: None,
                conclusion,
                not_applicable: false,
                reason,
            })));
        }
        true
    }

    /// A containment step whose condition cannot be evaluated never skips silently.
    pub(super) fn broken(&mut self, step: &PlanStep, key: &CellKey, problem: String) -> bool {
        let contains = match &step.does {
            Does::Use { name, .. } => name.starts_with("identity."),
            _ => false,
        };
        if !contains {
            return self.conclude_unless(key, Conclusion::Failed, problem);
        }
        if self.existing(key).is_none() {
            self.out.commands.push(Command::Park { cell: key.clone(), problem });
        }
        self.wait_for(WaitingOn::Operator);
        false
    }

    pub(super) fn wait_for(&mut self, on: WaitingOn) {
        // What a person can do something about is said first.
        let rank = |w: WaitingOn| match w {
            WaitingOn::Timer => 0,
            WaitingOn::Connection => 1,
            WaitingOn::Approval => 2,
            WaitingOn::Operator => 3,
        };
        if self.waiting.is_none_or(|w| rank(on) > rank(w)) {
            self.waiting = Some(on);
        }
    }

    pub(super) fn sketch(&mut self, round: &RoundView, step: &PlanStep, sketch: Sketch) -> bool {
        let cell = self.existing(&sketch.key);
        self.seen.insert(sketch.key.clone());
        if cell.is_some_and(|c| is_concluded(&c.state)) {
            let failed = cell.and_then(Cell::conclusion).is_some_and(|c| c == Conclusion::Failed);
            if failed && step.on_error == OnError::Stop {
                self.stopped_by.get_or_insert_with(|| step.id.clone());
            }
            return true;
        }
        if cell.is_none() && !rise::is_needed(self.view, round, step, &sketch.key) {
            return true;
        }
        if cell.is_none()
            && let Some(by) = self.stopped_by.clone()
        {
            return self.conclude_unless(
                &sketch.key,
                Conclusion::Skipped,
                format!("step `{by}` failed, on_error: stop"),
            );
        }
        if cell.is_none() && is_per_item(step) && !self.holds_for(step, &sketch) {
            let reason = "its condition is false for this item".to_owned();
            return self.conclude_unless(&sketch.key, Conclusion::Skipped, reason);
        }
        match &step.does {
            Does::Wait(span) => self.wait_step(step, &sketch, span.delta()),
            Does::Ask { message } => self.own_question(step, &sketch, cell, message),
            Does::Use { name, connection, with } => {
                let ready = self.ready(step, &sketch, name, connection.as_ref(), with);
                self.use_step(sketch, cell, ready)
            }
        }
    }

    /// A condition that cannot be evaluated for an item does not skip it: people are asked.
    fn holds_for(&self, step: &PlanStep, sketch: &Sketch) -> bool {
        let context = bound(&self.context, sketch);
        step.when
            .as_ref()
            .is_none_or(|when| template::holds(when, &(&context).into()).unwrap_or(true))
    }

    pub(super) fn wait_step(
        &mut self,
        step: &PlanStep,
        sketch: &Sketch,
        span: chrono::TimeDelta,
    ) -> bool {
        match self.existing(&sketch.key).map(|c| &c.state) {
            Some(CellState::Waiting { until }) if *until <= self.view.now => {
                self.out.commands.push(Command::Settle {
                    cell: sketch.key.clone(),
                    conclusion: Conclusion::Succeeded,
                    reason: String::new(),
                });
                true
            }
            Some(CellState::Waiting { until }) => {
                self.out.wake_at(*until);
                self.wait_for(WaitingOn::Timer);
                false
            }
            _ => {
                if step.after.iter().all(|id| self.is_done(id)) {
                    let until = self.view.now + span;
                    self.out.commands.push(Command::BeginWait { cell: sketch.key.clone(), until });
                }
                false
            }
        }
    }

    /// A question of the playbook's own: an item without an action.
    pub(super) fn own_question(
        &mut self,
        step: &PlanStep,
        sketch: &Sketch,
        cell: Option<&Cell>,
        message: &str,
    ) -> bool {
        match cell.map(|c| &c.state) {
            None if step.after.iter().all(|id| self.is_done(id)) => {
                let item = Item {
                    cell: sketch.key.clone(),
                    capability: "approval.ask".into(),
                    action: "approval/ask".into(),
                    target: String::new(),
                    account: None,
                    target_name: message.to_owned(),
                    params: sha256_hex(message.as_bytes()),
                    inputs: BTreeMap::new(),
                    reason: message.to_owned(),
                    reversal: String::new(),
                };
                self.to_ask.push((item, step.approval.clone()));
                false
            }
            Some(CellState::Asked { approval }) => self.asked(*approval),
            Some(CellState::Granted { .. }) => {
                self.out.commands.push(Command::Settle {
                    cell: sketch.key.clone(),
                    conclusion: Conclusion::Succeeded,
                    reason: String::new(),
                });
                true
            }
            _ => false,
        }
    }

    pub(super) fn asked(&mut self, approval: ApprovalId) -> bool {
        if let Some(question) = self.view.state.approvals.get(&approval) {
            if question.state == ApprovalState::Pending && question.expires_at <= self.view.now {
                let command = Command::Expire { approval };
                if !self.out.commands.contains(&command) {
                    self.out.commands.push(command);
                }
            } else {
                self.out.wake_at(question.expires_at);
            }
        }
        self.wait_for(WaitingOn::Approval);
        false
    }
}
