//! Cells that have not begun: resolved, judged by the doctrine, asked about or started.

use super::cell::{Held, Pass, Ready};
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::expand::Sketch;
use super::{Asking, Command, Intend, Skip};
use crate::approval::gate::{self, Gate};
use crate::approval::statement::{params_digest, sha256_hex};
use crate::engine::clean::{self, Drift};
use crate::engine::context::account_of;
use crate::engine::restore;
use crate::model::action::{Call, Effect, Reversal, Target, Unavailable};
use crate::model::approval::Item;
use crate::model::id::{ApprovalId, ConnectionId};
use crate::model::incident::ApprovalSeen;
use crate::model::plan::{Does, Form, Mode, PlanStep};
use crate::model::run::{Cell, CellState, Conclusion, WaitingOn};
use crate::model::subject::{Account, AccountKey};
use crate::model::time::Time;
use crate::template;

/// How long what locks a person out waits for a connection that has not told what accounts they have.
const UNREAD_PATIENCE: chrono::TimeDelta = chrono::TimeDelta::seconds(30);

impl Pass<'_, '_> {
    /// Resolves the action and builds its call.
    pub(super) fn ready<'s>(
        &self,
        step: &'s PlanStep,
        sketch: &Sketch,
        name: &str,
        connection: Option<&ConnectionId>,
        with: &BTreeMap<String, Value>,
    ) -> Result<Ready<'s>, (Conclusion, bool, String)> {
        let context = self.context(step, Some(sketch));
        let mut inputs = BTreeMap::new();
        for (input, value) in with {
            let value = template::render(value, &context)
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
        let mut account = key.as_ref().and_then(|k| self.account(k)).cloned();
        if let Some(account) = &mut account {
            // The list may have grown since the account was read.
            account.protected |= self.view.policy.protects(account);
        }
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

    pub(super) fn account(&self, key: &AccountKey) -> Option<&Account> {
        let incident = self.view.state.incidents.get(&self.view.run.incident)?;
        self.view.state.subject(incident.subject)?.account(key)
    }

    /// H(deployment, run, step path with rounds, item): stable over retries.
    pub(super) fn idempotency_key(&self, sketch: &Sketch) -> String {
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

    pub(super) fn use_step(
        &mut self,
        step: &PlanStep,
        sketch: Sketch,
        cell: Option<&Cell>,
        ready: Result<Ready<'_>, (Conclusion, bool, String)>,
    ) -> bool {
        let item_account = sketch.item.as_ref().and_then(account_of);
        // What people were asked about weaker evidence does not hold back what needs nobody's yes any more.
        let risen = cell.is_some_and(|c| ready.as_ref().is_ok_and(|r| self.is_past_asking(c, r)));
        if risen {
            self.overtaken.insert(sketch.key.clone());
        } else if let Some(cell) = cell
            && let Some(done) = self.go_on(step, &sketch, cell, ready.as_ref().ok())
        {
            return done;
        }
        let ready = match ready {
            Ok(ready) => ready,
            Err((conclusion, not_applicable, reason)) => {
                let capability = match &step.does {
                    Does::Use { name, .. } => self.view.catalogue.capability_of(name),
                    _ => None,
                };
                self.out.commands.push(Command::Skip(Box::new(Skip {
                    cell: sketch.key,
                    capability,
                    account: item_account,
                    conclusion,
                    not_applicable,
                    reason,
                })));
                return true;
            }
        };
        let key = ready.key.clone();
        let done = self.not_begun(cell, ready);
        if !done && let Some(key) = key {
            let asked = self.to_ask.iter().any(|a| a.item.cell == sketch.key);
            let stands = |c: &Cell| !risen && matches!(c.state, CellState::Asked { .. });
            let asked = asked || cell.is_some_and(stands);
            self.held.push(Held { place: step.place.clone(), account: Some(key), asked });
        }
        done
    }

    /// Whether people are still being asked about what the doctrine does by itself as things are now.
    fn is_past_asking(&self, cell: &Cell, ready: &Ready<'_>) -> bool {
        if !matches!(cell.state, CellState::Asked { .. }) {
            return false;
        }
        match gate::gate(&self.question(ready, ready.account.as_ref())) {
            Gate::Go { ceiling: None, .. } => true,
            Gate::Go { ceiling: Some(name), .. } => self.room([name, gate::AUTO_BLOCKS]).is_some(),
            Gate::Observe | Gate::Refuse { .. } | Gate::Ask { .. } => false,
        }
    }

    /// Takes questions back of which nothing is left that needs a yes. They end at once, and not only when what was
    /// asked begins: it may be held back for long, and nobody looks at their time any more.
    pub(super) fn withdraw_overtaken(&mut self) {
        let (mut over, mut left) = (BTreeSet::new(), BTreeSet::new());
        for cell in self.view.run.cells() {
            let CellState::Asked { approval } = cell.state else { continue };
            let which = if self.overtaken.contains(&cell.key) { &mut over } else { &mut left };
            which.insert(approval);
        }
        for approval in over.difference(&left).copied() {
            if self.is_asked(approval) {
                self.out.commands.push(Command::Withdraw { approval });
            }
        }
    }

    /// What was begun goes on with what was begun, whatever the settings say since. `None`: not begun.
    pub(super) fn go_on(
        &mut self,
        step: &PlanStep,
        sketch: &Sketch,
        cell: &Cell,
        ready: Option<&Ready<'_>>,
    ) -> Option<bool> {
        let done = self.begun(cell, ready)?;
        if !done {
            let item_account = sketch.item.as_ref().and_then(account_of);
            self.hold(&step.place, cell.account.clone().or(item_account), &cell.state);
        }
        Some(done)
    }

    /// Whether a step that has not begun can do nothing yet but wait for the steps that it names:
    /// nobody decides about it and it is about no account, so that its call need not be built.
    pub(super) fn only_waits(&self, step: &PlanStep, name: &str) -> bool {
        step.approval.is_none()
            && self.mode(step) != Mode::Observe
            && !self.may_follow(step)
            && self.view.catalogue.signature(name).is_some_and(|signature| {
                matches!(signature.effect, Effect::Read | Effect::Record | Effect::Notify)
                    && signature.item_input().is_none()
            })
    }

    /// Judges and, if it may, starts a cell.
    pub(super) fn not_begun(&mut self, cell: Option<&Cell>, ready: Ready<'_>) -> bool {
        let account = ready.account.clone();
        let locks_out = ready.spec.effect == Effect::Contain && !ready.spec.point_in_time;
        // Who the person is decides who must say yes, and somebody has not told yet.
        let patience = self.view.run.started_at + UNREAD_PATIENCE;
        let lets_in = ready.spec.effect == Effect::Restore;
        if self.view.now < patience
            && ((locks_out && self.reads_accounts()) || (lets_in && self.reads_anew()))
        {
            self.out.wake_at(patience);
            return false;
        }
        let question = self.question(&ready, account.as_ref());
        if let Some(CellState::Granted { approval, until }) = cell.map(|c| &c.state) {
            return self.granted(*approval, *until, ready, &question);
        }
        match gate::gate(&question) {
            Gate::Observe => {
                let reason = format!("observed only: would call `{}`", ready.spec.id);
                self.conclude_unless(&ready.sketch.key, Conclusion::Skipped, reason)
            }
            Gate::Refuse { guardrail, reason } => self.refuse(ready, guardrail, &reason, None),
            Gate::Ask { reason } => {
                let lets_in = ready.spec.effect == Effect::Restore;
                let more = if lets_in { self.touched(&ready) } else { None };
                let reason =
                    more.map_or_else(|| reason.clone(), |more| format!("{reason}; {more}"));
                self.ask(ready, &question, reason)
            }
            Gate::Go { ceiling: None, ratify } => self.start(ready, By { ratify, ..By::default() }),
            Gate::Go { ceiling: Some(name), ratify } => {
                if let Some(room) = self.room([name, gate::AUTO_BLOCKS]) {
                    return self.start(ready, By { grant: None, ceiling: Some(room), ratify });
                }
                let reason = "the ceiling for automatic blocks is reached".to_owned();
                self.ask(ready, &question, reason)
            }
        }
    }

    /// The first of these ceilings with room left this hour; what people have raised for this campaign comes last.
    pub(super) fn room(&self, names: [&str; 2]) -> Option<String> {
        let since = self.view.now - chrono::TimeDelta::hours(1);
        // Intents of this very pass are not in the state yet.
        let planned = |name: &str| {
            self.out
                .commands
                .iter()
                .filter(|c| matches!(c, Command::Intend(i) if i.ceiling.as_deref() == Some(name)))
                .count()
        };
        let limits = names.map(|name| (name.to_owned(), self.view.policy.ceilings.limit(name)));
        let mut limits = limits.into_iter().chain(self.raised());
        let free = |(name, limit): &(String, usize)| {
            self.view.state.used(name, since) + planned(name) < *limit
        };
        limits.find(free).map(|(name, _)| name)
    }

    /// The ceiling of this incident's campaign alone, where people have set one.
    fn raised(&self) -> Option<(String, usize)> {
        let incident = self.view.state.incidents.get(&self.view.run.incident)?;
        let raised = self.view.state.raises.get(&incident.campaign.as_ref()?.id)?;
        let name = format!("campaign:{}", raised.campaign);
        (raised.until > self.view.now).then_some((name, raised.blocks as usize))
    }

    /// The gate at execution: what is about to be sent is compared with what was granted.
    pub(super) fn granted(
        &mut self,
        approval: ApprovalId,
        until: Time,
        ready: Ready<'_>,
        question: &gate::Question<'_>,
    ) -> bool {
        if self.view.now > until {
            let reason = "the earlier yes was not used in time".to_owned();
            return self.ask(ready, question, reason);
        }
        if !self.is_as_granted(approval, &ready) {
            return self.refuse(
                ready,
                "grant_mismatch",
                "what is about to be sent is not what was approved",
                None,
            );
        }
        self.out.wake_at(until + chrono::TimeDelta::milliseconds(1));
        let protected =
            ready.account.as_ref().is_some_and(|a| a.protected) && !question.point_in_time;
        if protected && ready.spec.effect == Effect::Contain {
            return self.refuse(
                ready,
                "protected",
                "no approval can block or reset a protected account",
                None,
            );
        }
        let Some(name) = gate::ceiling(question, gate::APPROVED_BLOCKS) else {
            return self.start(ready, By { grant: Some(approval), ..By::default() });
        };
        if let Some(room) = self.room([name, gate::APPROVED_BLOCKS]) {
            let (grant, ceiling) = (Some(approval), Some(room));
            return self.start(ready, By { grant, ceiling, ratify: false });
        }
        let until = Some(self.view.now + chrono::TimeDelta::minutes(5));
        self.refuse(
            ready,
            name,
            "the ceiling for blocks is reached; it is asked again when there is room",
            until,
        )
    }

    fn is_as_granted(&self, approval: ApprovalId, ready: &Ready<'_>) -> bool {
        let Some(asked) = self.view.state.approvals.get(&approval) else { return false };
        let same = |i: &Item| {
            i.cell == ready.sketch.key
                && i.action == ready.spec.id
                && i.target == target(ready)
                && i.params == params_digest(&ready.call.inputs)
        };
        asked.granted.contains(&ready.sketch.key)
            && asked.plan == self.view.run.plan
            && asked.items.iter().any(same)
    }

    /// A guardrail's no; true when the step ends with it.
    fn refuse(
        &mut self,
        ready: Ready<'_>,
        guardrail: &str,
        reason: &str,
        until: Option<Time>,
    ) -> bool {
        let skip = Skip {
            cell: ready.sketch.key,
            capability: Some(ready.spec.capability),
            account: ready.key,
            conclusion: Conclusion::Refused,
            not_applicable: false,
            reason: reason.to_owned(),
        };
        let guardrail = guardrail.to_owned();
        self.out.commands.push(Command::Refuse { skip: Box::new(skip), guardrail, until });
        until.is_none()
    }

    pub(super) fn question<'q>(
        &self,
        ready: &Ready<'_>,
        account: Option<&'q Account>,
    ) -> gate::Question<'q> {
        let incident = self.view.state.incidents.get(&self.view.run.incident);
        let subject = incident.and_then(|i| self.view.state.subject(i.subject));
        gate::Question {
            effect: ready.spec.effect,
            reversal: ready.spec.reversal,
            point_in_time: ready.spec.point_in_time,
            mode: self.mode(ready.step),
            stage: incident.map_or(crate::model::incident::Stage::Noted, |i| i.stage),
            approval: incident.map_or(ApprovalSeen::None, |i| i.approval),
            may_cause: incident.map(|i| i.may_cause).unwrap_or_default(),
            stale: incident.is_none_or(|i| i.stale),
            account,
            subject_privileged: subject.is_some_and(crate::model::subject::Subject::privileged),
            playbook_asks: ready.step.approval.is_some(),
            playbook_ratifies: ready.step.ratify.is_some(),
            is_settled: restore::is_settled(self.view.run) && self.touched(ready).is_none(),
        }
    }

    /// Who else has changed since what a way back would open, in words. People are asked then, whoever settled it.
    fn touched(&self, ready: &Ready<'_>) -> Option<String> {
        let (state, key) = (self.view.state, ready.key.as_ref()?);
        let incident = state.incidents.get(&self.view.run.incident)?;
        let mut holds = state.holds_of(incident.id).filter(|(holds, _)| holds.account == *key);
        holds.find_map(|(_, hold)| match clean::drift(state, incident, key, hold) {
            Drift::Changed(was, is) => Some(format!(
                "somebody else has changed the account: it was `{was}`, and is `{is}`"
            )),
            Drift::Unread => Some("the account could not be read".to_owned()),
            Drift::None | Drift::Untold => None,
        })
    }

    /// A called playbook's mode may be stricter than the run's, never looser.
    fn mode(&self, step: &PlanStep) -> Mode {
        let around = self.view.plan.around(&step.place);
        let called = around.iter().filter_map(|(block, _)| match &block.form {
            Form::Call { mode, .. } => *mode,
            _ => None,
        });
        called.fold(self.view.run.mode, Mode::min)
    }

    pub(super) fn ask(
        &mut self,
        ready: Ready<'_>,
        question: &gate::Question<'_>,
        reason: String,
    ) -> bool {
        let (target, tier) = (target(&ready), gate::tier(question));
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
        self.to_ask.push(Asking { item, rule: ready.step.approval.clone(), tier });
        self.wait_for(WaitingOn::Approval);
        false
    }

    pub(super) fn start(&mut self, ready: Ready<'_>, by: By) -> bool {
        if !self.may_follow(ready.step) {
            return false;
        }
        let behind = (ready.key.as_ref())
            .is_some_and(|key| self.is_behind(ready.step, key, ready.spec.point_in_time));
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
            grant: by.grant,
            ceiling: by.ceiling,
            ratify: by.ratify,
        })));
        false
    }
}

/// What lets a step begin.
#[derive(Default)]
pub(super) struct By {
    grant: Option<ApprovalId>,
    ceiling: Option<String>,
    ratify: bool,
}

fn target(ready: &Ready<'_>) -> String {
    ready.key.as_ref().map_or_else(|| ready.call.connection.to_string(), ToString::to_string)
}
