//! What of a log has been taken in already, by the ids of what its records state. Pure.
//!
//! Rebuilt at a start: events from the evidence log, alerts from the cursor's entry. An id is kept until no
//! walk asks for its time any more.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

use crate::intake::{Parsed, Record};
use crate::model::id::{AlertId, EventId};
use crate::model::time::Time;

/// Ids kept of one source: beyond, the oldest half goes, and what of it is met again is taken in again.
const MOST: usize = 400_000;

/// Enough of a hash to tell ids apart.
type Mark = [u8; 16];

/// The ids of one source.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// With the time of the page that brought them, or of their receipt: no earlier than the record's own.
    events: HashMap<Mark, Time>,
    alerts: HashMap<AlertId, Time>,
}

impl Known {
    /// Remembers an event that the evidence log has.
    pub(crate) fn event(&mut self, id: &EventId, at: Time) {
        self.events.insert(mark(id), at);
    }

    /// Remembers an alert that the cursor's entry names.
    pub(crate) fn alert(&mut self, id: AlertId, at: Time) {
        self.alerts.insert(id, at);
    }

    /// Leaves what has not been taken in. A record that states several things may be new in part.
    pub(crate) fn keep_new(&self, parsed: &mut Parsed) {
        parsed.records.retain(|record| !self.knows(record));
    }

    fn knows(&self, record: &Record) -> bool {
        match record {
            Record::Event(event) => self.events.contains_key(&mark(&event.id)),
            Record::Alert(alert) => self.alerts.contains_key(&alert.id),
            // No provider's log has any.
            Record::Report(_) => false,
        }
    }

    /// Remembers what was taken in of a page whose newest record is of `at`.
    pub(crate) fn took(&mut self, records: &[Record], at: Time) {
        for record in records {
            match record {
                Record::Event(event) => self.event(&event.id, at),
                Record::Alert(alert) => self.alert(alert.id, at),
                Record::Report(_) => {}
            }
        }
        if self.events.len() > MOST {
            let mut times: Vec<Time> = self.events.values().copied().collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            self.events.retain(|_, at| *at > median);
        }
    }

    /// Forgets what lies before the next walk's beginning.
    pub(crate) fn prune(&mut self, from: Time) {
        self.events.retain(|_, at| *at >= from);
        self.alerts.retain(|_, at| *at >= from);
    }

    /// The alerts that a walk which begins at `from` may meet again, oldest first.
    pub(crate) fn alerts(&self, from: Time) -> Vec<AlertId> {
        let met = self.alerts.iter().filter(|(_, at)| **at >= from);
        let mut ids: Vec<AlertId> = met.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// How many of these records, which nobody understands, were not met before.
    pub(crate) fn rejected(&mut self, rows: &[&Value], at: Time) -> u64 {
        let new = rows.iter().filter(|row| {
            let id = EventId::new(format!("rejected:{row}"));
            self.events.insert(mark(&id), at).is_none()
        });
        u64::try_from(new.count()).unwrap_or(u64::MAX)
    }
}

fn mark(id: &EventId) -> Mark {
    let digest = Sha256::digest(id.as_str().as_bytes());
    let mut mark = Mark::default();
    mark.copy_from_slice(&digest[..16]);
    mark
}
