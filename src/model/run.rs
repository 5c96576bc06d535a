//! One execution of one plan for one incident, and its cells: one step for one item.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use super::action::{Applied, Outcome, Strength};
use super::id::{
    ApprovalId, Capability, IncidentId, PersonId, PlanDigest, PlaybookName, RunId, StepPath,
};
use super::plan::Mode;
use super::subject::AccountKey;
use super::time::Time;

/// Where a run stands.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunStatus {
    Running,
    Waiting,
    Succeeded,
    Failed,
    Cancelled,
}

impl RunStatus {
    pub(crate) fn ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a waiting run waits for.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WaitingOn {
    Approval,
    Timer,
    Connection,
    Operator,
}

/// What the playbook made of a step.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Conclusion {
    Succeeded,
    Skipped,
    Denied,
    Expired,
    Refused,
    Unsupported,
    Failed,
}

impl Conclusion {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Skipped => "skipped",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Unsupported => "unsupported",
            Self::Failed => "failed",
        }
    }
}

/// Names one cell of a run: a step, and the item of its `for_each` (empty without one).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct CellKey {
    pub(crate) step: StepPath,
    /// `connection:provider_id`, with `#factor` behind it for a factor; empty without `for_each`.
    pub(crate) item: String,
}

impl CellKey {
    /// The step that asks connections whose accounts are whose.
    pub(crate) const LOOK_UP: &str = "look_up";

    pub(crate) fn is_look_up(&self) -> bool {
        self.step.step() == Self::LOOK_UP
    }
}

/// Where one cell stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub(crate) enum CellState {
    /// In an open question.
    Asked {
        approval: ApprovalId,
    },
    /// People said yes; must begin before `until`.
    Granted {
        approval: ApprovalId,
        until: Time,
    },
    /// The intent is durable; the call may be under way.
    Intended,
    /// A definite failure that may pass: again at `at`.
    Retrying {
        at: Time,
    },
    /// Nobody knows whether the call arrived: look again at `at`.
    InDoubt {
        at: Time,
        reads: u32,
    },
    /// The API said yes; the read-back is due at `at`.
    Applied {
        at: Time,
        reads: u32,
    },
    /// A `wait` step.
    Waiting {
        until: Time,
    },
    /// Needs a person.
    Parked {
        problem: String,
    },
    Concluded {
        conclusion: Conclusion,
    },
}

/// One step for one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) key: CellKey,
    pub(crate) state: CellState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<AccountKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) capability: Option<Capability>,
    /// Attempts begun, the first being 1.
    #[serde(default)]
    pub(crate) attempt: u32,
    /// How many of them were told to come back later: those use nothing up.
    #[serde(default, skip_serializing_if = "super::plan::is_default")]
    pub(crate) told_later: u32,
    /// The last call as it was (or may have been) sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) applied: Option<Applied>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Outcome>,
    #[serde(default)]
    pub(crate) output: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) verified: Option<Strength>,
    /// The grant under which it began; retries under the same key need no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grant: Option<ApprovalId>,
    /// It was begun without a yes, and people are asked afterwards whether it stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) ratify: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// When the first intent was committed: what deadlines count from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) began_at: Option<Time>,
    /// When its effect was last known to be applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) done_at: Option<Time>,
    /// What stays true although it is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) residual: Option<String>,
    /// Concluded without effect because it means nothing for such an account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) not_applicable: bool,
}

impl Cell {
    /// A cell that nothing has happened to yet.
    pub(crate) fn new(key: CellKey) -> Self {
        Self {
            key,
            state: CellState::Intended,
            account: None,
            capability: None,
            attempt: 0,
            told_later: 0,
            applied: None,
            outcome: None,
            output: Value::Null,
            verified: None,
            grant: None,
            ratify: false,
            problem: None,
            began_at: None,
            done_at: None,
            residual: None,
            not_applicable: false,
        }
    }

    pub(crate) fn conclusion(&self) -> Option<Conclusion> {
        match &self.state {
            CellState::Concluded { conclusion } => Some(*conclusion),
            _ => None,
        }
    }
}

/// Why a run exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub(crate) enum Purpose {
    /// A published playbook contains an incident.
    Contain,
    /// More evidence came after `continues` had ended.
    Continue { continues: RunId },
    /// Takes back what Quell changed; each step names the hold it takes off.
    Restore,
}

/// One execution of one plan for one incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) incident: IncidentId,
    pub(crate) playbook: PlaybookName,
    pub(crate) plan: PlanDigest,
    pub(crate) purpose: Purpose,
    pub(crate) mode: Mode,
    pub(crate) status: RunStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) waiting_on: Option<WaitingOn>,
    pub(crate) started_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended_at: Option<Time>,
    /// The person or token that started it by hand; they never decide it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) started_by: Option<String>,
    /// A person whose decision started it (restore).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) decided_by: Option<PersonId>,
    /// How many rises of the incident's evidence this run has answered.
    #[serde(default)]
    pub(crate) rises_seen: u32,
    /// Continuation rounds within this run; their cells carry `rise.N/`.
    #[serde(default)]
    pub(crate) rounds: Vec<Round>,
    /// Times that the process died while this run had work under way.
    #[serde(default)]
    pub(crate) crashes: u32,
    /// Nothing of it begins any more but its `finally`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) cancelled: bool,
    /// Its questions to people, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) asked: Vec<ApprovalId>,
    #[serde(skip)]
    pub(crate) cells: BTreeMap<CellKey, Box<Cell>>,
}

impl Run {
    /// Its cells, by step and item.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.cells.values().map(AsRef::as_ref)
    }

    /// Its cells, those of later rounds last.
    pub(crate) fn cells_by_round(&self) -> Vec<&Cell> {
        let mut cells: Vec<&Cell> = self.cells().collect();
        cells.sort_by_key(|cell| cell.key.step.round());
        cells
    }
}

/// One continuation: which steps are due again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Round {
    /// `rise.1/`; empty for a run's own first round.
    pub(crate) prefix: String,
    pub(crate) started_at: Time,
    /// Ids of the steps that this round may run.
    pub(crate) steps: Vec<String>,
}

/// Paths of lines in a run that are not steps of its plan.
pub(crate) struct StepIs;

impl StepIs {
    /// Where a restore run says that a step cannot be taken back.
    pub(crate) fn not_reversible(step: &StepPath) -> StepPath {
        StepPath::new(format!("not_reversible/{}", step.step()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By name alone, `sessions` would come after `rise.1/sessions`, and `rise.10` before `rise.2`.
    #[test]
    fn later_rounds_come_last_whatever_their_steps_are_called() {
        let paths = ["rise.10/a", "rise.2/sessions", "sessions", "rise.1/sessions"];
        let cells = paths.map(|path| CellKey { step: path.into(), item: String::new() });
        let nil = uuid::Uuid::nil();
        let run = Run {
            id: RunId(nil),
            incident: IncidentId(nil),
            playbook: "p".into(),
            plan: "d".into(),
            purpose: Purpose::Contain,
            mode: Mode::Auto,
            status: RunStatus::Running,
            waiting_on: None,
            started_at: Time::UNIX_EPOCH,
            ended_at: None,
            started_by: None,
            decided_by: None,
            rises_seen: 0,
            rounds: Vec::new(),
            crashes: 0,
            cancelled: false,
            asked: Vec::new(),
            cells: cells.into_iter().map(|key| (key.clone(), Box::new(Cell::new(key)))).collect(),
        };

        let order: Vec<&str> = run.cells_by_round().iter().map(|c| c.key.step.as_str()).collect();

        assert_eq!(order, ["sessions", "rise.1/sessions", "rise.2/sessions", "rise.10/a"]);
    }
}
