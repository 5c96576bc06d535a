//! Durable questions to people, and the statement that a decision signs.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use super::id::{
    ActionId, ApprovalId, Capability, DeploymentId, IncidentId, PersonId, PlanDigest, RunId,
};
use super::run::CellKey;
use super::subject::AccountKey;
use super::time::Time;

/// One exact action that people are asked about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) cell: CellKey,
    pub(crate) capability: Capability,
    pub(crate) action: ActionId,
    /// Canonical: `connection:provider_id`, or the connection's name.
    pub(crate) target: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<AccountKey>,
    /// For people: whom it concerns.
    pub(crate) target_name: String,
    /// SHA-256, hex, of the canonical JSON of `inputs`.
    pub(crate) params: String,
    pub(crate) inputs: BTreeMap<String, Value>,
    /// Why this one asks.
    pub(crate) reason: String,
    /// What can be done about it afterwards, in words.
    pub(crate) reversal: String,
}

/// Where a question stands.
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
pub(crate) enum ApprovalState {
    Pending,
    Approved,
    Denied,
    Expired,
    /// The run ended or the question was replaced.
    Cancelled,
}

/// What the question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Asks {
    /// May these containment steps be done?
    Contain,
    /// May these be undone?
    Restore,
    /// These were done at once: do they stand? Silence keeps them, a no undoes them.
    Ratify,
}

/// How much it takes to say yes.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tier {
    /// Nobody is locked out: one person.
    #[default]
    Harmless,
    /// One ordinary person is locked out, or let in again: one person.
    LocksOut,
    /// The same of a privileged person: two people of different groups, who type whom it concerns.
    Privileged,
}

impl Tier {
    /// How many people must say the same.
    pub(crate) fn quorum(self) -> u32 {
        match self {
            Self::Harmless | Self::LocksOut => 1,
            Self::Privileged => 2,
        }
    }

    /// Whether an answer needs the name of whom it concerns typed, and a reason.
    pub(crate) fn is_typed(self) -> bool {
        self == Self::Privileged
    }
}

/// One person's answer to a question that needs several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Vote {
    pub(crate) by: PersonId,
    pub(crate) name: String,
    /// The groups that the settings put the person in, as they were then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) groups: Vec<String>,
    pub(crate) decision: Decision,
    /// What was ticked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) cells: Vec<CellKey>,
    pub(crate) at: Time,
}

/// A durable question about a list of exact actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Approval {
    pub(crate) id: ApprovalId,
    pub(crate) incident: IncidentId,
    pub(crate) run: RunId,
    pub(crate) plan: PlanDigest,
    pub(crate) asks: Asks,
    pub(crate) items: Vec<Item>,
    pub(crate) opened_at: Time,
    pub(crate) expires_at: Time,
    pub(crate) on_timeout: super::plan::OnTimeout,
    pub(crate) state: ApprovalState,
    #[serde(default)]
    pub(crate) tier: Tier,
    /// How many people must say yes: the tier's number, or more where a playbook wants it.
    pub(crate) quorum: u32,
    /// Answers so far, where one is not enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) votes: Vec<Vote>,
    /// How often its time was prolonged because nobody had answered.
    #[serde(default, skip_serializing_if = "super::plan::is_default")]
    pub(crate) escalations: u32,
    /// How often in a row its time was prolonged because nobody could be told of it.
    #[serde(default, skip_serializing_if = "super::plan::is_default")]
    pub(crate) untold: u32,
    /// How long it stands each time. Questions of before it was written down do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stands: Option<super::time::Span>,
    /// Who was asked, in turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) addressed: Vec<super::oncall::Addressed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) decided_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) decided_by: Option<PersonId>,
    /// Which items were granted.
    #[serde(default)]
    pub(crate) granted: Vec<CellKey>,
    /// Names that may not decide: the victim and whoever started the run.
    #[serde(default)]
    pub(crate) barred: Vec<String>,
}

impl Approval {
    /// Whether it may be answered together with others: about containing one ordinary person.
    pub(crate) fn joins_others(&self) -> bool {
        self.asks == Asks::Contain && !self.tier.is_typed() && self.quorum < 2
    }

    /// Whether silence passes it on, rather than meaning what it means. What is put to everybody at once is asked
    /// on once.
    pub(crate) fn goes_on(&self) -> bool {
        let everybody = self.addressed.last().is_none_or(|asked| asked.everybody);
        self.on_timeout == super::plan::OnTimeout::Escalate && (!everybody || self.escalations == 0)
    }
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Decision {
    Approve,
    Deny,
}

/// What a passkey signs: its challenge is SHA-256 of the domain prefix and this, as canonical JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Statement {
    pub(crate) rp: String,
    pub(crate) deployment: DeploymentId,
    pub(crate) approval: ApprovalId,
    pub(crate) incident: IncidentId,
    pub(crate) run: RunId,
    pub(crate) plan: PlanDigest,
    /// SHA-256, hex, over the decided items' own digests in order.
    pub(crate) root: String,
    pub(crate) items: Vec<StatementItem>,
    pub(crate) decision: Decision,
    /// What kind of question it answers. Statements of before there were several do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asks: Option<Asks>,
    /// The name of whom it concerns, as the approver typed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) typed: Option<String>,
    /// SHA-256, hex, of the justification's text.
    pub(crate) justification: String,
    pub(crate) approver: PersonId,
    /// 32 random bytes, hex.
    pub(crate) nonce: String,
    pub(crate) issued_at: Time,
    pub(crate) expires_at: Time,
}

/// One decided item in a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StatementItem {
    pub(crate) step: String,
    pub(crate) item: String,
    pub(crate) action: ActionId,
    pub(crate) target: String,
    pub(crate) params: String,
}

impl From<&Item> for StatementItem {
    fn from(item: &Item) -> Self {
        Self {
            step: item.cell.step.0.clone(),
            item: item.cell.item.clone(),
            action: item.action.clone(),
            target: item.target.clone(),
            params: item.params.clone(),
        }
    }
}

/// A decision with everything that an outsider needs to check it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Signed {
    pub(crate) statement: Statement,
    /// Where one signature answers several questions: the digests, hex, of all its statements in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) together: Vec<String>,
    pub(crate) justification: String,
    pub(crate) by_name: String,
    /// The WebAuthn assertion as the browser gave it.
    pub(crate) assertion: Value,
    /// The public credential that it verifies against.
    pub(crate) credential: Value,
}
