//! What a body turned out to hold.

use super::problem::Problem;
use crate::model::alert::{Alert, Report};
use crate::model::event::Event;
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
    pub(crate) fn time(&self) -> Time {
        match self {
            Self::Event(event) => event.time,
            Self::Alert(alert) => alert.time,
            Self::Report(report) => report.time,
        }
    }
}

/// What a parser makes of one record: facts (one or several), or nothing that matters here.
pub(super) enum Verdict {
    Facts(Vec<Record>),
    Irrelevant(&'static str),
}

impl Verdict {
    pub(super) fn event(event: Event) -> Self {
        Self::Facts(vec![Record::Event(Box::new(event))])
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
    pub(crate) irrelevant: Vec<(usize, &'static str)>,
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

    /// Puts the facts into the order in which they happened; a batch is often newest first.
    pub(crate) fn sort_by_time(&mut self) {
        self.records.sort_by_key(Record::time);
    }
}

fn is_ahead(record: &Record, received_at: Time) -> bool {
    record.time().signed_duration_since(received_at) > AHEAD.delta()
}
