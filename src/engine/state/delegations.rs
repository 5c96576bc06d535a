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
