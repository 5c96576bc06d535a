//! The person concerned is asked, out of band: "were these prompts yours?"

use serde::{Deserialize, Serialize};

use super::alert::Proof;
use super::id::IncidentId;
use super::time::Time;

/// How the link reaches the person. Quell sends it nowhere; a colleague hands it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Channel {
    /// On a number that was known before.
    Telephone,
    InPerson,
    /// The manager hands it on.
    Manager,
    /// A mailbox that is none of the accounts under attack.
    OtherMail,
    /// A chat that none of the accounts under attack opens.
    OtherChat,
}

impl Channel {
    pub(crate) const ALL: [Self; 5] =
        [Self::Telephone, Self::InPerson, Self::Manager, Self::OtherMail, Self::OtherChat];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Telephone => "telephone",
            Self::InPerson => "in_person",
            Self::Manager => "manager",
            Self::OtherMail => "other_mail",
            Self::OtherChat => "other_chat",
        }
    }

    /// In words, after "over" or "by".
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Telephone => "telephone, on a number known before",
            Self::InPerson => "hand, in person",
            Self::Manager => "their manager",
            Self::OtherMail => "another mailbox",
            Self::OtherChat => "another chat",
        }
    }

    /// Whether it goes to an address, which must be none of the person's own accounts.
    pub(crate) fn has_address(self) -> bool {
        matches!(self, Self::OtherMail | Self::OtherChat)
    }

    /// What an answer that came this way proves about who gave it.
    pub(crate) fn proof(self) -> Proof {
        match self {
            Self::Telephone | Self::InPerson => Proof::AuthenticatedOther,
            Self::Manager | Self::OtherMail | Self::OtherChat => Proof::Relayed,
        }
    }
}

/// What the person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Yes,
    No,
    Unsure,
}

/// A question to the person concerned, as its incident keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// SHA-256 of the link's secret, hex.
    pub(crate) hash: String,
    pub(crate) by: String,
    pub(crate) channel: Channel,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) to: String,
    pub(crate) at: Time,
    pub(crate) expires_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reply: Option<Reply>,
    /// Answered or expired: the link opens nothing any more.
    #[serde(default)]
    pub(crate) closed: bool,
    /// The answer lowered the severity, and no evidence has come since.
    #[serde(default)]
    pub(crate) lowers: bool,
}

/// Which incident a link that still opens is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenAsk {
    pub(crate) incident: IncidentId,
    pub(crate) expires_at: Time,
}

/// Somebody asked the person concerned. Only the hash of the link's secret is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PersonAsked {
    pub(crate) incident: IncidentId,
    pub(crate) hash: String,
    pub(crate) by: String,
    pub(crate) channel: Channel,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) to: String,
    pub(crate) expires_at: Time,
}

/// The person answered, or nobody did in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PersonAnswered {
    pub(crate) incident: IncidentId,
    pub(crate) hash: String,
    /// Who had asked, and over which channel.
    pub(crate) by: String,
    pub(crate) channel: Channel,
    /// None: silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reply: Option<Reply>,
    /// "It was me", where no prompt was approved: severity goes down by one and the watch lasts until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lowered_watch_until: Option<Time>,
}
