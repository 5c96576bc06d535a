//! What can be seen of polls: when each last got through, how far the log lags, what came of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::id::{ConnectionId, SourceId};
use crate::model::time::{Span, Time};

/// Failures in a row after which people are told: a provider stumbles now and then.
const STUCK: u32 = 3;
/// How long a connection may be left alone before people are told that its log is not read.
const HELD: Span = Span::minutes(5);

/// What is known of one source's polls since the start.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Meter {
    pub(crate) connection: Option<ConnectionId>,
    /// The log's name.
    pub(crate) log: &'static str,
    /// What kind of records it holds.
    pub(crate) kind: String,
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
    /// When the first of them was.
    pub(crate) failing_since: Option<Time>,
    /// The last failure, whatever came after it.
    pub(crate) failed: Option<Failed>,
    /// Since when it is not asked at all, because containment found its connection shut.
    pub(crate) held_since: Option<Time>,
    /// When it is asked next.
    pub(crate) next_at: Option<Time>,
}

/// A poll that failed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failed {
    pub(crate) at: Time,
    pub(crate) kind: &'static str,
    pub(crate) problem: String,
}

impl Meter {
    /// Since when the log is not read, where that has lasted so long that a person should know.
    pub(crate) fn stuck_since(&self, now: Time) -> Option<Time> {
        let failing = self.failing_since.filter(|_| self.in_a_row >= STUCK);
        let held = self.held_since.filter(|since| now - *since >= HELD.delta());
        failing.into_iter().chain(held).min()
    }

    /// A page came through.
    pub(crate) fn came_through(&mut self) {
        (self.in_a_row, self.failing_since, self.held_since) = (0, None, None);
    }

    pub(crate) fn failed(&mut self, failed: Failed) {
        *self.failures.entry(failed.kind).or_default() += 1;
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.failing_since.get_or_insert(failed.at);
        self.held_since = None;
        self.failed = Some(failed);
    }
}

/// The meters of all polled sources. Clones are the same meters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meters(Arc<Mutex<BTreeMap<SourceId, Meter>>>);

impl Meters {
    pub(crate) fn note(&self, source: &SourceId, change: impl FnOnce(&mut Meter)) {
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(meters.entry(source.clone()).or_default());
    }

    /// Every polled source, as it stands.
    pub(crate) fn all(&self) -> BTreeMap<SourceId, Meter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
