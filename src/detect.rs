//! Placeholder until the detection room is merged.
use crate::model::alert::AlertKind;
use crate::model::event::Event;
use crate::model::incident::{ApprovalSeen, HostileContext, Stage};
use crate::model::time::Time;

/// What one subject's events have come to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Signal {
    pub(crate) kind: AlertKind,
    pub(crate) stage: Stage,
    pub(crate) approval: ApprovalSeen,
    pub(crate) reason: String,
    pub(crate) rule: String,
    pub(crate) events: Vec<Event>,
    pub(crate) password_exposed: bool,
    pub(crate) hostile: HostileContext,
    pub(crate) hostile_entry_at: Option<Time>,
    pub(crate) hostile_factor: Option<String>,
    pub(crate) stale: bool,
}
/// The open incident as far as detection looks at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open<'a> {
    pub(crate) hostile: &'a HostileContext,
    pub(crate) first_event_at: Time,
    pub(crate) contained_at: Option<Time>,
}
#[derive(Debug, Default)]
pub(crate) struct Detector;
impl Detector {
    pub(crate) fn observe(
        &mut self,
        _key: &str,
        _event: &Event,
        _privileged: bool,
        _now: Time,
        _open: Option<Open<'_>>,
    ) -> Vec<Signal> {
        Vec::new()
    }
    pub(crate) fn recent_failures(&self, _key: &str, _now: Time) -> usize {
        0
    }
}
