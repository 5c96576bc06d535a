//! Cells with an intent behind them: wait, read back, try again under the same key, or ask a person.

use super::cell::{Held, Pass, Ready};

use super::{Command, Intend, Lane, is_concluded};
use crate::model::action::{ActionSpec, Applied, Effect, Proof, Rank, Repeat};
use crate::model::approval::ApprovalState;
use crate::model::id::{ApprovalId, ConnectionId};
use crate::model::plan::Place;
use crate::model::run::{Cell, CellState, Conclusion, WaitingOn};
use crate::model::subject::AccountKey;
use crate::model::time::Time;

/// How many attempts a definite, passing failure gets before a person is asked.
const ATTEMPTS_MAX: u32 = 8;
/// How many times an applied action is read back before it is done again or given up.
const READS_MAX: u32 = 6;

impl Pass<'_, '_> {
    pub(super) fn hold(&mut self, place: &Place, account: Option<AccountKey>, state: &CellState) {
        if account.is_some() {
            let asked = matches!(state, CellState::Asked { .. });
            self.held.push(Held { place: place.clone(), account, asked });
        }
    }

    /// Cells with an intent behind them, and open questions. `None`: not begun.
    pub(super) fn begun(&mut self, cell: &Cell, ready: Option<&Ready<'_>>) -> Option<bool> {
        let key = &cell.key;
        match &cell.state {
            CellState::Asked { approval } if self.is_asked(*approval) => {
                Some(self.asked(*approval))
            }
            CellState::Intended => Some(false),
            CellState::Parked { .. } => {
                self.wait_for(WaitingOn::Operator);
                Some(false)
            }
            CellState::Applied { at, reads } => Some(self.applied(cell, *at, *reads)),
            CellState::InDoubt { at, .. } => Some(self.in_doubt(cell, *at, ready)),
            CellState::Retrying { at } if *at > self.view.now && !self.is_late(cell) => {
                self.out.wake_at(*at);
                self.wake_when_late(cell);
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
            // Its question was taken back, and there is a need for one again.
            CellState::Asked { .. } => None,
            CellState::Waiting { .. } | CellState::Granted { .. } => {
                debug_assert!(!is_concluded(&cell.state), "{key:?}");
                None
            }
        }
    }

    /// Whether a question still waits for its answer.
    pub(super) fn is_asked(&self, approval: ApprovalId) -> bool {
        let question = self.view.state.approvals.get(&approval);
        question.is_some_and(|question| question.state == ApprovalState::Pending)
    }

    pub(super) fn applied(&mut self, cell: &Cell, at: Time, reads: u32) -> bool {
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

    pub(super) fn read_back_at(&mut self, cell: &Cell, at: Time, in_doubt: bool) -> bool {
        if at > self.view.now {
            self.out.wake_at(at);
            self.wait_for(WaitingOn::Timer);
            return false;
        }
        let connection = cell.applied.as_ref().map(|a| &a.call.connection);
        let free = connection.is_none_or(|c| self.view.busy.lane(c) == Lane::Free);
        // What was begun is proved in its own turn: a block's read-back is part of the block.
        let rank = |pass: &Self| pass.spec_of(cell).map_or(Rank::Read, |s| s.effect.rank());
        if free || self.lane_is_free(connection, rank(self)) {
            self.out.commands.push(Command::ReadBack { cell: cell.key.clone(), in_doubt });
        } else if self.is_late(cell) {
            let problem = "it could not be read back by its deadline".to_owned();
            self.out.commands.push(Command::Park { cell: cell.key.clone(), problem });
        } else {
            self.wake_when_late(cell);
        }
        false
    }

    /// When a cell that has begun is given to a person.
    fn deadline(&self, cell: &Cell) -> Option<Time> {
        let step = self.view.plan.step(cell.key.step.step());
        let span = step.and_then(|s| s.deadline).unwrap_or(self.view.policy.step_deadline);
        Some(cell.began_at? + span.delta())
    }

    fn is_late(&self, cell: &Cell) -> bool {
        self.deadline(cell).is_some_and(|deadline| self.view.now > deadline)
    }

    /// A lane may stay shut for longer than the cell may wait.
    fn wake_when_late(&mut self, cell: &Cell) {
        if let Some(deadline) = self.deadline(cell) {
            self.out.wake_at(deadline + chrono::TimeDelta::milliseconds(1));
        }
    }

    pub(super) fn in_doubt(&mut self, cell: &Cell, at: Time, ready: Option<&Ready<'_>>) -> bool {
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

    pub(super) fn spec_of(&self, cell: &Cell) -> Option<ActionSpec> {
        let applied = cell.applied.as_ref()?;
        self.view
            .catalogue
            .resolve(applied.call.action.as_str(), &applied.call.connection, None)
            .ok()
    }

    /// The same call again, under the same key and the same grant.
    pub(super) fn retry(&mut self, cell: &Cell, ready: Option<&Ready<'_>>) -> bool {
        let Some(Applied { call, .. }) = &cell.applied else { return false };
        // To be told "later" is not to have tried: the deadline bounds that, not the attempts.
        let tried = cell.attempt.saturating_sub(cell.told_later);
        if self.is_late(cell) || tried >= ATTEMPTS_MAX {
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
                ratify: cell.ratify,
            })));
        } else {
            self.wake_when_late(cell);
        }
        false
    }

    /// Kill switch, account lock and the connection's lane.
    pub(super) fn may_start(
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
        self.lane_is_free(Some(connection), spec.effect.rank())
    }

    pub(super) fn lane_is_free(&mut self, connection: Option<&ConnectionId>, rank: Rank) -> bool {
        let Some(connection) = connection else { return true };
        let lane = self.view.busy.lane(connection);
        if lane == Lane::Free {
            return true;
        }
        let wanted = self.out.lanes.entry(connection.clone()).or_insert(rank);
        *wanted = rank.min(*wanted);
        // The driver asks again when it opens, most urgent first.
        if let Lane::Shut(_) = lane {
            self.wait_for(WaitingOn::Connection);
        }
        false
    }
}
