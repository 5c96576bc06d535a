//! An event: one fact from an identity provider, normalised. Field names follow OCSF's Authentication class.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

use super::id::EventId;
use super::time::Time;

/// What kind of fact an event states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventKind {
    /// A second-factor request was put to the person.
    Prompt,
    SignIn,
    TokenRefresh,
    /// A factor was enrolled or removed.
    FactorChange,
    /// A recovery means changed: password reset, recovery phone, SSPR.
    RecoveryChange,
    /// A rule was made that forwards, moves or deletes mail, or a mailbox was made to forward.
    InboxRule,
    /// An application was given access in the person's name.
    Grant,
    /// A role was given.
    RoleChange,
    /// The provider takes a session or a token of the person for stolen.
    StolenSession,
    /// The provider takes the password for known to others, or saw it guessed at.
    StolenPassword,
    /// The provider finds the place or the manner of a sign-in odd.
    OddSignIn,
}

impl EventKind {
    /// What belongs to the story of an open incident although it may raise nothing: what may follow on an approval, and
    /// what the provider thinks of it.
    pub(crate) fn is_watched(self) -> bool {
        match self {
            Self::Prompt | Self::SignIn | Self::TokenRefresh => false,
            Self::FactorChange
            | Self::RecoveryChange
            | Self::InboxRule
            | Self::Grant
            | Self::RoleChange
            | Self::StolenSession
            | Self::StolenPassword
            | Self::OddSignIn => true,
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventOutcome {
    /// Sent; nothing is known of the answer.
    Prompted,
    Denied,
    TimedOut,
    /// The wrong number was chosen in number matching, or the challenge failed after an approval.
    WrongAnswer,
    Approved,
    /// The person marked it as fraud.
    Reported,
    Succeeded,
    Failed,
}

impl EventOutcome {
    /// A prompt that did not end in an approval: denied, ignored, wrongly answered or reported.
    pub(crate) fn is_failed_prompt(self) -> bool {
        matches!(self, Self::Denied | Self::TimedOut | Self::WrongAnswer | Self::Reported)
    }
}

/// The means that was asked for or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Factor {
    Push,
    Otp,
    Sms,
    Call,
    Email,
    Password,
    Fido,
    Other,
}

/// What flow asked for the prompt. A reset is proposed only where the password is known or likely stolen.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    Password,
    Passwordless,
    /// Self-service password reset.
    Sspr,
    Vpn,
    #[default]
    Unknown,
}

impl Origin {
    /// Whether a prompt from this flow means that somebody had the password.
    pub(crate) fn exposes_password(self) -> bool {
        !matches!(self, Self::Sspr | Self::Passwordless)
    }
}

/// Who made a factor or recovery change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangedBy {
    /// The account's own session.
    Own,
    /// A different principal: an administrator or a provisioning system.
    Administrator,
    #[default]
    Unknown,
}

/// How a record names the account it concerns. At least one of the fields is set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct AccountName {
    /// The provider's immutable id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) provider_id: Option<String>,
    /// UPN, e-mail or login name, lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) login: Option<String>,
}

/// Where a request came from, as far as the record says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Place {
    /// ISO 3166 code or the record's own name of the country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) country: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) city: Option<String>,
}

/// Device names begin so that a client made up for itself (a browser's fingerprint): no provider vouches
/// for them.
pub(crate) const CLAIMED_DEVICE: &str = "claimed:";

/// One fact from an identity provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: EventId,
    pub(crate) kind: EventKind,
    pub(crate) account: AccountName,
    pub(crate) time: Time,
    pub(crate) outcome: EventOutcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) factor: Option<Factor>,
    #[serde(default)]
    pub(crate) origin: Origin,
    /// Source address of the sign-in that asked, not of the phone that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ip: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asn: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<Place>,
    /// The requesting device where the record names it; the user agent is not a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<String>,
    /// The software that asked, as the record says: browser, system, user agent. It is the client's own word, which an
    /// attacker copies: it is told, and proves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) app: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
    /// The provider's id for one sign-in flow over several records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) correlation: Option<String>,
    /// For `factor_change`: the provider's id of the factor concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) factor_id: Option<String>,
    #[serde(default)]
    pub(crate) changed_by: ChangedBy,
    /// The provider itself says that the device is known to it for this person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) new_device: Option<bool>,
    /// What the record said, in its own words, cut short.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) message: String,
    /// Set on records that a test or demonstration made up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) synthetic: bool,
}

impl Event {
    /// Its kind and outcome as they are spelled in JSON: `prompt denied`.
    pub(crate) fn words(&self) -> String {
        let word = |value: serde_json::Result<serde_json::Value>| {
            value.ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
        };
        let (kind, outcome) = (serde_json::to_value(self.kind), serde_json::to_value(self.outcome));
        format!("{} {}", word(kind), word(outcome))
    }

    /// A prompt answered with yes. A good password is none.
    pub(crate) fn is_approved_prompt(&self) -> bool {
        self.kind == EventKind::Prompt
            && self.outcome == EventOutcome::Approved
            && self.factor != Some(Factor::Password)
    }

    /// A prompt that was denied, ignored, wrongly answered or reported.
    pub(crate) fn is_failed_prompt(&self) -> bool {
        self.kind == EventKind::Prompt && self.outcome.is_failed_prompt()
    }
}
