//! What people elsewhere are told, and what is known of each telling.

use serde::{Deserialize, Serialize};
use std::fmt;

use super::id::{ApprovalId, IncidentId, RunId};
use super::time::Time;

/// What a notice says, as `[notify.channels.NAME].on` lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Topic {
    /// A question waits for a person.
    Approval,
    /// People decided about one.
    Decided,
    /// Nobody answered one in time.
    Expired,
    /// A case is confirmed.
    Confirmed,
    /// A case is breached.
    Breached,
    /// A case is contained.
    Contained,
    /// A run waits for an operator.
    Parked,
    /// A guardrail refused a step.
    Refused,
    /// All effects were stopped, or go on.
    Pause,
    /// A channel could not be told something.
    Undelivered,
}

impl Topic {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Decided => "decided",
            Self::Expired => "expired",
            Self::Confirmed => "confirmed",
            Self::Breached => "breached",
            Self::Contained => "contained",
            Self::Parked => "parked",
            Self::Refused => "refused",
            Self::Pause => "pause",
            Self::Undelivered => "undelivered",
        }
    }
}

/// What notices are about. Those about the same are one message, brought up to date.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum About {
    Question(ApprovalId),
    /// What people decided about a question.
    Decision(ApprovalId),
    /// A question that ran out: a message of its own, since changing the old one wakes nobody.
    Silence(ApprovalId),
    /// A case in one of its stages.
    Case(IncidentId, Topic),
    Run(RunId),
    /// What guardrails refused in a run.
    Guardrail(RunId),
    /// The commit that changed the kill switch.
    Pause(u64),
    Channel(String),
}

/// How a thread is called in journal, index and providers' keys. Holds no text from outside but a channel's name.
impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Question(id) => write!(f, "approval/{id}"),
            Self::Decision(id) => write!(f, "decision/{id}"),
            Self::Silence(id) => write!(f, "expired/{id}"),
            Self::Case(id, topic) => write!(f, "incident/{id}/{}", topic.name()),
            Self::Run(id) => write!(f, "run/{id}"),
            Self::Guardrail(id) => write!(f, "guardrail/{id}"),
            Self::Pause(seq) => write!(f, "pause/{seq}"),
            Self::Channel(name) => write!(f, "channel/{name}"),
        }
    }
}

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fact {
    pub(crate) topic: Topic,
    pub(crate) about: About,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) incident: Option<IncidentId>,
    /// The journal's line that it tells of.
    pub(crate) of: u64,
    pub(crate) at: Time,
    /// Nobody is needed any more: what was said is brought up to date, nothing new is said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) closed: bool,
    /// What the state will not say later; tamed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) detail: String,
}

/// What a delivery did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Did {
    /// A message of its own.
    Posted,
    /// A line in a message about several things.
    Gathered,
    /// An earlier message was changed where it stands.
    Updated,
    /// Nobody is needed any more, and the channel has no means to say so: its message stays as it is.
    Left,
}

/// A channel was told, or could not be: the entries `notice.sent` and `notice.failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) channel: String,
    pub(crate) fact: Fact,
    pub(crate) did: Did,
    /// How the provider names the message, so that it can be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    /// The channel that should have been told first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instead_of: Option<String>,
    /// The process had died meanwhile, or an earlier attempt had no answer: the channel may have been told before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) perhaps_again: bool,
    /// Why it could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// The channel that is told instead, at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
    /// All lines of the journal up to here are told.
    pub(crate) through: u64,
}

/// The last that is known of one thread on one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) told: Told,
    pub(crate) at: Time,
    pub(crate) failed: bool,
    /// When it was last posted as a message of its own: what a budget counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) posted_at: Option<Time>,
}
