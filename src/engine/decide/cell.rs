//! One pass over a run's cells: what each can do now, in written order.

use std::collections::{BTreeMap, BTreeSet};

use super::contained;
use super::expand::{Expansion, Sketch, expand, is_per_item};
use super::flow::Way;
use super::{
    Asking, Command, Decided, LookUp, RoundView, Skip, View, is_concluded, look_up_lane, rise,
};
use crate::approval::statement::sha256_hex;
use crate::engine::context::Scopes;
use crate::model::action::{ActionSpec, Call, Rank};
use crate::model::approval::{ApprovalState, Item, Tier};
use crate::model::id::{ApprovalId, StepPath};
use crate::model::plan::{Does, OnError, Place, PlanStep};
use crate::model::run::{Cell, CellKey, CellState, Conclusion, WaitingOn};
use crate::model::subject::{Account, AccountKey};
use crate::template::{self, Context};

pub(super) struct Pass<'a, 'v> {
    pub(super) view: &'a View<'v>,
    pub(super) out: &'a mut Decided,
    pub(super) scopes: &'a Scopes<'a>,
    pub(super) to_ask: Vec<Asking>,
    pub(super) waiting: Option<WaitingOn>,
    /// Some containment step of some round has not concluded.
    pub(super) contain_open: bool,
    /// Steps of the round at hand: whether all their cells have concluded.
    pub(super) concluded: BTreeMap<String, bool>,
    /// Earlier cells of the round that have not concluded.
    pub(super) held: Vec<Held>,
    /// Failed steps that say `on_error: stop`.
    pub(super) stops: Vec<(Place, String)>,
    /// Cells that some round came to.
    pub(super) seen: BTreeSet<CellKey>,
    /// Cells that wait for an answer which they need no more.
    pub(super) overtaken: BTreeSet<CellKey>,
}

/// An unconcluded cell that what follows on the same account waits for.
pub(super) struct Held {
    pub(super) place: Place,
    /// Unknown while its step cannot be evaluated.
    pub(super) account: Option<AccountKey>,
    /// It only waits for people.
    pub(super) asked: bool,
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
    pub(super) fn new(view: &'a View<'v>, scopes: &'a Scopes<'a>, out: &'a mut Decided) -> Self {
        Self {
            view,
            out,
            scopes,
            to_ask: Vec::new(),
            waiting: None,
            contain_open: false,
            concluded: BTreeMap::new(),
            held: Vec::new(),
            stops: Vec::new(),
            seen: BTreeSet::new(),
            overtaken: BTreeSet::new(),
        }
    }

    /// Walks some steps of one round; true when all of them have concluded.
    pub(super) fn round(&mut self, round: &RoundView, which: impl Fn(&PlanStep) -> bool) -> bool {
        self.concluded.clear();
        self.held.clear();
        self.stops.clear();
        let plan = self.view.plan.clone();
        let mut all = true;
        for step in plan.steps.iter().filter(|step| round.has(&step.id) && which(step)) {
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
        let left: Vec<&Cell> = run.cells().filter(|c| self.is_left(c)).collect();
        let mut all = true;
        for cell in left {
            all &= self.begun(cell, None).unwrap_or(true);
        }
        all
    }

    /// What expressions of a step see, with the item of a sketch.
    pub(super) fn context<'c>(
        &'c self,
        step: &PlanStep,
        sketch: Option<&'c Sketch>,
    ) -> Context<'c> {
        self.scopes.at(&step.place).with_item(sketch.and_then(|s| s.item.as_ref()))
    }

    pub(super) fn step(&mut self, round: &RoundView, step: &PlanStep) -> bool {
        let path = StepPath::new(format!("{}{}", round.prefix, step.id));
        let whole = CellKey { step: path, item: String::new() };
        if self.view.run.cancelled && !step.place.finally {
            return self.wind_down(&whole, round, step);
        }
        if let Some(reason) = self.ended_by(step)
            && self.cells_of(round, step).is_empty()
        {
            return self.conclude_unless(&whole, Conclusion::Skipped, reason);
        }
        match self.way(round, step) {
            Way::Open => self.open_step(round, step),
            Way::Wait => self.not_yet(step),
            Way::Shut(reason) => self.shut(&whole, reason),
            // A person who resumes it has answered in the expression's place.
            Way::Broken(_) if self.was_resumed(&whole) => self.open_step(round, step),
            Way::Broken(problem) => self.broken(step, &whole, problem),
        }
    }

    /// A step whose blocks let it through.
    fn open_step(&mut self, round: &RoundView, step: &PlanStep) -> bool {
        if step.reads.iter().any(|read| !self.is_known(read)) {
            return self.not_yet(step);
        }
        match expand(self.view, round, step, self.context(step, None)) {
            Expansion::NeedsAccounts => self.look_up(),
            Expansion::Parked => {
                self.wait_for(WaitingOn::Operator);
                false
            }
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

    /// Nothing can be said of it yet. What follows its block on any account waits for it.
    fn not_yet(&mut self, step: &PlanStep) -> bool {
        if let (Some(_), Does::Use { name, .. }) = (&step.place.within, &step.does)
            && self.view.catalogue.item_input(name).is_some()
        {
            let place = step.place.clone();
            self.held.push(Held { place, account: None, asked: false });
        }
        false
    }

    /// A step that a block leaves out, unless it waits for a person already.
    fn shut(&mut self, whole: &CellKey, reason: String) -> bool {
        if self.existing(whole).is_some_and(|cell| !is_concluded(&cell.state)) {
            self.wait_for(WaitingOn::Operator);
            return false;
        }
        self.conclude_unless(whole, Conclusion::Skipped, reason)
    }

    fn was_resumed(&self, whole: &CellKey) -> bool {
        let parked = |cell: &Cell| matches!(cell.state, CellState::Parked { .. });
        self.existing(whole).is_some_and(|cell| !parked(cell) && !is_concluded(&cell.state))
    }

    pub(super) fn look_up(&mut self) -> bool {
        match self.view.busy.look_up(self.view.run.id) {
            LookUp::UnderWay => {}
            LookUp::Again(at) => self.out.wake_at(at),
            LookUp::Due if self.out.commands.contains(&Command::LookUp) => {}
            LookUp::Due => {
                // Before containment, because it is what containment waits for.
                if self.lane_is_free(Some(&look_up_lane()), Rank::Contain) {
                    self.out.commands.push(Command::LookUp);
                }
            }
        }
        false
    }

    /// Whether some connection has not told yet which accounts the person has; asks it when due.
    pub(super) fn reads_accounts(&mut self) -> bool {
        let open = |c: &Cell| super::is_look_up(c) && c.conclusion().is_none();
        let due = self.view.run.cells().filter(|c| open(c)).map(|c| match &c.state {
            CellState::Waiting { until } => *until,
            _ => self.view.now,
        });
        match due.min() {
            None => return false,
            Some(at) if at > self.view.now => self.out.wake_at(at),
            Some(_) => {
                self.look_up();
            }
        }
        self.wait_for(WaitingOn::Connection);
        true
    }

    /// Whether the person's accounts are still to be read since this run began: what somebody else has done to them
    /// meanwhile decides whether they may be opened.
    pub(super) fn reads_anew(&mut self) -> bool {
        let incident = self.view.state.incidents.get(&self.view.run.incident);
        let subject = incident.and_then(|i| self.view.state.subject(i.subject));
        let since = self.view.run.started_at;
        if subject.and_then(|s| s.resolved_at).is_some_and(|at| at >= since) {
            return false;
        }
        self.look_up();
        self.wait_for(WaitingOn::Connection);
        true
    }

    pub(super) fn existing(&self, key: &CellKey) -> Option<&'v Cell> {
        self.view.run.cells.get(key).map(AsRef::as_ref)
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
        if cell.is_some() {
            self.seen.insert(sketch.key.clone());
        }
        if cell.is_some_and(|c| is_concluded(&c.state)) {
            let failed = cell.and_then(Cell::conclusion).is_some_and(|c| c == Conclusion::Failed);
            if failed && step.on_error == OnError::Stop {
                self.stops.push((step.place.clone(), step.id.clone()));
            }
            return true;
        }
        if cell.is_none() && !rise::is_needed(self.view, round, step, &sketch.key) {
            return true;
        }
        if cell.is_none()
            && let Some(by) = self.stopped_by(step)
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
                // Only questions, doubt and a retry look at the call as it would be built today.
                if let Some(cell) = cell.filter(|c| is_settled_by_itself(&c.state)) {
                    return self.go_on(step, &sketch, cell, None).unwrap_or(false);
                }
                if cell.is_none() && self.only_waits(step, name) {
                    return false;
                }
                let ready = self.ready(step, &sketch, name, connection.as_ref(), with);
                self.use_step(step, sketch, cell, ready)
            }
        }
    }

    /// A condition that cannot be evaluated for an item does not skip it: people are asked.
    fn holds_for(&self, step: &PlanStep, sketch: &Sketch) -> bool {
        let context = self.context(step, Some(sketch));
        step.when.as_ref().is_none_or(|when| template::holds(when, &context).unwrap_or(true))
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
                if self.may_follow(step) {
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
            None if self.may_follow(step) => {
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
                let rule = step.approval.clone();
                self.to_ask.push(Asking { item, rule, tier: Tier::Harmless });
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

/// States that go on without the call that the step would make if it began today.
fn is_settled_by_itself(state: &CellState) -> bool {
    matches!(state, CellState::Intended | CellState::Applied { .. } | CellState::Parked { .. })
}
