//! Hours of the week, as people write them: `mon-fri 09:00-17:30`.

use jiff::ToSpan as _;
use jiff::civil::{Date, Time as Wall, Weekday};
use std::str::FromStr;

use super::zone::Zone;
use crate::model::time::Time;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Why a text names no hours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BadHours {
    #[error("`{0}` is no time of day: write it like `09:00`")]
    Time(String),
    #[error("`{0}` names no hours: write them like `mon-fri 09:00-17:30` or `22:00-06:00`")]
    Hours(String),
    #[error("`{0}` is no day of the week: use mon tue wed thu fri sat sun")]
    Day(String),
}

/// A stretch of hours on some days of the week; where it ends before it begins, it ends on the next day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    days: [bool; 7],
    from: Wall,
    until: Wall,
}

/// A time of day such as `09:00`.
pub(super) fn wall(text: &str) -> Result<Wall, BadHours> {
    let bad = || BadHours::Time(text.chars().take(40).collect());
    let (hour, minute) = text.split_once(':').ok_or_else(bad)?;
    let two = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<i8>().ok()).flatten().ok_or_else(bad)
    };
    Wall::new(two(hour)?, two(minute)?, 0, 0).map_err(|_| bad())
}

fn days(text: &str) -> Result<[bool; 7], BadHours> {
    let mut days = [false; 7];
    for part in text.split(',') {
        let place = |name: &str| {
            let found = DAYS.iter().position(|day| *day == name.trim().to_lowercase());
            found.ok_or_else(|| BadHours::Day(name.chars().take(40).collect()))
        };
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (place(first)?, place(last)?);
        // `sat-mon` goes over the end of the week.
        let many = (last + 7 - first) % 7;
        for n in 0..=many {
            days[(first + n) % 7] = true;
        }
    }
    Ok(days)
}

impl FromStr for Window {
    type Err = BadHours;

    fn from_str(text: &str) -> Result<Self, BadHours> {
        let bad = || BadHours::Hours(text.chars().take(80).collect());
        let parts: Vec<&str> = text.split_whitespace().collect();
        let (days, hours) = match parts.as_slice() {
            [hours] => ([true; 7], *hours),
            [named, hours] => (days(named)?, *hours),
            _ => return Err(bad()),
        };
        let (from, until) = hours.split_once('-').ok_or_else(bad)?;
        let from = wall(from)?;
        // The end of a day is the beginning of the next.
        let until = if until == "24:00" { Wall::midnight() } else { wall(until)? };
        Ok(Self { days, from, until })
    }
}

impl Window {
    /// When it begins and ends, if it is on that day.
    pub(super) fn on(&self, zone: &Zone, day: Date) -> Option<(Time, Time)> {
        let index = match day.weekday() {
            Weekday::Monday => 0,
            Weekday::Tuesday => 1,
            Weekday::Wednesday => 2,
            Weekday::Thursday => 3,
            Weekday::Friday => 4,
            Weekday::Saturday => 5,
            Weekday::Sunday => 6,
        };
        let last = if self.until <= self.from { day.checked_add(1.day()).ok()? } else { day };
        self.days[index].then(|| (zone.instant(day, self.from), zone.instant(last, self.until)))
    }

    pub(super) fn holds(&self, zone: &Zone, at: Time) -> bool {
        let today = zone.date(at);
        // One that goes over midnight began yesterday.
        let on = [today.checked_sub(1.day()).ok(), Some(today)];
        on.into_iter()
            .flatten()
            .filter_map(|day| self.on(zone, day))
            .any(|(from, until)| from <= at && at < until)
    }
}
