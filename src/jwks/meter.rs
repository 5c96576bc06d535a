//! What can be seen of a source's keys: when they were last read, until when they count, what is wrong.

use std::collections::BTreeMap;

use crate::model::time::Time;

/// Failures in a row after which people are told: a provider stumbles now and then.
const STUCK: u32 = 3;

/// How the keys of one source stand.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Meter {
    pub(crate) jwks_uri: String,
    /// When the set was read that counts now, by this process or by one before it.
    pub(crate) read_at: Option<Time>,
    /// How many keys count.
    pub(crate) keys: usize,
    /// Until when they do, if no other set is read.
    pub(crate) believed_until: Option<Time>,
    /// How often this process read a set.
    pub(crate) reads: u64,
    /// By kind: `unreachable`, `refused`, `unreadable`, `store`.
    pub(crate) failures: BTreeMap<&'static str, u64>,
    /// Failures since a set was last read.
    pub(crate) in_a_row: u32,
    /// When the first of them was.
    pub(crate) failing_since: Option<Time>,
    /// The last failure, whatever came after it.
    pub(crate) failed: Option<Failed>,
    /// When it is read next, unless a token asks for it before.
    pub(crate) next_at: Option<Time>,
}

/// A set that was not read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failed {
    pub(crate) at: Time,
    pub(crate) kind: &'static str,
    pub(crate) problem: String,
}

impl Meter {
    /// Since when something is wrong that a person should know of, and what.
    pub(crate) fn stuck(&self, now: Time) -> Option<(Time, String)> {
        let is_believed = self.believed_until.is_some_and(|until| now < until);
        if is_believed && self.keys == 0 {
            let why = "Its set holds no key that is taken here.".to_owned();
            return self.read_at.map(|since| (since, why));
        }
        let since = self.failing_since.filter(|_| self.in_a_row >= STUCK || !is_believed)?;
        let last = self.failed.as_ref().map_or("", |failed| failed.problem.as_str());
        let times = if self.in_a_row == 1 { "failure" } else { "failures" };
        let so = if is_believed { "" } else { " No key of it is believed any more." };
        Some((since, format!("{} {times} in a row: {last}.{so}", self.in_a_row)))
    }

    pub(super) fn failed(&mut self, failed: Failed) {
        *self.failures.entry(failed.kind).or_default() += 1;
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.failing_since.get_or_insert(failed.at);
        self.failed = Some(failed);
    }

    /// A set counts from now on.
    pub(super) fn counts(&mut self, keys: usize, read_at: Time, until: Time) {
        (self.keys, self.read_at, self.believed_until) = (keys, Some(read_at), Some(until));
    }
}
