//! What a person does by passkey without having been asked: acts that loosen something, or that nobody may do in their name.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::{
    DelegationId, DeploymentId, IncidentId, PersonId, PlanDigest, PlaybookName, RunId, SourceId,
};
use super::oncall::Scope;
use super::time::{Span, Time};

/// One such act, exactly. A session alone, which a stolen cookie is, does none of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Deed {
    /// Somebody may enrol a passkey under this name and with this role.
    Invite { name: String, role: String },
    /// This version of a playbook runs from here on.
    Publish { playbook: PlaybookName, digest: PlanDigest },
    /// Parked steps of a run try again.
    Resume { run: RunId },
    /// A pause ends.
    Release { reason: String },
    /// A case is closed.
    Close { incident: IncidentId, note: String },
    /// The guardrails with this digest hold from here on. Takes several people.
    Adopt { digest: String },
    /// So many more blocks an hour may be done for one campaign, until then. Takes several people.
    Raise { campaign: String, blocks: u32, until: Time },
    /// Somebody is asked in the signer's place for a time.
    Delegate { to: PersonId, begins: Time, ends: Time, scope: Scope },
    /// That ends before its time.
    Recall { delegation: DelegationId },
    /// A program may do over the API what these scopes say, for so long from the statement on. None of them decides.
    Token { name: String, scopes: Vec<String>, source: Option<SourceId>, lasts: Span },
}

impl Deed {
    /// The case that it is about, if it is about one.
    pub(crate) fn incident(&self) -> Option<IncidentId> {
        match self {
            Self::Close { incident, .. } => Some(*incident),
            _ => None,
        }
    }

    /// Whether a quorum has to sign the same before it counts; the end of a pause where the policy says so.
    pub(crate) fn may_take_several(&self) -> bool {
        matches!(self, Self::Adopt { .. } | Self::Raise { .. } | Self::Release { .. })
    }
}

/// Somebody who signed what takes several people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Second {
    pub(crate) person: PersonId,
    pub(crate) name: String,
    pub(crate) at: Time,
}

/// What some have signed, and others may still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seconded {
    pub(crate) deed: Deed,
    pub(crate) by: Vec<Second>,
}

/// What the passkey signs: its challenge is SHA-256 of a domain prefix and this, as canonical JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeedStatement {
    pub(crate) rp: String,
    pub(crate) deployment: DeploymentId,
    #[serde(flatten)]
    pub(crate) deed: Deed,
    pub(crate) person: PersonId,
    /// 32 random bytes, hex.
    pub(crate) nonce: String,
    pub(crate) issued_at: Time,
    pub(crate) expires_at: Time,
}

/// An act with everything that an outsider needs to check who did it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SignedDeed {
    pub(crate) statement: DeedStatement,
    pub(crate) by_name: String,
    /// The WebAuthn assertion as the browser gave it.
    pub(crate) assertion: Value,
    /// The public credential that it verifies against.
    pub(crate) credential: Value,
}

/// Who causes something: a name, and the signature where it was done by passkey.
pub(crate) struct By {
    pub(crate) name: String,
    pub(crate) signed: Option<Box<SignedDeed>>,
}

impl<S: AsRef<str> + ?Sized> From<&S> for By {
    fn from(name: &S) -> Self {
        Self { name: name.as_ref().to_owned(), signed: None }
    }
}

impl From<SignedDeed> for By {
    fn from(deed: SignedDeed) -> Self {
        Self { name: deed.by_name.clone(), signed: Some(Box::new(deed)) }
    }
}
