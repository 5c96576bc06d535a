//! What really happened in the lab: every call, and the state it left.
//!
//! Tests and demonstrations ask here, never the system under test.

use serde::Serialize;
use serde_json::{Value, json};

use super::Lab;
use super::channels::Post;
use super::fault::Fault;
use super::world::{Account, Condition, QUARANTINE, System, Ticket};
use crate::model::time::Time;

/// One call as it arrived. Holds no credential and no body.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct CallRecord {
    pub(crate) at: Time,
    pub(crate) system: System,
    pub(crate) operation: String,
    pub(crate) method: String,
    pub(crate) path: String,
    /// The key by which a repeated call would be recognised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// The login of the account that it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) login: Option<String>,
    /// What happened to the world: `blocked`, `unblocked`, `sessions revoked` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) effect: Option<String>,
    /// The status that was (or would have been) answered.
    pub(crate) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<Fault>,
}

/// A copy of everything, at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Oracle {
    pub(crate) calls: Vec<CallRecord>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) tickets: Vec<Ticket>,
    /// What the webhook receiver took, by id.
    pub(crate) messages: Vec<(String, Value)>,
    /// What stands on the channels by which people are told.
    pub(crate) posts: Vec<Post>,
}

impl Lab {
    /// What happened so far.
    pub(crate) fn oracle(&self) -> Oracle {
        let world = self.world();
        Oracle {
            calls: world.calls.clone(),
            accounts: world.accounts.clone(),
            tickets: world.tickets.clone(),
            messages: world.messages.clone(),
            posts: world.posts.clone(),
        }
    }
}

impl Oracle {
    pub(crate) fn account(&self, system: System, login: &str) -> Option<&Account> {
        self.accounts.iter().find(|a| a.system == system && a.login.eq_ignore_ascii_case(login))
    }

    /// The present condition of an account.
    pub(crate) fn condition(&self, system: System, login: &str) -> Option<&Condition> {
        self.account(system, login).map(Account::now)
    }

    /// Nobody can sign in as this person, in any directory.
    pub(crate) fn is_blocked(&self, login: &str) -> bool {
        let mut own = self.of(login).peekable();
        own.peek().is_some() && own.all(|account| !account.open(QUARANTINE))
    }

    #[cfg(test)]
    /// Somebody opened an account of this person again, at any time.
    pub(crate) fn was_unblocked(&self, login: &str) -> bool {
        self.effects(login).any(|effect| effect == "unblocked")
    }

    /// The attacker's sessions that still work.
    pub(crate) fn hostile_sessions(&self, login: &str) -> usize {
        self.of(login).flat_map(|a| &a.now().sessions).filter(|s| s.hostile).count()
    }

    /// The attacker's factors that are still enrolled.
    pub(crate) fn hostile_factors(&self, login: &str) -> usize {
        self.of(login).flat_map(|a| &a.now().factors).filter(|f| f.hostile).count()
    }

    #[cfg(test)]
    pub(crate) fn tickets_with(&self, correlation_id: &str) -> usize {
        self.tickets.iter().filter(|t| t.correlation_id == correlation_id).count()
    }

    #[cfg(test)]
    /// How often an operation was called, whatever came of it.
    pub(crate) fn count(&self, system: System, operation: &str) -> usize {
        self.calls.iter().filter(|c| c.system == system && c.operation == operation).count()
    }

    /// How often something happened to a person's accounts.
    pub(crate) fn times(&self, login: &str, effect: &str) -> usize {
        self.effects(login).filter(|e| *e == effect).count()
    }

    /// What happened to a person's accounts, in order.
    pub(crate) fn effects(&self, login: &str) -> impl Iterator<Item = &str> {
        let login = login.to_lowercase();
        self.calls
            .iter()
            .filter(move |c| c.login.as_ref().is_some_and(|l| l.to_lowercase() == login))
            .filter_map(|c| c.effect.as_deref())
    }

    fn of(&self, login: &str) -> impl Iterator<Item = &Account> {
        self.accounts.iter().filter(move |a| a.login.eq_ignore_ascii_case(login))
    }

    /// The whole of it, for `/lab/oracle`. Only people about whom there were calls are listed.
    pub(crate) fn json(&self) -> Value {
        let about = |login: &str| self.calls.iter().any(|c| c.login.as_deref() == Some(login));
        let accounts: Vec<Value> = self
            .accounts
            .iter()
            .filter(|account| about(&account.login))
            .map(|account| {
                json!({"system": account.system, "id": account.id, "login": account.login,
                    "open": account.open(QUARANTINE), "condition": account.now()})
            })
            .collect();
        let messages: Vec<_> =
            self.messages.iter().map(|(id, body)| json!({"id": id, "body": body})).collect();
        json!({"calls": self.calls, "accounts": accounts, "tickets": self.tickets, "messages": messages, "posts": self.posts})
    }
}
