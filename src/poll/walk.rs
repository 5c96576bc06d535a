//! One walk through a log: what is asked for, and how far the log is taken in after each page. Pure.
//!
//! The promise: a record that shows no later than `overlap` after its own time is met by some walk, whatever
//! the pages, repetitions, failures and deaths between. It holds because the cursor never passes the present of
//! the poll that moved it, and every walk begins `overlap` before the cursor: a record that was not there then
//! has a time that the next walk asks for. What is met twice is told by its id (`known`).

use chrono::TimeDelta;

use super::logs::{Ask, Log, Order, Page};
use crate::model::time::{Span, Time};

/// A log that tells nothing new for so long has its cursor moved all the same, so that no poll reads ever more
/// of what is known.
const IDLE: TimeDelta = TimeDelta::hours(2);
/// The cursor is then left so far behind the present.
const BEHIND: TimeDelta = TimeDelta::hours(1);

/// A walk under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Walk {
    from: Time,
    until: Option<Time>,
    /// More lies behind `until`.
    cut: bool,
    /// The newest record's time so far.
    high: Option<Time>,
    /// Where the next page is.
    next: Option<String>,
}

/// Where a walk stands after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stands {
    /// There are further pages.
    GoesOn(Walk),
    /// All of its stretch was read; another follows at once.
    Cut,
    /// All that there is was read. A log that says where later records will be is followed from there.
    Ended { follow: Option<Walk> },
}

impl Walk {
    /// The walk that begins at a cursor; `None` if there is nothing to ask for yet.
    pub(crate) fn begin(log: &Log, overlap: Span, cursor: Time, now: Time) -> Option<Self> {
        // What the provider has dropped cannot be had, and some refuse to be asked for it.
        let from = (cursor - overlap.delta()).max(now - log.kept.delta());
        let last = now - log.delay.delta();
        if from >= last {
            return None;
        }
        let end = log.window.map(|window| from + window.delta()).filter(|end| *end < last);
        let bounded = log.order == Order::Any || !log.follows;
        Some(Self {
            from,
            until: end.or_else(|| bounded.then_some(last)),
            cut: end.is_some(),
            high: None,
            next: None,
        })
    }

    /// What to ask for now.
    pub(crate) fn ask(&self) -> Ask<'_> {
        Ask { from: self.from, until: self.until, next: self.next.as_deref() }
    }

    /// Whether it has left its first page, so that it goes by the provider's word.
    pub(crate) fn is_led(&self) -> bool {
        self.next.is_some()
    }

    /// How much of the log the provider has dropped before it was taken in.
    pub(crate) fn gone(&self, cursor: Time) -> Option<Span> {
        let gone = (self.from - cursor).num_seconds();
        (gone > 0 && !self.is_led()).then(|| Span::seconds(gone))
    }

    /// Whether a page leads to itself, and would be asked for for ever.
    pub(crate) fn is_circle(&self, page: &Page) -> bool {
        !page.caught_up && self.next.is_some() && self.next == page.next
    }

    /// Takes a page in that was asked for at `now`; gives how it goes on, and how far the log is taken in.
    pub(crate) fn took(
        mut self,
        log: &Log,
        page: &Page,
        cursor: Time,
        now: Time,
    ) -> (Stands, Time) {
        // A provider's clock that is ahead moves nothing past the present.
        self.high = self.high.max(page.newest.map(|newest| newest.min(now)));
        if !page.caught_up {
            let sure = if log.order == Order::OldestFirst { self.high } else { None };
            self.next.clone_from(&page.next);
            return (Stands::GoesOn(self), sure.map_or(cursor, |high| high.max(cursor)));
        }
        let seen = self.high.map_or(cursor, |high| high.max(cursor));
        if let Some(until) = self.until.filter(|_| self.cut) {
            return (Stands::Cut, until.max(cursor));
        }
        let idle = now - seen > IDLE;
        let through = if idle { now - BEHIND } else { seen };
        let follow = page.next.clone().filter(|_| log.follows);
        let follow = follow.map(|next| Self { next: Some(next), high: None, ..self });
        (Stands::Ended { follow }, through)
    }
}

#[cfg(test)]
mod tests;
