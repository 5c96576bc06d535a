//! API tokens that a person makes by passkey: given in a commit with the signature, exactly as it says.

use super::approvers::Approvers;
use super::driver::Engine;
use super::people::{Refusal, signed};
use super::policy::Policy;
use super::state::State;
use crate::approval::who::Bar;
use crate::model::deed::{Deed, SignedDeed};
use crate::model::entry::{Entry, TokenChanged};
use crate::model::id::{PersonId, TokenId};
use crate::model::time::Time;

/// Whether `by` could make a token now. A token outlives its maker's session by months: a passkey that an intruder
/// may have enrolled, and an account that one holds, make none.
pub(crate) fn allowed(
    state: &State,
    policy: &Policy,
    by: PersonId,
    deed: &Deed,
    now: Time,
) -> Result<(), Bar> {
    match deed {
        Deed::Token { .. } => Approvers::new(state, policy, now).may_guard(by),
        _ => Ok(()),
    }
}

impl Engine {
    /// Journals a token that was signed for. Of its text only the secret's hash is handed in.
    pub(crate) async fn give_token(
        &self,
        deed: SignedDeed,
        (token, hash): (TokenId, String),
    ) -> Result<TokenChanged, Refusal> {
        let statement = &deed.statement;
        let Deed::Token { name, scopes, source, lasts } = statement.deed.clone() else {
            return Err(Refusal::Changed);
        };
        let given = TokenChanged {
            token,
            name,
            scopes,
            hash,
            source,
            expires_at: statement.issued_at + lasts.delta(),
            revoked: false,
            by: Some(deed.by_name.clone()),
            revoked_by: None,
        };
        let kept = given.clone();
        let (result, written) = self.transact(|tx| {
            let (by, what) = (deed.statement.person, &deed.statement.deed);
            allowed(&tx.core.state, &self.policy(), by, what, tx.at)?;
            signed(tx, deed.into());
            tx.push(Entry::TokenChanged(Box::new(given)));
            Ok(kept)
        });
        written.await?;
        result
    }
}
