//! Who stands in for whom, as the journal says it.

use super::{RowKey, State};
use crate::model::id::DelegationId;
use crate::model::oncall::{Delegation, DelegationEnded};
use crate::model::time::Time;

impl State {
    /// Those that are over are forgotten by the journal's own times, so that the fold stays a function of it.
    pub(super) fn delegation_given(&mut self, at: Time, given: &Delegation) {
        let over = self.delegations.values().filter(|known| known.ends <= at);
        let over: Vec<DelegationId> = over.map(|known| known.id).collect();
        for id in over {
            self.delegations.remove(&id);
            self.touch(RowKey::Delegation(id));
        }
        self.delegations.insert(given.id, given.clone());
        self.touch(RowKey::Delegation(given.id));
    }

    pub(super) fn delegation_ended(&mut self, ended: &DelegationEnded) {
        self.delegations.remove(&ended.delegation);
        self.touch(RowKey::Delegation(ended.delegation));
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::model::entry::{Commit, Entry};
    use crate::model::id::PersonId;
    use crate::model::oncall::Scope;

    fn at(hours: i64) -> Time {
        Time::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    fn given(n: u8, ends: i64) -> Entry {
        Entry::DelegationGiven(Box::new(Delegation {
            id: DelegationId::mint(at(0), [n; 10]),
            from: PersonId(uuid::Uuid::nil()),
            from_name: "olga".into(),
            to: PersonId(uuid::Uuid::max()),
            to_name: "pete".into(),
            scope: Scope::Ordinary,
            begins: at(0),
            ends: at(ends),
        }))
    }

    fn state(entries: Vec<(i64, Entry)>) -> State {
        let mut state = State::default();
        for (n, (hours, entry)) in entries.into_iter().enumerate() {
            state.apply(&Commit { seq: n as u64 + 1, at: at(hours), entries: vec![entry] });
        }
        state
    }

    #[test]
    fn standing_in_reads_back_from_rows_and_outlives_a_pruned_journal() {
        let mut folded = state(vec![(0, given(1, 9)), (1, given(2, 9))]);

        let read = State::from_rows(2, folded.all_rows()).unwrap();
        let again = state(vec![(2, Entry::Snapshot { rows: folded.common_rows() })]);

        assert_eq!(folded.delegations.len(), 2);
        assert_eq!(read.delegations, folded.delegations);
        assert_eq!(again.delegations, folded.delegations);
    }

    #[test]
    fn what_is_over_is_forgotten_with_its_row() {
        let mut folded = state(vec![(0, given(1, 1)), (2, given(2, 9))]);
        let gone = RowKey::Delegation(DelegationId::mint(at(0), [1; 10])).text();
        assert!(folded.take_changes().contains(&(gone, None)));
        let delegation = *folded.delegations.keys().next().unwrap();
        let ended = DelegationEnded { delegation, by: "olga".into() };

        folded.apply_entry(at(3), &Entry::DelegationEnded(Box::new(ended)));

        assert!(folded.delegations.is_empty());
        assert!(folded.all_rows().keys().all(|key| !key.starts_with("delegation/")));
    }
}
