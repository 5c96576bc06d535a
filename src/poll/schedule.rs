//! When a log is read: a crontab line of five fields, in UTC, or a length of time.
//!
//! Crontab as POSIX has it, which the `cron` crate is not: there a line begins with seconds, Sunday is 1,
//! and a day of the month and a day of the week must both fit. So every field is read here, into the values
//! that it names, and only then handed on. Pure.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::model::time::{Span, Time};

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// One field: its name, its least and greatest value, and words for values from the least on.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    words: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, words: &[] },
    Field { name: "hour", least: 0, most: 23, words: &[] },
    Field { name: "day of the month", least: 1, most: 31, words: &[] },
    Field { name: "month", least: 1, most: 12, words: &MONTHS },
    // 7 is Sunday as well.
    Field { name: "day of the week", least: 0, most: 7, words: &DAYS },
];

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BadSchedule {
    #[error(
        "`{text}` has {found} fields: a schedule is five (minute, hour, day of the month, month, day of the week), such as `*/5 * * * *`, or a length of time, such as `30s`"
    )]
    Fields { text: String, found: usize },
    #[error("`{part}` is no {field}: {least} to {most}{words}, `*`, ranges `a-b`, steps `/n`, lists", words = also(*.named))]
    Value { field: &'static str, part: String, least: u32, most: u32, named: bool },
    #[error("`{0}` never comes: no such day is in any of its months")]
    Never(String),
    #[error("`{0}` is no time between two polls")]
    Zero(String),
}

fn also(named: bool) -> &'static str {
    if named { " or three letters of its name" } else { "" }
}

/// When to poll. Written as it was typed.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    text: String,
    when: When,
}

#[derive(Debug, Clone)]
enum When {
    Every(Span),
    /// The earliest of these is next: there are two where a day may fit by its date or by its name.
    Lines(Vec<cron::Schedule>),
}

impl Schedule {
    /// The first time after `at`.
    pub(crate) fn next(&self, at: Time) -> Time {
        match &self.when {
            When::Every(span) => at + span.delta(),
            // There always is one: a line that never comes is refused when it is read.
            When::Lines(lines) => {
                let next = lines.iter().filter_map(|line| line.after(&at).next()).min();
                next.unwrap_or(at + TimeDelta::days(1))
            }
        }
    }

    /// The shortest time between two polls, as far as the next thousand tell.
    pub(crate) fn tightest(&self, from: Time) -> Span {
        if let When::Every(span) = &self.when {
            return *span;
        }
        let mut at = self.next(from);
        let mut least = TimeDelta::days(36_500);
        for _ in 0..1_000 {
            let next = self.next(at);
            least = least.min(next - at);
            at = next;
        }
        Span::seconds(least.num_seconds())
    }
}

impl FromStr for Schedule {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        let said = || text.chars().take(80).collect::<String>();
        let parts: Vec<&str> = text.split_whitespace().collect();
        if let Ok(span) = text.trim().parse::<Span>() {
            if span < Span::seconds(1) {
                return Err(BadSchedule::Zero(said()));
            }
            return Ok(Self { text: span.to_string(), when: When::Every(span) });
        }
        let Ok(parts) = <[&str; 5]>::try_from(parts) else {
            let found = text.split_whitespace().count();
            return Err(BadSchedule::Fields { text: said(), found });
        };
        let mut values = Vec::new();
        for (field, part) in FIELDS.iter().zip(parts) {
            values.push(field.read(part)?);
        }
        let lines = lines(&values, parts[2].starts_with('*'), parts[4].starts_with('*'));
        let lines: Option<Vec<cron::Schedule>> =
            lines.iter().map(|line| line.parse().ok()).collect();
        let lines = lines.ok_or_else(|| BadSchedule::Never(said()))?;
        let some = Time::from_timestamp(1_767_225_600, 0).unwrap_or_default();
        // A line with days of the week always comes.
        if lines.iter().all(|line: &cron::Schedule| line.after(&some).next().is_none()) {
            return Err(BadSchedule::Never(said()));
        }
        Ok(Self { text: parts.join(" "), when: When::Lines(lines) })
    }
}

/// The crate's own lines: seconds first, values as lists, days of the week by name.
fn lines(values: &[BTreeSet<u32>], any_date: bool, any_day: bool) -> Vec<String> {
    let list = |n: usize| {
        let values: Vec<String> = values[n].iter().map(ToString::to_string).collect();
        values.join(",")
    };
    let days: BTreeSet<u32> = values[4].iter().map(|day| day % 7).collect();
    let days: Vec<&str> = days.iter().filter_map(|day| DAYS.get(*day as usize).copied()).collect();
    let line =
        |date: &str, day: &str| format!("0 {} {} {date} {} {day}", list(0), list(1), list(3));
    let (dates, days) = (list(2), days.join(","));
    match (any_date, any_day) {
        // POSIX: where both are said, either will do.
        (false, false) => vec![line(&dates, "*"), line("*", &days)],
        _ => vec![line(&dates, &days)],
    }
}

impl Field {
    /// The values that a field names.
    fn read(&self, text: &str) -> Result<BTreeSet<u32>, BadSchedule> {
        let mut values = BTreeSet::new();
        for part in text.split(',') {
            let refuse = || BadSchedule::Value {
                field: self.name,
                part: part.chars().take(40).collect(),
                least: self.least,
                most: self.most,
                named: !self.words.is_empty(),
            };
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, step.parse().map_err(|_| refuse())?),
                None => (part, 1),
            };
            let (from, to) = match range.split_once('-') {
                _ if range == "*" => (self.least, self.most),
                Some((from, to)) => {
                    (self.value(from).ok_or_else(refuse)?, self.value(to).ok_or_else(refuse)?)
                }
                // `5/15` is no POSIX, and those who write it mean different things.
                None if part.contains('/') => return Err(refuse()),
                None => {
                    let one = self.value(range).ok_or_else(refuse)?;
                    (one, one)
                }
            };
            if step == 0 || from > to {
                return Err(refuse());
            }
            values.extend((from..=to).step_by(step));
        }
        Ok(values)
    }

    fn value(&self, text: &str) -> Option<u32> {
        let word = text.to_ascii_lowercase();
        if let Some(n) = self.words.iter().position(|w| *w == word) {
            return u32::try_from(n).ok().map(|n| n + self.least);
        }
        // `parse` would take a sign.
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        text.parse().ok().filter(|n| (self.least..=self.most).contains(n))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Serialize for Schedule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(line: &str, from: &str, n: usize) -> Vec<String> {
        let schedule: Schedule = line.parse().unwrap();
        let mut at: Time = from.parse().unwrap();
        let mut times = Vec::new();
        for _ in 0..n {
            at = schedule.next(at);
            times.push(at.format("%a %m-%d %H:%M:%S").to_string());
        }
        times
    }

    /// 2026-05-05 was a Tuesday. The crate alone would take `1` for Sunday.
    #[test]
    fn a_crontab_line_means_what_posix_says() {
        let from = "2026-05-05T10:15:30Z";
        for (line, next) in [
            ("* * * * *", "Tue 05-05 10:16:00"),
            ("*/5 * * * *", "Tue 05-05 10:20:00"),
            ("0 9 * * 1", "Mon 05-11 09:00:00"),
            ("0 9 * * mon-fri", "Wed 05-06 09:00:00"),
            ("0 9 * * 0", "Sun 05-10 09:00:00"),
            ("0 9 * * 7", "Sun 05-10 09:00:00"),
            ("0 9 * * 5-7", "Fri 05-08 09:00:00"),
            ("10-20/5 10 * MAY *", "Tue 05-05 10:20:00"),
            ("0 0 1 1 *", "Fri 01-01 00:00:00"),
            // Either the thirteenth or a Friday.
            ("0 0 13 * 5", "Fri 05-08 00:00:00"),
            ("20s", "Tue 05-05 10:15:50"),
        ] {
            assert_eq!(after(line, from, 1), [next], "{line}");
        }
        let both = after("0 0 13 * 5", from, 2);
        assert_eq!(both, ["Fri 05-08 00:00:00", "Wed 05-13 00:00:00"]);
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        let why = |line: &str| line.parse::<Schedule>().unwrap_err().to_string();

        assert!(why("0 */1 * * * *").contains("has 6 fields"), "{}", why("0 */1 * * * *"));
        assert!(why("61 * * * *").starts_with("`61` is no minute: 0 to 59"));
        assert!(why("* * * * 8").starts_with("`8` is no day of the week: 0 to 7 or three letters"));
        assert!(why("* * * * +1").contains("`+1`"));
        assert!(why("*/0 * * * *").contains("`*/0`"));
        assert!(why("30-10 * * * *").contains("`30-10`"));
        assert!(why("5/15 * * * *").contains("`5/15`"));
        assert!(why("0 0 31 2 *").contains("never comes"));
        assert!(why("0s").contains("no time between"));
        assert!(why("").contains("0 fields"));
        assert!(why("@hourly").contains("1 fields"));
    }

    #[test]
    fn the_tightest_pair_of_polls_is_found() {
        let from = "2026-05-05T10:15:30Z".parse().unwrap();
        let tightest = |line: &str| line.parse::<Schedule>().unwrap().tightest(from);

        assert_eq!(tightest("0,1,30 * * * *"), Span::minutes(1));
        assert_eq!(tightest("*/10 * * * *"), Span::minutes(10));
        assert_eq!(tightest("45s"), Span::seconds(45));
    }
}
