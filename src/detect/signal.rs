//! What the detector says, and what it has to be told.

use crate::model::alert::AlertKind;
use crate::model::event::{AccountName, Event, Factor};
use crate::model::id::{EventId, SourceId};
use crate::model::incident::{ApprovalSeen, Campaign, HostileContext, Incident, MayCause, Stage};
use crate::model::subject::Subject;
use crate::model::time::{Span, Time};

/// Evidence older than this, when it arrives, never acts by itself.
const STALE_AFTER: Span = Span::hours(1);

/// What is known about a subject besides its events.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About<'a> {
    pub(crate) privileged: bool,
    /// The subject's open (or still watched) incident.
    pub(crate) open: Option<&'a Open>,
    pub(crate) now: Time,
    /// What the directory said of them, when it was last asked.
    pub(crate) who: Option<&'a Subject>,
    /// Who tells it; nobody in a file that is only judged.
    pub(crate) told: Option<Told<'a>>,
}

/// A source, and how far its word carries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) source: &'a SourceId,
    pub(crate) may_cause: MayCause,
}

impl About<'_> {
    /// What a source that may only record says of one person is evidence about no other.
    pub(super) fn counts_for_others(&self) -> bool {
        self.told.is_none_or(|told| told.may_cause > MayCause::Record)
    }
}

/// The detector's view of an open incident.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Open {
    pub(crate) hostile: HostileContext,
    pub(crate) first_event_at: Time,
    pub(crate) last_evidence_at: Time,
    pub(crate) contained_at: Option<Time>,
}

impl From<&Incident> for Open {
    fn from(incident: &Incident) -> Self {
        Self {
            hostile: incident.hostile.clone(),
            first_event_at: incident.first_event_at,
            last_evidence_at: incident.last_evidence_at,
            contained_at: incident.contained_at,
        }
    }
}

/// A factor that was added after the first hostile event. The caller knows its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FactorSeen {
    pub(crate) account: AccountName,
    pub(crate) id: String,
    pub(crate) factor: Option<Factor>,
    pub(crate) added_at: Time,
}

/// What the evidence now supports about one subject.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Signal {
    pub(crate) kind: AlertKind,
    pub(crate) stage: Stage,
    pub(crate) approval: ApprovalSeen,
    /// Why, in one sentence.
    pub(crate) reason: String,
    pub(crate) rule: String,
    /// The events that count, oldest first, each once.
    pub(crate) events: Vec<Event>,
    pub(crate) first: Time,
    pub(crate) last: Time,
    /// Some failed or approved prompt means that the password is known.
    pub(crate) password_exposed: bool,
    pub(crate) hostile: HostileContext,
    /// The newest hostile approval or sign-in.
    pub(crate) hostile_entry_at: Option<Time>,
    pub(crate) hostile_factor: Option<FactorSeen>,
    /// Many people and one source, if it is so.
    pub(crate) campaign: Option<Campaign>,
    /// Arrived more than an hour after it happened.
    pub(crate) stale: bool,
}

impl Signal {
    pub(crate) fn event_ids(&self) -> Vec<EventId> {
        self.events.iter().map(|event| event.id.clone()).collect()
    }
}

pub(super) fn is_stale(last: Time, now: Time) -> bool {
    now.signed_duration_since(last) > STALE_AFTER.delta()
}
