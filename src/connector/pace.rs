//! Keeps the rate that a vendor allows. Pure: the time is handed in.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::manifest::Rate;
use crate::model::time::{Span, Time};

/// When calls went out, by what they are counted under.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<BTreeMap<String, VecDeque<Time>>>);

impl Pace {
    /// Counts a call, or says how long to wait first.
    pub(crate) fn admit(&self, under: &str, rate: Rate, now: Time) -> Result<(), Span> {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = sent.entry(under.to_owned()).or_default();
        while times.front().is_some_and(|at| *at + rate.per.delta() <= now) {
            times.pop_front();
        }
        if times.len() < usize::try_from(rate.calls).unwrap_or(usize::MAX) {
            times.push_back(now);
            return Ok(());
        }
        let first = times.front().copied().unwrap_or(now);
        let wait = (first + rate.per.delta() - now).num_seconds();
        Err(Span::seconds(wait.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_beyond_the_rate_waits_until_the_first_has_aged() {
        let pace = Pace::default();
        let rate: Rate = "2/10s".parse().unwrap();
        let at = |s| Time::from_timestamp(s, 0).unwrap();

        assert_eq!(pace.admit("a", rate, at(0)), Ok(()));
        assert_eq!(pace.admit("a", rate, at(4)), Ok(()));
        assert_eq!(pace.admit("a", rate, at(5)), Err(Span::seconds(5)));
        assert_eq!(pace.admit("b", rate, at(5)), Ok(()));
        assert_eq!(pace.admit("a", rate, at(10)), Ok(()));
    }
}
