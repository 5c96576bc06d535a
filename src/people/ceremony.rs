//! Ceremonies that were begun and not finished: each can be finished once, within two minutes.

use chrono::TimeDelta;
use serde::Serialize;
use std::collections::HashMap;

use crate::model::time::Time;

/// How long a ceremony may take.
pub(crate) const LIFETIME: TimeDelta = TimeDelta::seconds(120);

/// What a browser needs to go on.
#[derive(Debug, Serialize)]
pub(crate) struct Begun<O> {
    /// To be handed back with the answer.
    pub(crate) ceremony: String,
    /// For `navigator.credentials`.
    pub(crate) options: O,
}

/// Bounded and expiring. When it is full the oldest goes, so that a flood of sign-ins cannot fill the memory.
pub(super) struct Ceremonies<T> {
    open: HashMap<String, Open<T>>,
    total: usize,
    per_owner: usize,
}

struct Open<T> {
    begun_at: Time,
    owner: String,
    what: T,
}

impl<T> Ceremonies<T> {
    pub(super) fn new(total: usize, per_owner: usize) -> Self {
        Self { open: HashMap::new(), total, per_owner }
    }

    pub(super) fn begin(&mut self, id: String, owner: &str, now: Time, what: T) {
        self.open.retain(|_, open| now - open.begun_at < LIFETIME);
        self.make_room(self.per_owner, |open| open.owner == owner);
        self.make_room(self.total, |_| true);
        self.open.insert(id, Open { begun_at: now, owner: owner.to_owned(), what });
    }

    /// Uses a ceremony up, whatever comes of it.
    pub(super) fn take(&mut self, id: &str, now: Time) -> Option<T> {
        let open = self.open.remove(id)?;
        (now - open.begun_at < LIFETIME).then_some(open.what)
    }

    fn make_room(&mut self, most: usize, counts: impl Fn(&Open<T>) -> bool) {
        while self.open.values().filter(|o| counts(o)).count() >= most {
            let oldest =
                self.open.iter().filter(|(_, o)| counts(o)).min_by_key(|(_, o)| o.begun_at);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else { return };
            self.open.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn a_ceremony_is_finished_once_and_in_time() {
        let mut open = Ceremonies::new(9, 9);
        open.begin("a".into(), "x", at(0), 1);
        open.begin("b".into(), "x", at(0), 2);

        assert_eq!(open.take("a", at(119)), Some(1));
        assert_eq!(open.take("a", at(119)), None);
        assert_eq!(open.take("b", at(120)), None);
    }

    #[test]
    fn one_owner_cannot_crowd_out_another() {
        let mut open = Ceremonies::new(9, 2);
        open.begin("mine".into(), "x", at(0), 0);
        for n in 1..9 {
            open.begin(n.to_string(), "y", at(n), n);
        }

        assert_eq!(open.take("mine", at(10)), Some(0));
        assert_eq!(open.take("6", at(10)), None);
        assert_eq!(open.take("8", at(10)), Some(8));
    }
}
