//! One pass over a run's cells: what each can do now, in written order.

use std::collections::BTreeMap;

use serde_json::Value;

use super::expand::{Expansion, Sketch, bound, expand};
use super::{Command, Decided, Intend, Lane, RoundView, View, is_concluded, rise};
use crate::approval::gate::{self, Gate};
use crate::approval::statement::{params_digest, sha256_hex};
use crate::engine::context::{account_of, context};
use crate::model::action::{
    ActionSpec, Applied, Call, Effect, Proof, Repeat, Reversal, Target, Unavailable,
};
use crate::model::approval::{ApprovalState, Item};
use crate::model::id::{ApprovalId, ConnectionId};
use crate::model::incident::ApprovalSeen;
use crate::model::plan::{AskRule, Does, OnError, PlanStep};
use crate::model::run::{Cell, CellState, Conclusion, Purpose, WaitingOn};
use crate::model::subject::{Account, AccountKey};
use crate::model::time::Time;
use crate::template;

/// How many attempts a definite, passing failure gets before a person is asked.
const ATTEMPTS_MAX: u32 = 8;
/// How many times an applied action is read back before it is done again or given up.
const READS_MAX: u32 = 6;

pub(super) struct Pass<'a, 'v> {
    view: &'a View<'v>,
    out: &'a mut Decided,
    context: Value,
    pub(super) to_ask: Vec<(Item, Option<AskRule>)>,
    pub(super) waiting: Option<WaitingOn>,
    /// Steps of the round at hand: whether all their cells have concluded.
    concluded: BTreeMap<String, bool>,
    /// Accounts that an earlier, unconcluded cell of this run is about; `true` = it only waits for people.
    held: Vec<(AccountKey, bool)>,
    stopped_by: Option<String>,
}

/// A cell with all that is needed to judge and start it.
struct Ready<'s> {
    step: &'s PlanStep,
    sketch: Sketch,
    account: Option<Account>,
    key: Option<AccountKey>,
    spec: ActionSpec,
    call: Call,
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
            concluded: BTreeMap::new(),
            held: Vec::new(),
            stopped_by: None,
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
            self.concluded.insert(step.id.clone(), done);
            all &= done;
        }
        all
    }

    fn is_done(&self, step: &str) -> bool {
        self.concluded.get(step).copied().unwrap_or(true)
    }

    fn step(&mut self, round: &RoundView, step: &PlanStep) -> bool {
        if step.reads.iter().any(|read| !self.is_done(read)) {
            return false;
        }
        match expand(self.view, round, step, &self.context) {
            Expansion::NotYet => false,
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

    fn look_up(&mut self) -> bool {
        match self.view.busy.looking_up(self.view.run.id) {
            Some(again) => {
                if let Some(at) = again {
                    self.out.wake_at(at);
                }
            }
            None => {
                if !self.out.commands.contains(&Command::LookUp) {
                    self.out.commands.push(Command::LookUp);
                }
            }
        }
        false
    }

    fn existing(&self, key: &crate::model::run::CellKey) -> Option<&'v Cell> {
        self.view.run.cells.get(key)
    }

    /// Ends a whole step, once.
    fn conclude_unless(
        &mut self,
        key: &crate::model::run::CellKey,
        conclusion: Conclusion,
        reason: String,
    ) -> bool {
        if self.existing(key).is_none() {
            self.out.commands.push(Command::Skip {
                cell: key.clone(),
                capability: None,
                account: None,
                conclusion,
                not_applicable: false,
                reason,
            });
        }
        true
    }

    /// A containment step whose condition cannot be evaluated never skips silently.
    fn broken(
        &mut self,
        step: &PlanStep,
        key: &crate::model::run::CellKey,
        problem: String,
    ) -> bool {
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

    fn wait_for(&mut self, on: WaitingOn) {
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

    fn sketch(&mut self, round: &RoundView, step: &PlanStep, sketch: Sketch) -> bool {
        let cell = self.existing(&sketch.key);
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
        match &step.does {
            Does::Wait(span) => self.wait_step(step, &sketch, span.delta()),
            Does::Ask { message } => self.own_question(step, &sketch, cell, message),
            Does::Use { name, connection, with } => {
                let ready = self.ready(step, &sketch, name, connection.as_ref(), with);
                self.use_step(sketch, cell, ready)
            }
        }
    }

    fn wait_step(&mut self, step: &PlanStep, sketch: &Sketch, span: chrono::TimeDelta) -> bool {
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
    fn own_question(
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

    fn asked(&mut self, approval: ApprovalId) -> bool {
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

    /// Resolves the action and builds its call.
    fn ready<'s>(
        &self,
        step: &'s PlanStep,
        sketch: &Sketch,
        name: &str,
        connection: Option<&ConnectionId>,
        with: &BTreeMap<String, Value>,
    ) -> Result<Ready<'s>, (Conclusion, bool, String)> {
        let context = bound(&self.context, sketch);
        let mut inputs = BTreeMap::new();
        for (input, value) in with {
            let value = template::render(value, &(&context).into())
                .map_err(|e| (Conclusion::Failed, false, format!("`{input}`: {e}")))?;
            inputs.insert(input.clone(), value);
        }
        if let (Some(input), Some(item)) =
            (self.view.catalogue.item_input(name), sketch.item.as_ref())
        {
            inputs.entry(input).or_insert_with(|| item.clone());
        }
        let key =
            self.view.catalogue.item_input(name).and_then(|i| inputs.get(&i).and_then(account_of));
        let connection = match (&key, connection) {
            (Some(key), _) => key.connection.clone(),
            (None, Some(connection)) => connection.clone(),
            (None, None) => {
                self.view.catalogue.connections_for(name).into_iter().next().ok_or_else(|| {
                    (Conclusion::Unsupported, false, format!("no connection offers `{name}`"))
                })?
            }
        };
        let account = key.as_ref().and_then(|k| self.account(k)).cloned();
        let target = account.as_ref().map(|a| Target {
            account: a.key(),
            authority: a.authority,
            status: a.status.clone(),
            privileged: a.privileged,
        });
        let spec = self.view.catalogue.resolve(name, &connection, target.as_ref()).map_err(
            |why| match why {
                Unavailable::NotApplicable(reason) => (Conclusion::Skipped, true, reason),
                Unavailable::Unsupported(reason) | Unavailable::ElsewhereUnreachable(reason) => {
                    (Conclusion::Unsupported, false, reason)
                }
            },
        )?;
        let call =
            Call { connection, action: spec.id.clone(), inputs, key: self.idempotency_key(sketch) };
        Ok(Ready { step, sketch: sketch.clone(), account, key, spec, call })
    }

    fn account(&self, key: &AccountKey) -> Option<&Account> {
        let incident = self.view.state.incidents.get(&self.view.run.incident)?;
        self.view.state.subject(incident.subject)?.account(key)
    }

    /// H(deployment, run, step path with rounds, item): stable over retries.
    fn idempotency_key(&self, sketch: &Sketch) -> String {
        let deployment = self
            .view
            .state
            .deployment
            .as_ref()
            .map(|d| d.deployment.to_string())
            .unwrap_or_default();
        sha256_hex(
            format!("{deployment}\0{}\0{}\0{}", self.view.run.id, sketch.key.step, sketch.key.item)
                .as_bytes(),
        )
    }

    fn use_step(
        &mut self,
        sketch: Sketch,
        cell: Option<&Cell>,
        ready: Result<Ready<'_>, (Conclusion, bool, String)>,
    ) -> bool {
        let item_account = sketch.item.as_ref().and_then(account_of);
        // What was begun goes on with what was begun, whatever the settings say since.
        if let Some(cell) = cell
            && let Some(done) = self.begun(cell, ready.as_ref().ok())
        {
            if !done {
                self.hold(cell.account.clone().or(item_account), &cell.state);
            }
            return done;
        }
        let ready = match ready {
            Ok(ready) => ready,
            Err((conclusion, not_applicable, reason)) => {
                let capability = match self.view.plan.step(sketch.key.step.step()).map(|s| &s.does)
                {
                    Some(Does::Use { name, .. }) => self.view.catalogue.capability_of(name),
                    _ => None,
                };
                self.out.commands.push(Command::Skip {
                    cell: sketch.key,
                    capability,
                    account: item_account,
                    conclusion,
                    not_applicable,
                    reason,
                });
                return true;
            }
        };
        let key = ready.key.clone();
        let done = self.not_begun(cell, ready);
        if !done && let Some(key) = key {
            let asked = self.to_ask.iter().any(|(item, _)| item.cell == sketch.key);
            self.held.push((
                key,
                asked || cell.is_some_and(|c| matches!(c.state, CellState::Asked { .. })),
            ));
        }
        done
    }

    fn hold(&mut self, account: Option<AccountKey>, state: &CellState) {
        if let Some(account) = account {
            self.held.push((account, matches!(state, CellState::Asked { .. })));
        }
    }

    /// Cells with an intent behind them, and open questions. `None`: not begun.
    fn begun(&mut self, cell: &Cell, ready: Option<&Ready<'_>>) -> Option<bool> {
        let key = &cell.key;
        match &cell.state {
            CellState::Asked { approval } => Some(self.asked(*approval)),
            CellState::Intended => Some(false),
            CellState::Parked { .. } => {
                self.wait_for(WaitingOn::Operator);
                Some(false)
            }
            CellState::Applied { at, reads } => Some(self.applied(cell, *at, *reads)),
            CellState::InDoubt { at, .. } => Some(self.in_doubt(cell, *at, ready)),
            CellState::Retrying { at } if *at > self.view.now => {
                self.out.wake_at(*at);
                self.wait_for(WaitingOn::Timer);
                Some(false)
            }
            CellState::Retrying { .. } => Some(self.retry(cell, ready)),
            CellState::Waiting { until } if *until > self.view.now => {
                self.out.wake_at(*until);
                self.wait_for(WaitingOn::Timer);
                Some(false)
            }
            CellState::Concluded { .. } => Some(true),
            CellState::Waiting { .. } | CellState::Granted { .. } => {
                debug_assert!(!is_concluded(&cell.state), "{key:?}");
                None
            }
        }
    }

    fn applied(&mut self, cell: &Cell, at: Time, reads: u32) -> bool {
        if self.view.busy.in_flight(self.view.run.id, &cell.key) {
            return false;
        }
        if reads >= READS_MAX {
            self.out.commands.push(Command::Park {
                cell: cell.key.clone(),
                problem: cell
                    .problem
                    .clone()
                    .unwrap_or_else(|| "the read-back does not show it".to_owned()),
            });
            return false;
        }
        self.read_back_at(cell, at, false)
    }

    fn read_back_at(&mut self, cell: &Cell, at: Time, in_doubt: bool) -> bool {
        if at > self.view.now {
            self.out.wake_at(at);
            self.wait_for(WaitingOn::Timer);
        } else if self.lane_is_free(cell.applied.as_ref().map(|a| &a.call.connection)) {
            self.out.commands.push(Command::ReadBack { cell: cell.key.clone(), in_doubt });
        }
        false
    }

    fn in_doubt(&mut self, cell: &Cell, at: Time, ready: Option<&Ready<'_>>) -> bool {
        if self.view.busy.in_flight(self.view.run.id, &cell.key) {
            return false;
        }
        let Some(spec) = self.spec_of(cell).or_else(|| ready.map(|r| r.spec.clone())) else {
            let problem =
                "it is not known whether the call arrived, and its action is gone".to_owned();
            self.out.commands.push(Command::Park { cell: cell.key.clone(), problem });
            return false;
        };
        match spec.repeat {
            Repeat::Once if spec.assume_done => {
                self.out.commands.push(Command::Settle {
                    cell: cell.key.clone(),
                    conclusion: Conclusion::Succeeded,
                    reason: "it is not known whether the call arrived; assumed done".to_owned(),
                });
                true
            }
            Repeat::Once => {
                let problem =
                    "it is not known whether the call arrived, and it must not be made twice"
                        .to_owned();
                self.out.commands.push(Command::Park { cell: cell.key.clone(), problem });
                false
            }
            Repeat::Set | Repeat::Keyed
                if matches!(spec.proof, Proof::None(_)) || spec.effect == Effect::Read =>
            {
                if at > self.view.now {
                    self.out.wake_at(at);
                    return false;
                }
                self.retry(cell, ready)
            }
            Repeat::Keyed | Repeat::Set | Repeat::Verify => self.read_back_at(cell, at, true),
        }
    }

    fn spec_of(&self, cell: &Cell) -> Option<ActionSpec> {
        let applied = cell.applied.as_ref()?;
        self.view
            .catalogue
            .resolve(applied.call.action.as_str(), &applied.call.connection, None)
            .ok()
    }

    /// The same call again, under the same key and the same grant.
    fn retry(&mut self, cell: &Cell, ready: Option<&Ready<'_>>) -> bool {
        let Some(Applied { call, .. }) = &cell.applied else { return false };
        let deadline =
            ready.and_then(|r| r.step.deadline).unwrap_or(self.view.policy.step_deadline);
        let late = cell.began_at.is_some_and(|began| self.view.now > began + deadline.delta());
        if late || cell.attempt >= ATTEMPTS_MAX {
            let problem = cell.problem.clone().unwrap_or_else(|| "no attempt succeeded".to_owned());
            self.out.commands.push(Command::Park { cell: cell.key.clone(), problem });
            self.wait_for(WaitingOn::Operator);
            return false;
        }
        let Some(spec) = self.spec_of(cell).or_else(|| ready.map(|r| r.spec.clone())) else {
            return false;
        };
        if self.may_start(&spec, cell.account.as_ref(), &cell.key, &call.connection) {
            self.out.commands.push(Command::Intend(Box::new(Intend {
                cell: cell.key.clone(),
                account: cell.account.clone(),
                spec,
                call: call.clone(),
                attempt: cell.attempt + 1,
                grant: cell.grant,
                ceiling: None,
            })));
        }
        false
    }

    /// Judges and, if it may, starts a cell.
    fn not_begun(&mut self, cell: Option<&Cell>, ready: Ready<'_>) -> bool {
        let account = ready.account.clone();
        let question = self.question(&ready, account.as_ref());
        if let Some(CellState::Granted { approval, until }) = cell.map(|c| &c.state) {
            return self.granted(*approval, *until, ready, &question);
        }
        match gate::gate(&question) {
            Gate::Observe => {
                let reason = format!("observed only: would call `{}`", ready.spec.id);
                self.conclude_unless(&ready.sketch.key, Conclusion::Skipped, reason)
            }
            Gate::Refuse { guardrail, reason } => {
                self.out.commands.push(Command::Refuse {
                    cell: ready.sketch.key,
                    account: ready.key,
                    capability: ready.spec.capability,
                    guardrail: guardrail.to_owned(),
                    reason,
                    until: None,
                });
                true
            }
            Gate::Ask { reason } => self.ask(ready, reason),
            Gate::Go { ceiling: None } => self.start(ready, None, None),
            Gate::Go { ceiling: Some(name) } => match self.room(&[name, gate::AUTO_BLOCKS]) {
                Some(name) => self.start(ready, None, Some(name)),
                None => self.ask(ready, "the ceiling for automatic blocks is reached".to_owned()),
            },
        }
    }

    /// The first of these ceilings with room left this hour.
    fn room(&self, names: &[&str]) -> Option<String> {
        let since = self.view.now - chrono::TimeDelta::hours(1);
        // Intents of this very pass are not in the state yet.
        let planned = |name: &str| {
            self.out
                .commands
                .iter()
                .filter(|c| matches!(c, Command::Intend(i) if i.ceiling.as_deref() == Some(name)))
                .count()
        };
        names
            .iter()
            .find(|name| {
                self.view.state.used(name, since) + planned(name)
                    < self.view.policy.ceilings.limit(name)
            })
            .map(|name| (*name).to_owned())
    }

    fn granted(
        &mut self,
        approval: ApprovalId,
        until: Time,
        ready: Ready<'_>,
        question: &gate::Question<'_>,
    ) -> bool {
        if self.view.now > until {
            return self.ask(ready, "the earlier yes was not used in time".to_owned());
        }
        let asked = self.view.state.approvals.get(&approval);
        let item = asked.and_then(|a| a.items.iter().find(|i| i.cell == ready.sketch.key));
        let same = item.is_some_and(|i| {
            i.action == ready.spec.id
                && i.target == target(&ready)
                && i.params == params_digest(&ready.call.inputs)
        }) && asked
            .is_some_and(|a| a.granted.contains(&ready.sketch.key) && a.plan == self.view.run.plan);
        if !same {
            self.out.commands.push(Command::Refuse {
                cell: ready.sketch.key,
                account: ready.key,
                capability: ready.spec.capability,
                guardrail: "grant_mismatch".to_owned(),
                reason: "what is about to be sent is not what was approved".to_owned(),
                until: None,
            });
            return true;
        }
        self.out.wake_at(until + chrono::TimeDelta::milliseconds(1));
        let protected =
            ready.account.as_ref().is_some_and(|a| a.protected) && !question.point_in_time;
        if protected && ready.spec.effect == Effect::Contain {
            self.out.commands.push(Command::Refuse {
                cell: ready.sketch.key,
                account: ready.key,
                capability: ready.spec.capability,
                guardrail: "protected".to_owned(),
                reason: "no approval can block or reset a protected account".to_owned(),
                until: None,
            });
            return true;
        }
        match gate::ceiling(question, gate::APPROVED_BLOCKS) {
            None => self.start(ready, Some(approval), None),
            Some(name) => match self.room(&[name, gate::APPROVED_BLOCKS]) {
                Some(name) => self.start(ready, Some(approval), Some(name)),
                None => {
                    let until = self.view.now + chrono::TimeDelta::minutes(5);
                    self.out.commands.push(Command::Refuse {
                        cell: ready.sketch.key,
                        account: ready.key,
                        capability: ready.spec.capability,
                        guardrail: name.to_owned(),
                        reason: "the ceiling for blocks is reached; it is asked again when there is room".to_owned(),
                        until: Some(until),
                    });
                    false
                }
            },
        }
    }

    fn question<'q>(&self, ready: &Ready<'_>, account: Option<&'q Account>) -> gate::Question<'q> {
        let incident = self.view.state.incidents.get(&self.view.run.incident);
        let subject = incident.and_then(|i| self.view.state.subject(i.subject));
        gate::Question {
            effect: ready.spec.effect,
            reversal: ready.spec.reversal,
            point_in_time: ready.spec.point_in_time,
            mode: self.view.run.mode,
            stage: incident.map_or(crate::model::incident::Stage::Noted, |i| i.stage),
            approval: incident.map_or(ApprovalSeen::None, |i| i.approval),
            may_cause: incident.map(|i| i.may_cause).unwrap_or_default(),
            stale: incident.is_none_or(|i| i.stale),
            account,
            subject_privileged: subject.is_some_and(crate::model::subject::Subject::privileged),
            playbook_asks: ready.step.approval.is_some(),
            decided: self.view.run.decided_by.is_some(),
            clean_expiry: self.view.run.purpose == Purpose::Restore
                && self.view.run.started_by.as_deref()
                    == Some(crate::engine::restore::CLEAN_EXPIRY),
        }
    }

    fn ask(&mut self, ready: Ready<'_>, reason: String) -> bool {
        let target = target(&ready);
        let item = Item {
            cell: ready.sketch.key,
            capability: ready.spec.capability,
            action: ready.spec.id,
            target,
            account: ready.key,
            target_name: ready.account.map(|a| a.login).unwrap_or_default(),
            params: params_digest(&ready.call.inputs),
            inputs: ready.call.inputs,
            reason,
            reversal: match ready.spec.reversal {
                Reversal::Undo => "can be undone".to_owned(),
                Reversal::Recover => "cannot be undone; recovered through the help desk".to_owned(),
                Reversal::None => "cannot be undone".to_owned(),
            },
        };
        self.to_ask.push((item, ready.step.approval.clone()));
        self.wait_for(WaitingOn::Approval);
        false
    }

    fn start(
        &mut self,
        ready: Ready<'_>,
        grant: Option<ApprovalId>,
        ceiling: Option<String>,
    ) -> bool {
        if !ready.step.after.iter().all(|id| self.is_done(id)) {
            return false;
        }
        let behind = ready.key.as_ref().is_some_and(|key| {
            self.held
                .iter()
                .any(|(held, asked)| held == key && !(*asked && ready.spec.point_in_time))
        });
        if behind
            || !self.may_start(
                &ready.spec,
                ready.key.as_ref(),
                &ready.sketch.key,
                &ready.call.connection,
            )
        {
            return false;
        }
        self.out.commands.push(Command::Intend(Box::new(Intend {
            cell: ready.sketch.key,
            account: ready.key,
            spec: ready.spec,
            call: ready.call,
            attempt: 1,
            grant,
            ceiling,
        })));
        false
    }

    /// Kill switch, account lock and the connection's lane.
    fn may_start(
        &mut self,
        spec: &ActionSpec,
        account: Option<&AccountKey>,
        cell: &crate::model::run::CellKey,
        connection: &ConnectionId,
    ) -> bool {
        if self.view.state.paused.is_some() && spec.effect != Effect::Read {
            self.wait_for(WaitingOn::Operator);
            return false;
        }
        if let Some(account) = account.filter(|a| {
            spec.effect != Effect::Read && self.view.busy.locked(a, self.view.run.id, cell)
        }) {
            self.out.accounts.insert(account.clone());
            return false;
        }
        self.lane_is_free(Some(connection))
    }

    fn lane_is_free(&mut self, connection: Option<&ConnectionId>) -> bool {
        let Some(connection) = connection else { return true };
        match self.view.busy.lane(connection) {
            Lane::Free => true,
            Lane::Full => {
                self.out.lanes.insert(connection.clone());
                false
            }
            Lane::Shut(until) => {
                self.out.wake_at(until);
                self.out.lanes.insert(connection.clone());
                self.wait_for(WaitingOn::Connection);
                false
            }
        }
    }
}

fn target(ready: &Ready<'_>) -> String {
    ready.key.as_ref().map_or_else(|| ready.call.connection.to_string(), ToString::to_string)
}
