//! Journal entries: everything that ever changes state, and the audit log at once.

mod access;
mod answers;
mod rise;
mod upkeep;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::action::{Call, Outcome, Strength};
use super::alert::{Alert, Report};
use super::approval::{Approval, ApprovalState};
use super::asked::{PersonAnswered, PersonAsked};
use super::deed::SignedDeed;
use super::event::Event;
use super::id::{
    ActionId, ApprovalId, Capability, IncidentId, PersonId, PlanDigest, PlaybookName, ReceiptId,
    RunId, SourceId, SubjectId,
};
use super::notice::Told;
use super::oncall::{Addressed, Delegation, DelegationEnded, Longer};
use super::plan::{Mode, Plan};
use super::poll::PollAdvanced;
use super::run::{CellKey, Conclusion, Purpose, Round, RunStatus, WaitingOn};
use super::subject::{Account, AccountKey, Alias, Subject};
use super::time::Time;

pub(crate) use access::{
    AttemptRefused, CeilingRaised, GuardrailsChanged, PersonEnrolled, TokenChanged,
};
pub(crate) use answers::{ApprovalDecided, ApprovalVoted};
pub(crate) use rise::{IncidentOpened, IncidentRisen, Rise};
pub(crate) use upkeep::{ClassTested, ConnectionTested, DeliveryJudged, SettingsReread};

/// One fact in the journal. The fold of all entries is the state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(crate) enum Entry {
    /// The deployment's first line.
    #[serde(rename = "deployment.created")]
    DeploymentCreated(DeploymentCreated),
    /// From here on this is a copy of a deployment, made of a backup or an export.
    #[serde(rename = "deployment.restored")]
    DeploymentRestored(DeploymentRestored),
    #[serde(rename = "delivery.accepted")]
    DeliveryAccepted(DeliveryAccepted),
    #[serde(rename = "event.joined")]
    EventJoined { incident: IncidentId, event: Box<Event>, source: SourceId },
    #[serde(rename = "alert.raised")]
    AlertRaised { incident: IncidentId, alert: Box<Alert>, source: SourceId },
    #[serde(rename = "report.received")]
    ReportReceived { incident: IncidentId, report: Box<Report>, source: SourceId },
    #[serde(rename = "subject.created")]
    SubjectCreated { subject: Box<Subject> },
    /// Accounts were (re-)read through connections.
    #[serde(rename = "subject.resolved")]
    SubjectResolved {
        subject: SubjectId,
        name: String,
        accounts: Vec<Account>,
        aliases: Vec<Alias>,
    },
    #[serde(rename = "subject.merged")]
    SubjectMerged { from: SubjectId, into: SubjectId },
    #[serde(rename = "incident.opened")]
    IncidentOpened(Box<IncidentOpened>),
    /// Evidence joined without raising the stage.
    #[serde(rename = "incident.joined")]
    IncidentJoined(Box<IncidentRisen>),
    /// Evidence raised the stage, or made an earlier answer stale.
    #[serde(rename = "incident.staged")]
    IncidentStaged(Box<IncidentRisen>),
    #[serde(rename = "incident.contained")]
    IncidentContained { incident: IncidentId, watch_until: Time },
    #[serde(rename = "incident.closed")]
    IncidentClosed { incident: IncidentId, by: String, note: String },
    #[serde(rename = "incident.note")]
    IncidentNote { incident: IncidentId, by: String, note: String },
    /// Somebody contains the person by hand. What follows in this commit is on their word.
    #[serde(rename = "incident.by_hand")]
    IncidentByHand { incident: IncidentId, by: String },
    #[serde(rename = "person.asked")]
    PersonAsked(Box<PersonAsked>),
    /// The person concerned answered, or their time ran out.
    #[serde(rename = "person.answered")]
    PersonAnswered(Box<PersonAnswered>),
    #[serde(rename = "plan.published")]
    PlanPublished(Box<PlanPublished>),
    #[serde(rename = "run.started")]
    RunStarted(Box<RunStarted>),
    /// A continuation round began inside a live run.
    #[serde(rename = "run.continued")]
    RunContinued { run: RunId, incident: IncidentId, round: Round, rises_seen: u32 },
    #[serde(rename = "run.parked")]
    RunParked { run: RunId, incident: IncidentId, waiting_on: WaitingOn },
    #[serde(rename = "run.ended")]
    RunEnded { run: RunId, incident: IncidentId, status: RunStatus },
    /// Nothing of this run begins any more but its `finally`; `run.ended` follows.
    #[serde(rename = "run.cancelled")]
    RunCancelled { run: RunId, incident: IncidentId },
    /// The process died while this run had work under way.
    #[serde(rename = "run.crashed")]
    RunCrashed { run: RunId, incident: IncidentId },
    #[serde(rename = "step.intent")]
    StepIntent(Box<StepIntent>),
    #[serde(rename = "step.outcome")]
    StepOutcome(Box<StepOutcome>),
    #[serde(rename = "step.verified")]
    StepVerified(Box<StepVerified>),
    /// The step ended without an effect.
    #[serde(rename = "step.skipped")]
    StepSkipped(Box<StepSkipped>),
    /// A `switch` or a block's `when` was answered.
    #[serde(rename = "block.decided")]
    BlockDecided(Box<BlockDecided>),
    /// A `wait` step began, or a cell was parked for a person.
    #[serde(rename = "step.parked")]
    StepParked {
        run: RunId,
        incident: IncidentId,
        cell: CellKey,
        until: Option<Time>,
        problem: String,
    },
    #[serde(rename = "approval.opened")]
    ApprovalOpened { approval: Box<Approval> },
    /// One of several people has answered; the question stays open.
    #[serde(rename = "approval.voted")]
    ApprovalVoted(Box<ApprovalVoted>),
    #[serde(rename = "approval.decided")]
    ApprovalDecided(Box<ApprovalDecided>),
    /// Nobody had answered in time: the question stands longer, and the next people are told.
    #[serde(rename = "approval.escalated")]
    ApprovalEscalated {
        approval: ApprovalId,
        incident: IncidentId,
        expires_at: Time,
        reason: String,
        #[serde(default, skip_serializing_if = "super::plan::is_default")]
        why: Longer,
        /// Who is asked from here on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        addressed: Option<Box<Addressed>>,
    },
    #[serde(rename = "approval.expired")]
    ApprovalExpired {
        approval: ApprovalId,
        incident: IncidentId,
        state: ApprovalState,
        /// Items that silence grants, because the playbook says so and they lock nobody out.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        granted: Vec<CellKey>,
        /// Grants must begin before this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        begin_until: Option<Time>,
    },
    /// What follows in this commit was done by a person's passkey.
    #[serde(rename = "deed.signed")]
    DeedSigned(Box<SignedDeed>),
    /// Somebody tried to change something on the console and was refused.
    #[serde(rename = "attempt.refused")]
    AttemptRefused(Box<AttemptRefused>),
    #[serde(rename = "hold.placed")]
    HoldPlaced {
        incident: IncidentId,
        run: RunId,
        account: AccountKey,
        capability: Capability,
        action: ActionId,
        ours: bool,
        expires_at: Option<Time>,
    },
    /// What a provider calls the state that a hold has left an account in, once it was read back.
    #[serde(rename = "hold.verified")]
    HoldVerified {
        incident: IncidentId,
        account: AccountKey,
        capability: Capability,
        status: String,
    },
    #[serde(rename = "hold.released")]
    HoldReleased {
        incident: IncidentId,
        account: AccountKey,
        capability: Capability,
        opened: bool,
        reason: String,
    },
    #[serde(rename = "guardrail.refused")]
    GuardrailRefused {
        incident: IncidentId,
        run: RunId,
        cell: CellKey,
        guardrail: String,
        reason: String,
    },
    #[serde(rename = "pause.changed")]
    PauseChanged { paused: bool, by: String, reason: String },
    /// Somebody elsewhere was told something, or what they had been told was brought up to date.
    #[serde(rename = "notice.sent")]
    NoticeSent(Box<Told>),
    /// A channel could not be told, after its retries.
    #[serde(rename = "notice.failed")]
    NoticeFailed(Box<Told>),
    /// There was nothing to tell for long: all lines up to here are told.
    #[serde(rename = "notice.followed")]
    NoticesFollowed { through: u64 },
    /// What no playbook can override is from here on another.
    #[serde(rename = "guardrails.changed")]
    GuardrailsChanged(Box<GuardrailsChanged>),
    #[serde(rename = "ceiling.raised")]
    CeilingRaised(CeilingRaised),
    #[serde(rename = "person.enrolled")]
    PersonEnrolled(Box<PersonEnrolled>),
    /// A single-use enrolment ticket was issued; only its hash is kept.
    #[serde(rename = "ticket.issued")]
    EnrolmentIssued { hash: String, name: String, roles: Vec<String>, expires_at: Time },
    #[serde(rename = "token.changed")]
    TokenChanged(Box<TokenChanged>),
    /// Somebody is asked in another's place for a time. Follows the signature of whose place it is.
    #[serde(rename = "delegation.given")]
    DelegationGiven(Box<Delegation>),
    #[serde(rename = "delegation.ended")]
    DelegationEnded(Box<DelegationEnded>),
    /// A provider's log has been taken in up to a time. Follows what it speaks of, never the other way round.
    #[serde(rename = "poll.advanced")]
    PollAdvanced(Box<PollAdvanced>),
    #[serde(rename = "connection.tested")]
    ConnectionTested(Box<ConnectionTested>),
    #[serde(rename = "delivery.judged")]
    DeliveryJudged(Box<DeliveryJudged>),
    #[serde(rename = "settings.reread")]
    SettingsReread(Box<SettingsReread>),
    /// Says again, row by row, what is still needed of lines that are about to be dropped.
    #[serde(rename = "snapshot")]
    Snapshot { rows: Vec<(String, Value)> },
    /// Cases in which nothing has happened for long are forgotten, and people about whom there is none left.
    #[serde(rename = "incident.dropped")]
    IncidentsDropped { incidents: Vec<IncidentId>, subjects: Vec<SubjectId> },
    /// Lines up to `through`, whose hash is `head`, may be dropped. Signed as a checkpoint of that line.
    #[serde(rename = "journal.pruned")]
    JournalPruned { through: u64, head: String, key: String, signature: String },
    /// A signed statement of the chain's head.
    #[serde(rename = "checkpoint")]
    Checkpoint { head: String, seq: u64, key: String, signature: String },
}

/// What a deployment is, for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeploymentCreated {
    pub(crate) deployment: super::id::DeploymentId,
    /// A lab deployment stays one for good.
    pub(crate) lab: bool,
    /// Ed25519 public key of the checkpoints, base64.
    pub(crate) key: String,
}

/// What a copy was made of. It signs with a key of its own, so that it is told from the original.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeploymentRestored {
    /// `backup`, `export` or `journal`.
    pub(crate) from: String,
    /// The last line that it brought, and its hash.
    pub(crate) seq: u64,
    pub(crate) head: String,
    /// When the backup was made, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) made_at: Option<Time>,
    /// Ed25519 public key of the checkpoints that follow, base64.
    pub(crate) key: String,
}

/// A delivery that changed something, with the answer it got, so that a repetition gets the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeliveryAccepted {
    pub(crate) receipt: ReceiptId,
    pub(crate) source: SourceId,
    /// The sender's delivery id, or SHA-256 of the body.
    pub(crate) delivery: String,
    pub(crate) answer: Value,
}

/// A playbook's digest may run from here on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PlanPublished {
    pub(crate) name: PlaybookName,
    pub(crate) digest: PlanDigest,
    pub(crate) plan: Plan,
    pub(crate) source: String,
    /// Who, by name; `auto_publish` and a lab deployment say so.
    pub(crate) by: String,
    /// Unified diff to the version published before.
    pub(crate) diff: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signed: Option<Value>,
}

/// A run's first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunStarted {
    pub(crate) run: RunId,
    pub(crate) incident: IncidentId,
    pub(crate) playbook: PlaybookName,
    pub(crate) plan: PlanDigest,
    pub(crate) purpose: Purpose,
    pub(crate) mode: Mode,
    pub(crate) rises_seen: u32,
    /// For a continuation: the steps that are due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) round: Option<Round>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) started_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) decided_by: Option<PersonId>,
    /// A restore's own plan, which no file holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) own_plan: Option<Box<Plan>>,
}

/// Written, durably, before any effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepIntent {
    pub(crate) run: RunId,
    pub(crate) incident: IncidentId,
    pub(crate) cell: CellKey,
    pub(crate) capability: Capability,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<AccountKey>,
    pub(crate) attempt: u32,
    pub(crate) call: Call,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grant: Option<ApprovalId>,
    /// Counts against the ceiling named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ceiling: Option<String>,
    /// It is done first, and people are asked afterwards whether it stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) ratify: bool,
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepOutcome {
    pub(crate) run: RunId,
    pub(crate) incident: IncidentId,
    pub(crate) cell: CellKey,
    pub(crate) attempt: u32,
    pub(crate) outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    #[serde(default)]
    pub(crate) output: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// What stays true although it is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) residual: Option<String>,
    /// What the engine makes of it: the cell's next state.
    pub(crate) next: super::run::CellState,
    /// Unlike `at` of the commit: when the request was sent.
    pub(crate) sent_at: Time,
}

/// What a read-back found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepVerified {
    pub(crate) run: RunId,
    pub(crate) incident: IncidentId,
    pub(crate) cell: CellKey,
    /// `None`: it does not hold (yet), or could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) strength: Option<Strength>,
    #[serde(default)]
    pub(crate) output: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    pub(crate) next: super::run::CellState,
}

/// A step that ended without an effect, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepSkipped {
    pub(crate) run: RunId,
    pub(crate) incident: IncidentId,
    pub(crate) cell: CellKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) capability: Option<Capability>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<AccountKey>,
    pub(crate) conclusion: Conclusion,
    /// The action exists but means nothing here: does not keep the incident open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) not_applicable: bool,
    pub(crate) reason: String,
}

/// What a block came to: which case a `switch` took, or that a block's `when` did not hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BlockDecided {
    pub(crate) run: RunId,
    pub(crate) incident: IncidentId,
    /// The block's path; it has no item.
    pub(crate) cell: CellKey,
    /// Whether any of its steps may run.
    pub(crate) enters: bool,
    /// The case of a `switch`; none means its default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) case: Option<String>,
    pub(crate) reason: String,
}

impl Entry {
    /// The case it belongs to, for the timeline.
    #[expect(clippy::too_many_lines, reason = "a list: every kind of entry is named once")]
    pub(crate) fn incident(&self) -> Option<IncidentId> {
        match self {
            Self::EventJoined { incident, .. }
            | Self::AlertRaised { incident, .. }
            | Self::ReportReceived { incident, .. }
            | Self::IncidentContained { incident, .. }
            | Self::IncidentClosed { incident, .. }
            | Self::IncidentNote { incident, .. }
            | Self::IncidentByHand { incident, .. }
            | Self::RunContinued { incident, .. }
            | Self::RunParked { incident, .. }
            | Self::RunCancelled { incident, .. }
            | Self::RunEnded { incident, .. }
            | Self::RunCrashed { incident, .. }
            | Self::StepParked { incident, .. }
            | Self::ApprovalExpired { incident, .. }
            | Self::ApprovalEscalated { incident, .. }
            | Self::HoldPlaced { incident, .. }
            | Self::HoldReleased { incident, .. }
            | Self::HoldVerified { incident, .. }
            | Self::GuardrailRefused { incident, .. } => Some(*incident),
            Self::PersonAsked(e) => Some(e.incident),
            Self::PersonAnswered(e) => Some(e.incident),
            Self::IncidentOpened(e) => Some(e.incident),
            Self::IncidentJoined(e) | Self::IncidentStaged(e) => Some(e.incident),
            Self::RunStarted(e) => Some(e.incident),
            Self::StepIntent(e) => Some(e.incident),
            Self::StepOutcome(e) => Some(e.incident),
            Self::StepVerified(e) => Some(e.incident),
            Self::StepSkipped(e) => Some(e.incident),
            Self::BlockDecided(e) => Some(e.incident),
            Self::ApprovalOpened { approval } => Some(approval.incident),
            Self::AttemptRefused(e) => e.incident,
            Self::DeedSigned(e) => e.statement.deed.incident(),
            Self::ApprovalVoted(e) => Some(e.incident),
            Self::ApprovalDecided(e) => Some(e.incident),
            Self::NoticeSent(told) | Self::NoticeFailed(told) => told.fact.incident,
            Self::DeploymentCreated(_)
            | Self::DeploymentRestored(_)
            | Self::DeliveryAccepted(_)
            | Self::SubjectCreated { .. }
            | Self::SubjectResolved { .. }
            | Self::SubjectMerged { .. }
            | Self::PlanPublished(_)
            | Self::PauseChanged { .. }
            | Self::NoticesFollowed { .. }
            | Self::GuardrailsChanged(_)
            | Self::CeilingRaised(_)
            | Self::PersonEnrolled(_)
            | Self::EnrolmentIssued { .. }
            | Self::TokenChanged(_)
            | Self::DelegationGiven(_)
            | Self::DelegationEnded(_)
            | Self::PollAdvanced(_)
            | Self::ConnectionTested(_)
            | Self::DeliveryJudged(_)
            | Self::SettingsReread(_)
            | Self::Snapshot { .. }
            | Self::IncidentsDropped { .. }
            | Self::JournalPruned { .. }
            | Self::Checkpoint { .. } => None,
        }
    }
}

/// One journal line: applied whole or not at all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Commit {
    pub(crate) seq: u64,
    pub(crate) at: Time,
    pub(crate) entries: Vec<Entry>,
}
