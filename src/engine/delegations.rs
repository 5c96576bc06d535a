//! Standing in for somebody: given and ended in a commit with its signature.

use super::driver::{Engine, Tx};
use super::people::{Refusal, signed};
use super::state::State;
use crate::approval::roles::{Act, may};
use crate::approval::stand_in::{Wish, fit};
use crate::model::deed::{Deed, SignedDeed};
use crate::model::entry::Entry;
use crate::model::id::{DelegationId, PersonId};
use crate::model::oncall::{Delegation, DelegationEnded};
use crate::model::time::Time;

/// Whether `by` could do this now; what the act itself checks once more.
pub(crate) fn allowed(state: &State, by: PersonId, deed: &Deed, now: Time) -> Result<(), Refusal> {
    match deed {
        Deed::Delegate { to, begins, ends, .. } => {
            let other = state.people.get(to).ok_or(Refusal::Missing("person"))?;
            let wish = Wish {
                from: by,
                to: *to,
                to_name: &other.name,
                decides: may(&other.roles, Act::Decide),
                begins: *begins,
                ends: *ends,
            };
            Ok(fit(&wish, state.delegations.values(), now)?)
        }
        Deed::Recall { delegation } => {
            let known = state.delegations.get(delegation).filter(|known| known.ends > now);
            let known = known.ok_or(Refusal::Missing("delegation"))?;
            let person = state.people.get(&by).ok_or(Refusal::Missing("person"))?;
            if known.from == by || known.to == by || may(&person.roles, Act::Invite) {
                return Ok(());
            }
            Err(Refusal::Barred(person.name.clone()))
        }
        _ => Ok(()),
    }
}

impl Engine {
    /// Somebody stands in for the signer from now or later on.
    pub(crate) async fn delegate(&self, deed: SignedDeed) -> Result<DelegationId, Refusal> {
        let Deed::Delegate { to, begins, ends, scope } = deed.statement.deed else {
            return Err(Refusal::Changed);
        };
        let from = deed.statement.person;
        let id = DelegationId::mint(self.now(), self.ports().entropy.id());
        self.by_deed(deed, |tx, from_name| {
            let to_name = tx.core.state.people.get(&to).map(|p| p.name.clone()).unwrap_or_default();
            let given = Delegation { id, from, from_name, to, to_name, scope, begins, ends };
            tx.push(Entry::DelegationGiven(Box::new(given)));
        })
        .await?;
        Ok(id)
    }

    /// It ends now.
    pub(crate) async fn recall(&self, deed: SignedDeed) -> Result<(), Refusal> {
        let Deed::Recall { delegation } = deed.statement.deed else {
            return Err(Refusal::Changed);
        };
        self.by_deed(deed, |tx, by| {
            tx.push(Entry::DelegationEnded(Box::new(DelegationEnded { delegation, by })));
        })
        .await
    }

    async fn by_deed(
        &self,
        deed: SignedDeed,
        act: impl FnOnce(&mut Tx<'_>, String),
    ) -> Result<(), Refusal> {
        let (result, written) = self.transact(|tx| {
            let (by, what) = (deed.statement.person, &deed.statement.deed);
            allowed(&tx.core.state, by, what, tx.at)?;
            let name = signed(tx, deed.into());
            act(tx, name);
            Ok(())
        });
        written.await?;
        result
    }
}
