//! A person's countries, applications and hours, in few bytes: names are kept as digests.

use chrono::Timelike as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::traits::country;
use crate::model::event::Event;
use crate::model::time::{Span, Time};

/// As long as contexts are remembered.
const MEMORY: Span = Span::hours(30 * 24);
/// Countries and applications that are kept of one person together.
const NAMES_MAX: usize = 32;
/// Successes before a person's hours say anything.
const ENOUGH: u32 = 20;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Named {
    digest: u64,
    first: Time,
    last: Time,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Habits {
    names: Vec<Named>,
    /// Successes in each hour of the day, UTC.
    hours: [u16; 24],
}

impl Habits {
    pub(super) fn learn(&mut self, event: &Event) {
        if let Some(country) = country(event) {
            self.note(digest("country", country), event.time);
        }
        if let Some(app) = &event.app {
            self.note(digest("app", app), event.time);
        }
        let hour = &mut self.hours[hour_of(event.time)];
        if *hour == u16::MAX {
            // Older habits count half from here on.
            self.hours.iter_mut().for_each(|count| *count /= 2);
        }
        self.hours[hour_of(event.time)] += 1;
    }

    pub(super) fn knows_country(&self, name: &str, before: Time) -> bool {
        self.knows(digest("country", name), before)
    }

    pub(super) fn knows_app(&self, name: &str, before: Time) -> bool {
        self.knows(digest("app", name), before)
    }

    /// Hours say something only once there are enough, and those next to a usual one are usual.
    pub(super) fn is_unusual_hour(&self, at: Time) -> bool {
        let all: u32 = self.hours.iter().map(|count| u32::from(*count)).sum();
        let hour = hour_of(at);
        let near = [(hour + 23) % 24, hour, (hour + 1) % 24];
        all >= ENOUGH && near.iter().all(|hour| self.hours[*hour] == 0)
    }

    fn knows(&self, digest: u64, before: Time) -> bool {
        self.names.iter().any(|named| {
            named.digest == digest
                && named.first < before
                && before.signed_duration_since(named.last) <= MEMORY.delta()
        })
    }

    fn note(&mut self, digest: u64, at: Time) {
        if let Some(named) = self.names.iter_mut().find(|named| named.digest == digest) {
            named.first = named.first.min(at);
            named.last = named.last.max(at);
            return;
        }
        if self.names.len() >= NAMES_MAX
            && let Some((oldest, _)) =
                self.names.iter().enumerate().min_by_key(|(_, named)| named.last)
        {
            self.names.swap_remove(oldest);
        }
        self.names.push(Named { digest, first: at, last: at });
    }
}

fn hour_of(at: Time) -> usize {
    usize::try_from(at.hour()).unwrap_or_default() % 24
}

/// The same in every process, so that a kept window can be read again.
pub(super) fn digest(kind: &str, name: &str) -> u64 {
    let hash = Sha256::new().chain_update(kind).chain_update([0]).chain_update(name).finalize();
    hash.iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte))
}
