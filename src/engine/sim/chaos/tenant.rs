//! The systems and people of the story, and a list of everything that was really done to them, by whom and when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use crate::model::action::Call;
use crate::model::subject::AccountKey;
use crate::model::time::Time;

/// One account, as its system keeps it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact about an account")]
pub(super) struct Holder {
    pub(super) login: String,
    pub(super) privileged: bool,
    pub(super) weak: bool,
    pub(super) guest: bool,
    pub(super) enabled: bool,
    pub(super) marked: bool,
    pub(super) revoked_at: Option<Time>,
    pub(super) password_at: Option<Time>,
    pub(super) factors: BTreeSet<String>,
}

/// Something that really happened.
#[derive(Debug, Clone)]
pub(super) struct Did {
    pub(super) action: String,
    /// `None`: it is about no account.
    pub(super) account: Option<AccountKey>,
    pub(super) key: String,
    /// The journal's durable head when the call left the process, and when the effect was there.
    pub(super) sent_at: u64,
    pub(super) done_at: u64,
    /// By the wall clock.
    pub(super) at: Option<Time>,
    /// It changed something: the account was not so before.
    pub(super) changed: bool,
    /// After a factor was removed: none is left, sign-in is open and the password an old one.
    pub(super) disarmed: bool,
}

/// Who did it, when it was not Quell.
pub(super) const SOMEBODY: &str = "somebody else";

#[derive(Default)]
pub(super) struct Tenant {
    /// Whose accounts are whose: a person's name to their accounts.
    pub(super) people: BTreeMap<String, Vec<AccountKey>>,
    pub(super) accounts: Mutex<BTreeMap<AccountKey, Holder>>,
    /// Correlation ids of open tickets.
    pub(super) tickets: Mutex<Vec<String>>,
    keys: Mutex<BTreeSet<String>>,
    pub(super) log: Mutex<Vec<Did>>,
}

impl Tenant {
    /// Does what a request asks for, once it has arrived.
    pub(super) fn apply(
        &self,
        call: &Call,
        account: Option<AccountKey>,
        sent_at: u64,
        head: u64,
        at: Time,
    ) {
        let mut did = Did {
            action: call.action.0.clone(),
            account: account.clone(),
            key: call.key.clone(),
            sent_at,
            done_at: head,
            at: Some(at),
            changed: true,
            disarmed: false,
        };
        match call.action.as_str() {
            "desk/open" => self.tickets.lock().unwrap().push(call.key.clone()),
            // The API honours the key: a repetition is nothing.
            "desk/comment" => did.changed = self.keys.lock().unwrap().insert(call.key.clone()),
            _ => {}
        }
        if let Some(holder) = account
            .and_then(|a| self.accounts.lock().unwrap().get_mut(&a).map(|h| change(h, call, at)))
        {
            (did.changed, did.disarmed) = holder;
        }
        self.log.lock().unwrap().push(did);
    }

    /// Somebody closes the account by other means.
    pub(super) fn shut(&self, account: &AccountKey, head: u64) -> bool {
        let mut accounts = self.accounts.lock().unwrap();
        let Some(holder) = accounts.get_mut(account).filter(|h| h.enabled) else { return false };
        holder.enabled = false;
        drop(accounts);
        self.log.lock().unwrap().push(Did {
            action: "idp/block".into(),
            account: Some(account.clone()),
            key: SOMEBODY.into(),
            sent_at: head,
            done_at: head,
            at: None,
            changed: true,
            disarmed: false,
        });
        true
    }

    pub(super) fn holder(&self, account: &AccountKey) -> Option<Holder> {
        self.accounts.lock().unwrap().get(account).cloned()
    }

    pub(super) fn owner(&self, account: &AccountKey) -> Option<&str> {
        self.people.iter().find(|(_, all)| all.contains(account)).map(|(name, _)| name.as_str())
    }
}

/// Whether it changed anything, and whether it left the door open to whoever holds the password.
fn change(holder: &mut Holder, call: &Call, at: Time) -> (bool, bool) {
    match call.action.as_str() {
        "idp/revoke" => {
            holder.revoked_at = Some(at);
            (true, false)
        }
        "idp/block" => (std::mem::replace(&mut holder.enabled, false), false),
        "idp/unblock" => (!std::mem::replace(&mut holder.enabled, true), false),
        "idp/mark" => (!std::mem::replace(&mut holder.marked, true), false),
        "idp/clear" => (std::mem::replace(&mut holder.marked, false), false),
        "idp/reset" => {
            holder.password_at = Some(at);
            (true, false)
        }
        "idp/remove" => {
            let id = call.inputs.values().find_map(|v| v.get("id")).and_then(|v| v.as_str());
            let gone = id.is_some_and(|id| holder.factors.remove(id));
            let open = holder.enabled && holder.password_at.is_none();
            (gone, gone && open && holder.factors.is_empty())
        }
        _ => (true, false),
    }
}
