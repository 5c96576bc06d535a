//! What can be seen of polls: when each last got through, how far the log lags, what came of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::id::SourceId;
use crate::model::time::{Span, Time};

/// What is known of one source's polls since the start.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Meter {
    /// The last walk that read all that there was.
    pub(crate) succeeded_at: Option<Time>,
    /// When the poller began; what counts until there is a success.
    pub(crate) began_at: Option<Time>,
    /// Receipt less the newest record's time, when there last was a new record.
    pub(crate) lag: Option<Span>,
    /// The latest that a record came since the start, as far as polls without a pause tell.
    pub(crate) late: Option<Span>,
    /// Events, alerts: what was new, known, or not understood.
    pub(crate) taken: u64,
    pub(crate) known: u64,
    pub(crate) rejected: u64,
    pub(crate) pages: u64,
    /// By kind: `throttled`, `refused`, `failed`, `unreadable`, `store`.
    pub(crate) failures: BTreeMap<&'static str, u64>,
    /// Failures since the last page that came through.
    pub(crate) in_a_row: u32,
    /// The last of them, in words.
    pub(crate) problem: Option<String>,
}

/// The meters of all polled sources. Clones are the same meters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meters(Arc<Mutex<BTreeMap<SourceId, Meter>>>);

impl Meters {
    pub(super) fn note(&self, source: &SourceId, change: impl FnOnce(&mut Meter)) {
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(meters.entry(source.clone()).or_default());
    }

    /// Every polled source, as it stands.
    pub(crate) fn all(&self) -> BTreeMap<SourceId, Meter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
