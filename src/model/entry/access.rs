//! Entries about who may: people, tokens, and attempts that were refused.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::id::{IncidentId, PersonId, SourceId, TokenId};
use crate::model::time::Time;

/// A person who may decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PersonEnrolled {
    pub(crate) person: PersonId,
    pub(crate) name: String,
    pub(crate) roles: Vec<String>,
    /// The passkey's public half, as the WebAuthn library keeps it.
    pub(crate) passkey: Value,
    pub(crate) user_handle: uuid::Uuid,
    /// Hash of the enrolment ticket that was used up.
    pub(crate) ticket: String,
    /// When this passkey was enrolled. Unknown for those of before it was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) enrolled_at: Option<Time>,
}

/// An attempt that failed. Only so many a minute are written down; how many were not, the next one says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AttemptRefused {
    /// Method and path.
    pub(crate) what: String,
    /// Whose session it was, if it was anybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) incident: Option<IncidentId>,
    pub(crate) status: u16,
    pub(crate) reason: String,
    /// How many before it were refused and not written down.
    #[serde(default, skip_serializing_if = "crate::model::plan::is_default")]
    pub(crate) unwritten: u32,
}

/// The guardrails from here on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct GuardrailsChanged {
    /// SHA-256, hex, of the canonical JSON of `rules`.
    pub(crate) digest: String,
    pub(crate) rules: Value,
    /// Who signed; nobody where they were taken from the settings: the first ones, a lab's, or by `auto_publish`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) by: Vec<PersonId>,
    /// How many had to.
    #[serde(default)]
    pub(crate) needed: u32,
    /// What is different, for people.
    #[serde(default)]
    pub(crate) diff: String,
}

/// More blocks may be done for one campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CeilingRaised {
    pub(crate) campaign: String,
    /// In an hour.
    pub(crate) blocks: u32,
    pub(crate) until: Time,
    pub(crate) by: Vec<PersonId>,
    pub(crate) needed: u32,
}

/// A token was created or revoked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TokenChanged {
    pub(crate) token: TokenId,
    pub(crate) name: String,
    pub(crate) scopes: Vec<String>,
    /// SHA-256 of the secret, hex.
    pub(crate) hash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<SourceId>,
    pub(crate) expires_at: Time,
    pub(crate) revoked: bool,
    /// Who made it. Unknown for those of before it was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revoked_by: Option<String>,
}

impl TokenChanged {
    /// Revokes it; whether it was in force. Who was first stays written down.
    pub(crate) fn revoke(&mut self, by: String) -> bool {
        if self.revoked {
            return false;
        }
        (self.revoked, self.revoked_by) = (true, Some(by));
        true
    }
}
