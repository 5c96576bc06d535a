//! How far the reading of providers' logs has got. Plain data.

use serde::{Deserialize, Serialize};

use super::id::{AlertId, SourceId};
use super::time::Time;

/// How far a polled source has got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PollAdvanced {
    pub(crate) source: SourceId,
    /// Which of the provider's logs; a source that is pointed at another one begins anew.
    pub(crate) log: String,
    /// Every record of the log with an earlier time is taken in, but for those that come late.
    pub(crate) through: Time,
    /// Alerts that the next poll will be given again: raw events are told by the evidence log, these are not in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) seen: Vec<AlertId>,
}
