//! What people answer.

use serde::{Deserialize, Serialize};

use crate::model::approval::{ApprovalState, Signed, Vote};
use crate::model::id::{ApprovalId, IncidentId, PersonId};
use crate::model::run::CellKey;
use crate::model::time::Time;

/// One answer of several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ApprovalVoted {
    pub(crate) approval: ApprovalId,
    pub(crate) incident: IncidentId,
    pub(crate) vote: Vote,
    pub(crate) signed: Signed,
}

/// People's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ApprovalDecided {
    pub(crate) approval: ApprovalId,
    pub(crate) incident: IncidentId,
    pub(crate) state: ApprovalState,
    /// Of several approvers only what all of them ticked.
    pub(crate) granted: Vec<CellKey>,
    /// Whose answer settled it.
    pub(crate) by: PersonId,
    pub(crate) signed: Signed,
    /// Grants must begin before this.
    pub(crate) begin_until: Time,
}
