//! The case about one subject.

use serde::{Deserialize, Serialize};

use super::id::{Capability, EventId, IncidentId, RunId, SubjectId};
use super::subject::AccountKey;
use super::time::Time;

/// How sure and how bad. Evidence only raises it.
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
pub(crate) enum Stage {
    Noted,
    Suspected,
    Confirmed,
    Breached,
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Noted => "noted",
            Self::Suspected => "suspected",
            Self::Confirmed => "confirmed",
            Self::Breached => "breached",
        }
    }
}

/// By stage, one up if privileged.
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
pub(crate) enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub(crate) fn of(stage: Stage, privileged: bool) -> Self {
        match (stage, privileged) {
            (Stage::Noted, false) => Self::Low,
            (Stage::Noted, true) | (Stage::Suspected, false) => Self::Medium,
            (Stage::Suspected, true) | (Stage::Confirmed, false) => Self::High,
            (Stage::Confirmed, true) | (Stage::Breached, _) => Self::Critical,
        }
    }

    /// The next one down.
    pub(crate) fn lowered(self) -> Self {
        match self {
            Self::Low | Self::Medium => Self::Low,
            Self::High => Self::Medium,
            Self::Critical => Self::High,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Whose the approved prompt was.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ApprovalSeen {
    #[default]
    None,
    /// The person's own parallel sign-in from their known context: drives nothing.
    Own,
    /// Cannot be told: stage confirmed, and it asks.
    Unknown,
    /// Shares correlation, session, address, network or device with the failed prompts.
    Hostile,
}

impl ApprovalSeen {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Own => "own",
            Self::Unknown => "unknown",
            Self::Hostile => "hostile",
        }
    }
}

/// Where the case stands.
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
pub(crate) enum IncidentStatus {
    Open,
    Contained,
    Closed,
}

/// How far a source's word may carry by itself.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MayCause {
    /// Tickets and notices only.
    Record,
    /// Revocation too; block and reset are proposed.
    #[default]
    Revoke,
    /// As policy says.
    Contain,
}

/// A factor that was added after the first hostile event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostileFactor {
    pub(crate) account: AccountKey,
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) added_at: Time,
}

/// How far one containment capability has come on one account.
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
pub(crate) enum ContainmentState {
    Proposed,
    Asked,
    /// The API said yes.
    Applied,
    /// Read back.
    Verified,
    /// No success from the hostile context through the residual window.
    Enforced,
    Failed,
    Unsupported,
    NotApplicable,
    Undone,
}

/// One line of an incident's containment table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Containment {
    /// `connection:provider_id`, or empty where the capability is not about one account.
    pub(crate) account: String,
    pub(crate) capability: Capability,
    /// The factor or other item, where there are several on one account.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) item: String,
    pub(crate) state: ContainmentState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) residual: Option<String>,
    pub(crate) at: Time,
}

/// The hostile side of an incident, as far as its failed prompts show it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct HostileContext {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ips: Vec<std::net::IpAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) asns: Vec<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) sessions: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) correlations: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) devices: Vec<String>,
}

impl HostileContext {
    /// Adds what another saw, up to `most` of each.
    pub(crate) fn merge(&mut self, other: &Self, most: usize) {
        fn add<T: Clone + PartialEq>(mine: &mut Vec<T>, new: &[T], most: usize) {
            for one in new {
                if mine.len() < most && !mine.contains(one) {
                    mine.push(one.clone());
                }
            }
        }
        add(&mut self.ips, &other.ips, most);
        add(&mut self.asns, &other.asns, most);
        add(&mut self.sessions, &other.sessions, most);
        add(&mut self.correlations, &other.correlations, most);
        add(&mut self.devices, &other.devices, most);
    }
}

/// Many people and one source: what an incident is part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Campaign {
    /// The same for every incident of the same source.
    pub(crate) id: String,
    /// The source: `address 203.0.113.9`, `network 203.0.113.0/24`, `AS64500`, `device …`.
    pub(crate) key: String,
    /// How many people it tried, when this was last told.
    pub(crate) people: u32,
}

impl Campaign {
    /// Another source, which is told later only if it says more; or more people.
    pub(crate) fn says_more_than(&self, known: Option<&Self>) -> bool {
        known.is_none_or(|known| known.id != self.id || known.people < self.people)
    }
}

/// Counts for people; the events themselves are in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct EvidenceCounts {
    pub(crate) events: u32,
    pub(crate) denied: u32,
    pub(crate) timed_out: u32,
    pub(crate) wrong_answer: u32,
    pub(crate) approved: u32,
    pub(crate) alerts: u32,
    pub(crate) reports: u32,
    /// Failed prompts at the incident's busiest, for the one-line summary.
    #[serde(default)]
    pub(crate) episodes: u32,
}

/// The case about one subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Incident {
    pub(crate) id: IncidentId,
    pub(crate) subject: SubjectId,
    pub(crate) status: IncidentStatus,
    pub(crate) stage: Stage,
    pub(crate) severity: Severity,
    pub(crate) approval: ApprovalSeen,
    pub(crate) password_exposed: bool,
    /// The furthest that any source of its evidence may carry.
    pub(crate) may_cause: MayCause,
    /// Old or marked as replayed: opens, but acts only with approval.
    #[serde(default)]
    pub(crate) stale: bool,
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) hostile_factors: Vec<HostileFactor>,
    #[serde(default)]
    pub(crate) hostile: HostileContext,
    pub(crate) counts: EvidenceCounts,
    pub(crate) opened_at: Time,
    pub(crate) first_event_at: Time,
    pub(crate) last_evidence_at: Time,
    /// The newest hostile approval or sign-in: what makes an earlier revocation stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hostile_entry_at: Option<Time>,
    pub(crate) watch_until: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) contained_at: Option<Time>,
    /// The first time that it was contained. What came back later has a time of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first_contained_at: Option<Time>,
    /// When it was contained for the first time after the newest hostile entry was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) entry_contained_at: Option<Time>,
    /// When evidence last opened it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reopened_at: Option<Time>,
    #[serde(default)]
    pub(crate) containment: Vec<Containment>,
    /// Newest last.
    #[serde(default)]
    pub(crate) runs: Vec<RunId>,
    /// Triggers seen so far, so that a risen incident can start what it skipped.
    #[serde(default)]
    pub(crate) triggers: Vec<super::plan::Trigger>,
    /// Counts rises of evidence; a run that has seen fewer has a continuation due.
    #[serde(default)]
    pub(crate) rises: u32,
    /// The campaign that its failed prompts belong to, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) campaign: Option<Campaign>,
    /// The newest alert and report, for expressions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) alert: Option<Box<super::alert::Alert>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) report: Option<Box<super::alert::Report>>,
    /// Who has contained the person by hand: they do not decide about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) by_hand: Vec<String>,
    /// Ids of the events that joined, so that a repeated one counts once.
    #[serde(default)]
    pub(crate) event_ids: Vec<EventId>,
    /// What the person concerned was asked, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) asked: Vec<super::asked::Asked>,
}

impl Incident {
    /// All that applies is verified, at that time.
    pub(crate) fn contained(&mut self, at: Time, watch_until: Time) {
        self.status = IncidentStatus::Contained;
        self.contained_at = Some(at);
        self.first_contained_at = self.first_contained_at.or(Some(at));
        let entered = self.hostile_entry_at.map(|_| at);
        self.entry_contained_at = self.entry_contained_at.or(entered);
        self.watch_until = watch_until;
    }
}
