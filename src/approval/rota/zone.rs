//! Places on earth and their clocks. Zones come with the program, so that the same settings mean the same everywhere.
//!
//! A wall time that a change of the clocks skips is taken as so much later; one that comes twice is its first.

use chrono::DateTime;
use jiff::Timestamp;
use jiff::civil::{Date, Time as Wall};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use std::sync::OnceLock;

use crate::model::time::Time;

/// A zone of the IANA data base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Zone(TimeZone);

fn zones() -> &'static TimeZoneDatabase {
    static ZONES: OnceLock<TimeZoneDatabase> = OnceLock::new();
    ZONES.get_or_init(TimeZoneDatabase::bundled)
}

impl Zone {
    /// The zone of that name; else the name that may have been meant.
    pub(crate) fn named(name: &str) -> Result<Self, Option<String>> {
        if let Ok(zone) = zones().get(name) {
            return Ok(Self(zone));
        }
        let wanted = name.to_lowercase();
        let alike = |known: &str| {
            let whole = strsim::jaro_winkler(&wanted, &known.to_lowercase());
            // `Berlin` means `Europe/Berlin`.
            let city = known.rsplit('/').next().unwrap_or_default().to_lowercase();
            whole.max(strsim::jaro_winkler(&wanted.replace(' ', "_"), &city))
        };
        let names: Vec<String> = zones().available().map(|n| n.as_str().to_owned()).collect();
        let best = names.into_iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
        Err(best.filter(|best| alike(best) > 0.85))
    }

    pub(crate) fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The day there at an instant.
    pub(super) fn date(&self, at: Time) -> Date {
        self.0.to_datetime(timestamp(at)).date()
    }

    /// The wall clock there at an instant.
    #[cfg(test)]
    pub(super) fn clock(&self, at: Time) -> Wall {
        self.0.to_datetime(timestamp(at)).time()
    }

    /// The instant at which the clocks there show this.
    pub(super) fn instant(&self, day: Date, wall: Wall) -> Time {
        let at = self.0.to_timestamp(day.to_datetime(wall)).unwrap_or(Timestamp::MAX);
        let nanos = u32::try_from(at.subsec_nanosecond()).unwrap_or_default();
        DateTime::from_timestamp(at.as_second(), nanos).unwrap_or(Time::MAX_UTC)
    }
}

fn timestamp(at: Time) -> Timestamp {
    let nanos = i32::try_from(at.timestamp_subsec_nanos()).unwrap_or_default();
    Timestamp::new(at.timestamp(), nanos).unwrap_or(Timestamp::MAX)
}
