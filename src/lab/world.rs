//! The state of the tenant. Plain data with the few operations that several systems share.
//!
//! An account keeps every version of its condition, so that a system can be made to show
//! what was true a while ago, as replicated directories do.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use super::channels::Post;
use super::fault::Switch;
use super::oracle::CallRecord;
use super::tenant::{Credentials, Tenant};
use crate::connector::manifest::Rate;
use crate::connector::pace::Pace;
use crate::model::subject::Authority;
use crate::model::time::{Span, Time};

/// The systems of the lab, as faults and the oracle name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum System {
    /// Microsoft Graph.
    Graph,
    /// The token endpoint of Entra.
    Login,
    Okta,
    Duo,
    Servicenow,
    Webhook,
    Slack,
    /// A Teams workflow.
    Teams,
    Pagerduty,
    Mail,
}

/// An account in one directory.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) system: System,
    pub(crate) login: String,
    pub(crate) name: String,
    pub(crate) mail: String,
    pub(crate) employee_id: String,
    pub(crate) authority: Authority,
    /// Role id and name.
    pub(crate) roles: Vec<(String, String)>,
    versions: Vec<(Time, Condition)>,
}

/// What can change about an account.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Condition {
    /// Okta's word in capitals; for Entra `ACTIVE` or `DISABLED`.
    pub(crate) status: String,
    pub(crate) password_changed_at: Time,
    pub(crate) sessions_valid_from: Time,
    pub(crate) sessions: Vec<Session>,
    pub(crate) factors: Vec<Factor>,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) risk: String,
    /// The attacker has the password.
    pub(crate) password_stolen: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Session {
    pub(crate) opened_at: Time,
    pub(crate) hostile: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Factor {
    pub(crate) id: String,
    /// As the account's own directory calls it.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) added_at: Time,
    pub(crate) hostile: bool,
}

impl Account {
    pub(crate) fn new(
        system: System,
        id: String,
        login: String,
        first: Condition,
        at: Time,
    ) -> Self {
        Self {
            mail: login.clone(),
            name: String::new(),
            employee_id: String::new(),
            authority: Authority::Cloud,
            roles: Vec::new(),
            versions: vec![(at, first)],
            id,
            system,
            login,
        }
    }

    /// What is true now.
    pub(crate) fn now(&self) -> &Condition {
        &self.versions[self.versions.len() - 1].1
    }

    /// What a reader sees who looks at the state of `at`.
    pub(crate) fn seen(&self, at: Time) -> &Condition {
        let seen = self.versions.iter().rev().find(|(since, _)| *since <= at);
        &seen.unwrap_or(&self.versions[0]).1
    }

    /// Changes it from `at` on.
    pub(crate) fn change(&mut self, at: Time, change: impl FnOnce(&mut Condition)) {
        let mut next = self.now().clone();
        change(&mut next);
        self.versions.push((at, next));
    }

    pub(crate) fn privileged(&self) -> bool {
        !self.roles.is_empty()
    }

    /// Whether somebody with the right credentials gets in.
    pub(crate) fn open(&self, quarantine: &str) -> bool {
        let now = self.now();
        matches!(now.status.as_str(), "ACTIVE" | "LOCKED_OUT" | "PASSWORD_EXPIRED")
            && !now.groups.contains(quarantine)
    }
}

/// One record of a provider's log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct LogRecord {
    pub(crate) id: String,
    pub(crate) at: Time,
    /// When the provider has it ready to be read, but for the system's lag.
    pub(crate) shown: Time,
    pub(crate) system: System,
    pub(crate) account: String,
    /// Okta's event type; `sign_in` for Entra.
    pub(crate) kind: String,
    pub(crate) succeeded: bool,
    pub(crate) detail: String,
    pub(crate) ip: String,
}

impl LogRecord {
    /// A record of something that did not succeed; its id comes with its being written.
    pub(crate) fn new(system: System, at: Time, account: &str, kind: &str) -> Self {
        Self {
            id: String::new(),
            at,
            shown: at,
            system,
            account: account.to_owned(),
            kind: kind.to_owned(),
            succeeded: false,
            detail: String::new(),
            ip: String::new(),
        }
    }
}

/// A ticket at the help desk, or one that the webhook receiver was asked to open.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Ticket {
    pub(crate) system: System,
    pub(crate) id: String,
    pub(crate) number: String,
    pub(crate) correlation_id: String,
    pub(crate) state: String,
    pub(crate) fields: BTreeMap<String, Value>,
    pub(crate) notes: Vec<String>,
}

/// An access token that one of the token endpoints gave out.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) system: System,
    pub(crate) privileged: bool,
    pub(crate) until: Time,
}

/// The whole tenant.
pub(crate) struct World {
    pub(crate) credentials: Credentials,
    pub(crate) accounts: Vec<Account>,
    /// Index into `accounts`, by system and id, and by system and login.
    index: BTreeMap<(System, String), usize>,
    pub(crate) log: Vec<LogRecord>,
    pub(crate) tickets: Vec<Ticket>,
    /// Messages that the webhook receiver took, by their ids.
    pub(crate) messages: Vec<(String, Value)>,
    /// Messages on the channels by which people are told.
    pub(crate) posts: Vec<Post>,
    pub(crate) tokens: BTreeMap<String, Token>,
    pub(crate) calls: Vec<CallRecord>,
    pub(crate) switches: Vec<Switch>,
    /// How long a change takes to be seen, per system.
    pub(crate) lag: BTreeMap<System, Span>,
    /// How much later than others a system's log records are shown.
    pub(crate) late: BTreeMap<System, Span>,
    /// The most records on a page of a log, where that is less than was asked for.
    pub(crate) page_size: Option<usize>,
    /// How many records of the page before a page of a log repeats.
    pub(crate) repeats: usize,
    pub(crate) limits: BTreeMap<(System, &'static str), Rate>,
    pub(crate) pace: Pace,
    serial: u64,
}

/// The group whose members Okta's policy denies sign-in.
pub(crate) const QUARANTINE: &str = "00gquarantine";

impl World {
    pub(crate) fn new(tenant: &Tenant, at: Time) -> Self {
        let mut world = Self {
            credentials: tenant.credentials(),
            accounts: Vec::new(),
            index: BTreeMap::new(),
            log: Vec::new(),
            tickets: Vec::new(),
            messages: Vec::new(),
            posts: Vec::new(),
            tokens: BTreeMap::new(),
            calls: Vec::new(),
            switches: Vec::new(),
            lag: BTreeMap::new(),
            late: BTreeMap::new(),
            page_size: None,
            repeats: 0,
            limits: tenant.limits(),
            pace: Pace::default(),
            serial: 0,
        };
        for account in tenant.accounts(at) {
            world.add(account);
        }
        world
    }

    fn add(&mut self, account: Account) {
        let at = self.accounts.len();
        self.index.insert((account.system, account.id.clone()), at);
        self.index.insert((account.system, account.login.to_lowercase()), at);
        self.accounts.push(account);
    }

    /// The account with this id or login.
    pub(crate) fn account(&self, system: System, name: &str) -> Option<&Account> {
        let own = self.index.get(&(system, name.to_owned()));
        let at = own.or_else(|| self.index.get(&(system, name.to_lowercase())))?;
        self.accounts.get(*at)
    }

    pub(crate) fn account_mut(&mut self, system: System, name: &str) -> Option<&mut Account> {
        let own = self.index.get(&(system, name.to_owned()));
        let at = own.or_else(|| self.index.get(&(system, name.to_lowercase())))?;
        self.accounts.get_mut(*at)
    }

    /// The instant whose state a reader sees.
    pub(crate) fn horizon(&self, system: System, now: Time) -> Time {
        self.lag.get(&system).map_or(now, |lag| now - lag.delta())
    }

    /// A number that is never given twice.
    pub(crate) fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}
