//! What a body turned out to hold.

use chrono::TimeDelta;
use std::borrow::Cow;

use super::json::is_sane;
use super::problem::Problem;
use crate::model::alert::{Alert, Report};
use crate::model::event::{AccountName, Event};
use crate::model::time::{Span, Time};

/// How far ahead of its receipt a record's time may be.
const AHEAD: Span = Span::minutes(5);

/// One thing that a record states.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    Event(Box<Event>),
    Alert(Box<Alert>),
    Report(Box<Report>),
}

impl Record {
    /// Whom it is about, as it names them.
    pub(crate) fn account(&self) -> &AccountName {
        match self {
            Self::Event(event) => &event.account,
            Self::Alert(alert) => &alert.account,
            Self::Report(report) => &report.account,
        }
    }

    pub(crate) fn time(&self) -> Time {
        match self {
            Self::Event(event) => event.time,
            Self::Alert(alert) => alert.time,
            Self::Report(report) => report.time,
        }
    }

    fn time_mut(&mut self) -> &mut Time {
        match self {
            Self::Event(event) => &mut event.time,
            Self::Alert(alert) => &mut alert.time,
            Self::Report(report) => &mut report.time,
        }
    }
}

/// What a parser makes of one record: facts (one or several), or nothing that matters here.
pub(super) enum Verdict {
    Facts(Vec<Record>),
    Irrelevant(Cow<'static, str>),
}

impl Verdict {
    pub(super) fn event(event: Event) -> Self {
        Self::Facts(vec![Record::Event(Box::new(event))])
    }

    pub(super) fn irrelevant(why: &'static str) -> Self {
        Self::Irrelevant(Cow::Borrowed(why))
    }
}

/// A whole body, read: records in = understood + irrelevant + problems.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Parsed {
    /// Records of the body that gave at least one fact.
    pub(crate) understood: usize,
    /// The facts, in the body's order; one record may give several.
    pub(crate) records: Vec<Record>,
    /// Records that are sound but state nothing that matters here: position and why.
    pub(crate) irrelevant: Vec<(usize, Cow<'static, str>)>,
    /// Records that could not be used: position and why.
    pub(crate) problems: Vec<(usize, Problem)>,
}

impl Parsed {
    pub(super) fn take(
        &mut self,
        index: usize,
        verdict: Result<Verdict, Problem>,
        received_at: Time,
    ) {
        match verdict {
            Err(problem) => self.problems.push((index, problem)),
            Ok(Verdict::Irrelevant(why)) => self.irrelevant.push((index, why)),
            Ok(Verdict::Facts(facts)) if facts.iter().any(|f| is_ahead(f, received_at)) => {
                self.problems.push((index, Problem::FutureTime));
            }
            Ok(Verdict::Facts(facts)) => {
                self.understood += 1;
                self.records.extend(facts);
            }
        }
    }

    /// Moves every fact's time; to where no record's own time may be, nothing is moved.
    pub(crate) fn shift(&mut self, millis: i64, received_at: Time) -> Result<(), Problem> {
        let by = TimeDelta::try_milliseconds(millis);
        for fact in &mut self.records {
            let moved = by.and_then(|by| fact.time().checked_add_signed(by));
            let Some(moved) = moved.filter(|at| is_sane(*at)) else {
                let why = "it moves a record's time out of range".to_owned();
                return Err(Problem::BadField { field: "shift_ms".to_owned(), why });
            };
            *fact.time_mut() = moved;
            if is_ahead(fact, received_at) {
                return Err(Problem::FutureTime);
            }
        }
        Ok(())
    }

    /// The facts of both, as of one log.
    pub(crate) fn join(&mut self, other: Self) {
        self.understood += other.understood;
        self.records.extend(other.records);
        self.irrelevant.extend(other.irrelevant);
        self.problems.extend(other.problems);
    }

    /// How many records there were, whatever became of them.
    pub(crate) fn total(&self) -> usize {
        self.understood + self.irrelevant.len() + self.problems.len()
    }

    /// Puts the facts into the order in which they happened; a batch is often newest first.
    pub(crate) fn sort_by_time(&mut self) {
        self.records.sort_by_key(Record::time);
    }
}

fn is_ahead(record: &Record, received_at: Time) -> bool {
    record.time().signed_duration_since(received_at) > AHEAD.delta()
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, parse};
    use super::*;

    fn shifted(millis: i64) -> Result<Time, Problem> {
        let now = "2026-05-05T10:15:30Z".parse().unwrap();
        let body = br#"{"account": "ana@example.com", "time": "2026-05-05T10:00:00Z"}"#;
        let mut parsed = parse(Kind::Reports, body, now).unwrap();
        parsed.shift(millis, now).map(|()| parsed.records[0].time())
    }

    /// A time at the end of the calendar would be kept, and break whoever adds to it later.
    #[test]
    fn a_shift_leads_to_no_time_that_a_record_may_not_have() {
        assert_eq!(shifted(900_000), Ok("2026-05-05T10:15:00Z".parse().unwrap()));
        assert_eq!(shifted(3_600_000), Err(Problem::FutureTime));
        for far in [i64::MIN, i64::MAX, 8_000_000_000_000_000, -8_000_000_000_000_000] {
            assert_eq!(shifted(far).unwrap_err().slug(), "bad-field", "{far}");
        }
    }
}
