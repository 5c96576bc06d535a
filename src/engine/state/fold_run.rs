//! What each entry does to runs, their cells and questions.

use chrono::TimeDelta;

use super::{RowKey, State};
use crate::model::action::{Applied, Outcome, Strength};
use crate::model::approval::{Approval, ApprovalState, Asks};
use crate::model::entry::{
    ApprovalDecided, BlockDecided, Entry, RunStarted, StepIntent, StepOutcome, StepSkipped,
    StepVerified,
};
use crate::model::id::{ApprovalId, IncidentId, RunId};
use crate::model::incident::{Containment, ContainmentState};
use crate::model::oncall::Longer;
use crate::model::plan::Plan;
use crate::model::run::{Cell, CellKey, CellState, Conclusion, Run, RunStatus};
use crate::model::time::Time;
use std::sync::Arc;

/// How long uses of a ceiling are remembered.
const CEILING_MEMORY: TimeDelta = TimeDelta::hours(25);

impl State {
    pub(super) fn apply_run_entry(&mut self, at: Time, entry: &Entry) {
        match entry {
            Entry::RunStarted(e) => self.run_started(at, e),
            Entry::RunContinued { run, round, rises_seen, .. } => self.with_run(*run, |r| {
                r.rounds.push(round.clone());
                r.rises_seen = *rises_seen;
                r.status = RunStatus::Running;
                r.waiting_on = None;
            }),
            Entry::RunParked { run, waiting_on, .. } => self.with_run(*run, |r| {
                r.status = RunStatus::Waiting;
                r.waiting_on = Some(*waiting_on);
            }),
            Entry::RunEnded { run, status, .. } => self.run_ended(at, *run, *status),
            Entry::RunCancelled { run, .. } => self.with_run(*run, |r| {
                r.cancelled = true;
                r.status = RunStatus::Running;
                r.waiting_on = None;
            }),
            Entry::BlockDecided(e) => self.block_decided(e),
            Entry::RunCrashed { run, .. } => self.with_run(*run, |r| r.crashes += 1),
            Entry::StepIntent(e) => self.step_intent(at, e),
            Entry::StepOutcome(e) => self.step_outcome(at, e),
            Entry::StepVerified(e) => self.step_verified(at, e),
            Entry::StepSkipped(e) => self.step_skipped(at, e),
            Entry::StepParked { run, cell, until, problem, .. } => {
                self.with_cell(*run, cell, |c| {
                    // A person lets it try again: its time begins anew.
                    if until.is_some() && matches!(c.state, CellState::Parked { .. }) {
                        c.began_at = None;
                    }
                    c.state = match until {
                        Some(until) => CellState::Waiting { until: *until },
                        None => CellState::Parked { problem: problem.clone() },
                    };
                    if until.is_none() || c.key.is_look_up() {
                        c.problem = Some(problem.clone());
                    }
                });
            }
            Entry::ApprovalOpened { approval } => self.approval_opened(at, approval),
            Entry::ApprovalVoted(e) => {
                self.with_question(e.approval, |q| q.votes.push(e.vote.clone()));
            }
            Entry::ApprovalEscalated { approval, expires_at, why, addressed, .. } => {
                self.with_question(*approval, |q| {
                    q.expires_at = *expires_at;
                    match why {
                        Longer::Silence => q.escalations += 1,
                        Longer::Untold => q.untold += 1,
                        Longer::Downtime => (q.escalations, q.untold) = (0, 0),
                    }
                    q.addressed.extend(addressed.as_deref().cloned());
                });
            }
            Entry::ApprovalDecided(e) => self.approval_decided(at, e),
            Entry::ApprovalExpired { approval, state, granted, begin_until, .. } => {
                self.approval_expired(at, *approval, *state, granted, *begin_until);
            }
            _ => {}
        }
    }

    fn with_run(&mut self, id: RunId, change: impl FnOnce(&mut Run)) {
        if let Some(run) = self.runs.get_mut(&id) {
            change(run);
            self.touch(RowKey::Run(id));
        }
    }

    fn with_question(&mut self, id: ApprovalId, change: impl FnOnce(&mut Approval)) {
        if let Some(question) = self.approvals.get_mut(&id) {
            change(question);
            self.touch(RowKey::Approval(id));
        }
    }

    /// Changes a cell, which is made when it is first spoken of.
    fn with_cell(&mut self, run: RunId, key: &CellKey, change: impl FnOnce(&mut Cell)) {
        let Some(run) = self.runs.get_mut(&run) else { return };
        if matches!(run.status, RunStatus::Waiting) {
            run.status = RunStatus::Running;
            run.waiting_on = None;
            self.changed.insert(RowKey::Run(run.id));
        }
        change(run.cells.entry(key.clone()).or_insert_with(|| Box::new(Cell::new(key.clone()))));
        let row = RowKey::Cell(run.id, key.clone());
        self.touch(row);
    }

    fn run_started(&mut self, at: Time, e: &RunStarted) {
        let run = Run {
            id: e.run,
            incident: e.incident,
            playbook: e.playbook.clone(),
            plan: e.plan.clone(),
            purpose: e.purpose.clone(),
            mode: e.mode,
            status: RunStatus::Running,
            waiting_on: None,
            started_at: at,
            ended_at: None,
            started_by: e.started_by.clone(),
            decided_by: e.decided_by,
            rises_seen: e.rises_seen,
            rounds: e.round.clone().into_iter().collect(),
            crashes: 0,
            cancelled: false,
            asked: Vec::new(),
            cells: std::collections::BTreeMap::new(),
        };
        if let Some(own) = &e.own_plan {
            self.own_plan(at, e, own);
        }
        self.live.insert(e.run);
        self.runs.insert(e.run, Box::new(run));
        self.touch(RowKey::Run(e.run));
        self.with_incident(e.incident, |i| i.runs.push(e.run));
    }

    fn own_plan(&mut self, at: Time, e: &RunStarted, plan: &Plan) {
        let published = super::Published {
            plan: Arc::new(plan.clone()),
            source: String::new(),
            by: e.started_by.clone().unwrap_or_default(),
            at,
        };
        self.plans.insert(e.plan.clone(), published);
        self.touch(RowKey::Plan(e.plan.clone()));
    }

    fn run_ended(&mut self, at: Time, run: RunId, status: RunStatus) {
        self.live.remove(&run);
        *self.ended.entry(status).or_default() += 1;
        self.touch(RowKey::Ended);
        self.with_run(run, |r| {
            r.status = status;
            r.waiting_on = None;
            r.ended_at = Some(at);
        });
    }

    fn step_intent(&mut self, at: Time, e: &StepIntent) {
        self.with_cell(e.run, &e.cell, |c| {
            c.state = CellState::Intended;
            c.account.clone_from(&e.account);
            c.capability = Some(e.capability.clone());
            c.attempt = e.attempt;
            c.applied = Some(Applied {
                call: e.call.clone(),
                sent_at: at,
                output: serde_json::Value::Null,
            });
            c.began_at = c.began_at.or(Some(at));
            if e.grant.is_some() {
                c.grant = e.grant;
            }
            c.ratify = e.ratify;
        });
        if let Some(ceiling) = &e.ceiling {
            let uses = self.ceilings.entry(ceiling.clone()).or_default();
            uses.retain(|t| *t >= at - CEILING_MEMORY);
            uses.push(at);
            self.touch(RowKey::Ceiling(ceiling.clone()));
        }
    }

    fn step_outcome(&mut self, at: Time, e: &StepOutcome) {
        let mut applied_now = None;
        self.with_cell(e.run, &e.cell, |c| {
            c.state = e.next.clone();
            c.outcome = Some(e.outcome);
            c.told_later += u32::from(e.outcome == Outcome::Throttled);
            c.problem.clone_from(&e.problem);
            if let Some(applied) = &mut c.applied {
                applied.sent_at = e.sent_at;
                applied.output.clone_from(&e.output);
            }
            if matches!(e.outcome, Outcome::Done | Outcome::Unchanged) {
                c.output.clone_from(&e.output);
                c.done_at = Some(e.sent_at);
                c.residual.clone_from(&e.residual);
            }
            applied_now = Some(c.clone());
        });
        self.with_run(e.run, |r| {
            if e.outcome != Outcome::Unknown {
                r.crashes = 0;
            }
        });
        if let Some(cell) = applied_now {
            self.show_cell(at, e.incident, &cell, None);
        }
    }

    fn step_verified(&mut self, at: Time, e: &StepVerified) {
        let mut cell = None;
        self.with_cell(e.run, &e.cell, |c| {
            c.state = e.next.clone();
            if let Some(strength) = e.strength {
                c.verified = Some(strength);
                c.problem = None;
                c.done_at = c.done_at.or_else(|| c.applied.as_ref().map(|a| a.sent_at));
                if c.output.is_null() {
                    c.output.clone_from(&e.output);
                }
            } else {
                c.problem.clone_from(&e.problem);
            }
            cell = Some(c.clone());
        });
        if let Some(cell) = cell {
            self.show_cell(at, e.incident, &cell, e.strength);
        }
    }

    fn step_skipped(&mut self, at: Time, e: &StepSkipped) {
        let mut cell = None;
        self.with_cell(e.run, &e.cell, |c| {
            c.state = CellState::Concluded { conclusion: e.conclusion };
            c.problem = (!e.reason.is_empty()).then(|| e.reason.clone());
            c.not_applicable = e.not_applicable;
            c.account = c.account.clone().or_else(|| e.account.clone());
            c.capability = c.capability.clone().or_else(|| e.capability.clone());
            cell = Some(c.clone());
        });
        if let Some(cell) = cell.filter(|_| e.conclusion != Conclusion::Skipped || e.not_applicable)
        {
            self.show_cell(at, e.incident, &cell, None);
        }
    }

    fn block_decided(&mut self, e: &BlockDecided) {
        self.with_cell(e.run, &e.cell, |c| {
            let conclusion = if e.enters { Conclusion::Succeeded } else { Conclusion::Skipped };
            c.state = CellState::Concluded { conclusion };
            c.output = serde_json::json!({ "case": e.case });
            c.problem = (!e.enters).then(|| e.reason.clone());
        });
    }

    fn approval_opened(&mut self, at: Time, approval: &Approval) {
        self.approvals.insert(approval.id, approval.clone());
        self.touch(RowKey::Approval(approval.id));
        self.with_run(approval.run, |r| r.asked.push(approval.id));
        // What is asked about was done already.
        if approval.asks == Asks::Ratify {
            return;
        }
        for item in &approval.items {
            let mut cell = None;
            self.with_cell(approval.run, &item.cell, |c| {
                c.state = CellState::Asked { approval: approval.id };
                c.capability = Some(item.capability.clone());
                c.account.clone_from(&item.account);
                cell = Some(c.clone());
            });
            if let Some(cell) = cell {
                self.show_cell(at, approval.incident, &cell, None);
            }
        }
    }

    fn approval_expired(
        &mut self,
        at: Time,
        approval: ApprovalId,
        state: ApprovalState,
        granted: &[CellKey],
        begin_until: Option<Time>,
    ) {
        let Some(question) = self.approvals.get_mut(&approval) else { return };
        question.state = state;
        question.decided_at = Some(at);
        question.granted = granted.to_vec();
        let run = question.run;
        self.touch(RowKey::Approval(approval));
        for key in granted {
            let until = begin_until.unwrap_or(at);
            self.with_cell(run, key, |c| c.state = CellState::Granted { approval, until });
        }
    }

    fn approval_decided(&mut self, at: Time, e: &ApprovalDecided) {
        let Some(question) = self.approvals.get_mut(&e.approval) else { return };
        question.state = e.state;
        question.decided_at = Some(at);
        question.decided_by = Some(e.by);
        question.granted.clone_from(&e.granted);
        let done = question.asks == Asks::Ratify;
        let items = question.items.iter().filter(|_| !done);
        let (run, cells): (_, Vec<CellKey>) =
            (question.run, items.map(|i| i.cell.clone()).collect());
        self.touch(RowKey::Approval(e.approval));
        for key in cells {
            let granted = e.state == ApprovalState::Approved && e.granted.contains(&key);
            let mut shown = None;
            self.with_cell(run, &key, |c| {
                if c.state != (CellState::Asked { approval: e.approval }) {
                    return;
                }
                c.state = if granted {
                    CellState::Granted { approval: e.approval, until: e.begin_until }
                } else {
                    CellState::Concluded { conclusion: Conclusion::Denied }
                };
                shown = Some(c.clone());
            });
            if let Some(cell) = shown {
                self.show_cell(at, e.incident, &cell, None);
            }
        }
    }

    /// Writes a cell's standing into its incident's containment table.
    fn show_cell(&mut self, at: Time, incident: IncidentId, cell: &Cell, proof: Option<Strength>) {
        let Some(capability) = cell.capability.clone() else { return };
        let Some(state) = containment_state(cell, proof) else { return };
        let account = cell.account.as_ref().map(ToString::to_string).unwrap_or_default();
        let item = match cell.key.item.split_once('#') {
            Some((_, factor)) => factor.to_owned(),
            None => String::new(),
        };
        let residual = match state {
            ContainmentState::Asked => None,
            ContainmentState::Verified | ContainmentState::Applied => cell.residual.clone(),
            _ => cell.problem.clone(),
        };
        // A table for people about access: tickets and reads have their own places.
        if capability.as_str().starts_with("identity.") && !is_reading(capability.as_str()) {
            self.set_containment(
                incident,
                Containment { account, capability, item, state, residual, at },
            );
        }
    }
}

fn is_reading(capability: &str) -> bool {
    capability.contains(".get_") || capability.contains(".list_")
}

fn containment_state(cell: &Cell, proof: Option<Strength>) -> Option<ContainmentState> {
    Some(match &cell.state {
        CellState::Asked { .. } => ContainmentState::Asked,
        CellState::Applied { .. } => ContainmentState::Applied,
        CellState::Parked { .. } => ContainmentState::Failed,
        CellState::Concluded { conclusion } => match conclusion {
            Conclusion::Succeeded if proof.is_some() || cell.verified.is_some() => {
                ContainmentState::Verified
            }
            Conclusion::Succeeded => ContainmentState::Applied,
            Conclusion::Skipped if cell.not_applicable => ContainmentState::NotApplicable,
            Conclusion::Skipped => return None,
            Conclusion::Unsupported => ContainmentState::Unsupported,
            Conclusion::Denied | Conclusion::Expired | Conclusion::Refused | Conclusion::Failed => {
                ContainmentState::Failed
            }
        },
        _ => return None,
    })
}
