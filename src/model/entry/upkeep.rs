//! Entries about looking after a deployment: connections that were tried, deliveries that were judged again, settings
//! that were read again.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::model::id::{ConnectionId, SourceId};
use crate::model::time::Time;

/// Somebody had a connection's credentials tried; the newest result is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConnectionTested {
    pub(crate) connection: ConnectionId,
    pub(crate) at: Time,
    pub(crate) by: String,
    /// Each class of accounts that has a credential.
    pub(crate) classes: Vec<ClassTested>,
    /// Settings that are not given, each with the actions that are lacking for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) unset: BTreeMap<String, Vec<String>>,
}

/// What came of one credential's harmless call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClassTested {
    /// `ordinary` or `privileged`.
    pub(crate) of: String,
    pub(crate) credential: String,
    pub(crate) works: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

/// A delivery that had been refused was judged once more, at somebody's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeliveryJudged {
    pub(crate) source: SourceId,
    /// Under which name it was kept.
    pub(crate) kept: String,
    pub(crate) received_at: Time,
    pub(crate) by: String,
    /// How many of its records were taken.
    #[serde(default)]
    pub(crate) accepted: usize,
    /// Why it was refused again, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

/// The settings were read again while Quell ran, and what is about intake was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SettingsReread {
    pub(crate) by: String,
    /// SHA-256 of the sources as they are typed, their mappings, and the digests of the playbooks that were read.
    pub(crate) digest: String,
    /// What was otherwise than before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) taken: Vec<String>,
    /// What waits for a restart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) restart: Vec<String>,
}
