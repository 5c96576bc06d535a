//! Entries about evidence: what it says of a case, all told.

use serde::{Deserialize, Serialize};

use crate::model::id::{IncidentId, SubjectId};
use crate::model::incident::{
    ApprovalSeen, Campaign, HostileContext, HostileFactor, MayCause, Stage,
};
use crate::model::plan::Trigger;
use crate::model::time::Time;

/// A new case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct IncidentOpened {
    pub(crate) incident: IncidentId,
    pub(crate) subject: SubjectId,
    pub(crate) evidence: Rise,
}

/// More evidence in a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct IncidentRisen {
    pub(crate) incident: IncidentId,
    pub(crate) evidence: Rise,
}

/// What the evidence says now, all told. Nothing in it is lower than what was said before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rise {
    pub(crate) stage: Stage,
    pub(crate) approval: ApprovalSeen,
    pub(crate) password_exposed: bool,
    pub(crate) may_cause: MayCause,
    pub(crate) stale: bool,
    pub(crate) privileged: bool,
    pub(crate) reason: String,
    /// New ones only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) hostile_factors: Vec<HostileFactor>,
    #[serde(default)]
    pub(crate) hostile: HostileContext,
    pub(crate) first_event_at: Time,
    pub(crate) last_evidence_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hostile_entry_at: Option<Time>,
    pub(crate) watch_until: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trigger: Option<Trigger>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) campaign: Option<Campaign>,
}
