//! The providers: accounts with a state, tickets, and a list of everything that was really done.

use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use super::{Dice, SimClock};
use crate::engine::ports::{Actions, Catalogue, Clock, Directory, Found};
use crate::model::action::{
    ActionSpec, Applied, Call, CallResult, Effect, Input, Outcome, Proof, ReadBack, Repeat,
    Reversal, Signature, Strength, Target, Unavailable, ValueType,
};
use crate::model::id::{Capability, ConnectionId};
use crate::model::subject::{Account, Alias, Authority, Link as Sure};
use crate::model::time::{Span, Time};

/// What a provider may do to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Fault {
    None,
    NotSent,
    Throttled,
    TimeoutBefore,
    TimeoutAfter,
    Forbidden,
}

#[derive(Debug, Clone)]
pub(in crate::engine) struct Person {
    pub(in crate::engine) enabled: bool,
    pub(in crate::engine) revoked_at: Option<Time>,
    pub(in crate::engine) password_at: Option<Time>,
    pub(in crate::engine) privileged: bool,
    /// Somebody has taken the account out of use for good.
    pub(in crate::engine) left: bool,
}

impl Person {
    fn status(&self) -> &'static str {
        match (self.left, self.enabled) {
            (true, _) => "deprovisioned",
            (false, true) => "active",
            (false, false) => "suspended",
        }
    }
}

impl Default for Person {
    fn default() -> Self {
        Self { enabled: true, revoked_at: None, password_at: None, privileged: false, left: false }
    }
}

/// One effect that really happened.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::engine) struct Did {
    pub(in crate::engine) action: String,
    pub(in crate::engine) account: String,
    pub(in crate::engine) key: String,
    pub(in crate::engine) at: Time,
}

pub(in crate::engine) struct World {
    pub(in crate::engine) people: Mutex<BTreeMap<String, Person>>,
    pub(in crate::engine) tickets: Mutex<Vec<String>>,
    pub(in crate::engine) log: Mutex<Vec<Did>>,
    /// Chance of a fault in a thousand calls.
    pub(in crate::engine) fault_rate: AtomicU64,
    /// The next calls' faults, before chance has its say.
    pub(in crate::engine) script: Mutex<Vec<Fault>>,
    /// The next so many requests break the connector that makes them.
    pub(in crate::engine) breaks: AtomicU64,
    /// Effects left until the process dies in one.
    pub(in crate::engine) crash_in: AtomicU64,
    pub(in crate::engine) dice: Arc<Dice>,
}

impl World {
    pub(super) fn new(dice: Arc<Dice>) -> Self {
        Self {
            people: Mutex::default(),
            tickets: Mutex::default(),
            log: Mutex::default(),
            fault_rate: AtomicU64::new(0),
            script: Mutex::default(),
            breaks: AtomicU64::new(0),
            crash_in: AtomicU64::new(u64::MAX),
            dice,
        }
    }

    pub(in crate::engine) fn did(&self, action: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|d| d.action == action).count()
    }

    pub(in crate::engine) fn person(&self, login: &str) -> Person {
        self.people.lock().unwrap().get(login).cloned().unwrap_or_default()
    }

    /// The person leaves the company.
    pub(in crate::engine) fn leaves(&self, login: &str) {
        self.people.lock().unwrap().entry(login.to_owned()).or_default().left = true;
    }

    pub(in crate::engine) fn privileged(&self, login: &str) {
        self.people.lock().unwrap().entry(login.to_owned()).or_default().privileged = true;
    }

    fn fault(&self) -> Fault {
        if let Some(fault) = self.script.lock().unwrap().pop() {
            return fault;
        }
        if self.dice.below(1000) >= self.fault_rate.load(Ordering::Relaxed) {
            return Fault::None;
        }
        [
            Fault::NotSent,
            Fault::Throttled,
            Fault::TimeoutBefore,
            Fault::TimeoutAfter,
            Fault::TimeoutAfter,
        ][usize::try_from(self.dice.below(5)).unwrap()]
    }

    fn apply(&self, call: &Call, at: Time) -> Value {
        let login = login_of(call);
        let mut people = self.people.lock().unwrap();
        let person = people.entry(login.clone()).or_default();
        match call.action.as_str() {
            "idp/revoke" => person.revoked_at = Some(at),
            "idp/block" => person.enabled = false,
            "idp/unblock" => person.enabled = true,
            "idp/reset" => person.password_at = Some(at),
            "desk/open" => self.tickets.lock().unwrap().push(call.key.clone()),
            _ => {}
        }
        let did = Did { action: call.action.0.clone(), account: login, key: call.key.clone(), at };
        self.log.lock().unwrap().push(did);
        json!({ "id": call.key })
    }
}

fn login_of(call: &Call) -> String {
    call.inputs
        .get("account")
        .and_then(|a| a.get("login"))
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// The world as one process reaches it.
pub(super) struct Link {
    pub(super) world: Arc<World>,
    pub(super) alive: Arc<AtomicBool>,
    pub(super) clock: SimClock,
}

impl Link {
    async fn reach(&self) {
        let ms = 5 + self.world.dice.below(200);
        tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
        if !self.alive.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let fewer = |left: u64| left.checked_sub(1);
        let broken = self.world.breaks.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer);
        assert!(broken.is_err(), "the connector meets what it does not expect");
    }

    /// Dies with the effect done and nobody told, when it is time.
    async fn maybe_die(&self) {
        let left = self.world.crash_in.load(Ordering::SeqCst);
        if left == u64::MAX {
            return;
        }
        self.world.crash_in.store(left.saturating_sub(1), Ordering::SeqCst);
        if left <= 1 {
            self.alive.store(false, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Actions for Link {
    async fn call(&self, call: &Call) -> CallResult {
        self.reach().await;
        let fault = self.world.fault();
        let now = self.clock.now();
        let result = match fault {
            Fault::None => CallResult::done(self.world.apply(call, now)),
            Fault::NotSent => CallResult::failed(Outcome::NotSent, "connection refused"),
            Fault::Throttled => CallResult {
                retry_after: Some(Span::seconds(3)),
                ..CallResult::failed(Outcome::Throttled, "429")
            },
            Fault::TimeoutBefore => CallResult::failed(Outcome::Unknown, "timeout"),
            Fault::TimeoutAfter => {
                self.world.apply(call, now);
                CallResult::failed(Outcome::Unknown, "timeout")
            }
            Fault::Forbidden => CallResult::failed(Outcome::Refused, "403"),
        };
        self.maybe_die().await;
        result
    }

    async fn read_back(&self, applied: &Applied) -> ReadBack {
        self.reach().await;
        let person = self.world.person(&login_of(&applied.call));
        let after = |at: Option<Time>| at.is_some_and(|at| at >= applied.sent_at);
        let holds = match applied.call.action.as_str() {
            "idp/revoke" => after(person.revoked_at),
            "idp/block" => !person.enabled,
            "idp/unblock" => person.enabled,
            "idp/reset" => after(person.password_at),
            _ => self.world.tickets.lock().unwrap().contains(&applied.call.key),
        };
        if holds {
            let output = json!({ "id": applied.call.key, "status": person.status() });
            ReadBack::Holds { strength: Strength::State, output }
        } else {
            ReadBack::Fails { problem: "not so".into() }
        }
    }

    async fn already_so(&self, call: &Call) -> Option<bool> {
        self.reach().await;
        let enabled = self.world.person(&login_of(call)).enabled;
        Some(if call.action.as_str() == "idp/unblock" { enabled } else { !enabled })
    }
}

fn spec(name: &str) -> Option<ActionSpec> {
    let (action, capability, effect, repeat, reversal) = match name {
        "identity.revoke_sessions" | "idp/revoke" => {
            ("idp/revoke", "identity.revoke_sessions", Effect::Contain, Repeat::Set, Reversal::None)
        }
        "identity.block_sign_in" | "idp/block" => {
            ("idp/block", "identity.block_sign_in", Effect::Contain, Repeat::Set, Reversal::Undo)
        }
        "identity.unblock_sign_in" | "idp/unblock" => (
            "idp/unblock",
            "identity.unblock_sign_in",
            Effect::Restore,
            Repeat::Set,
            Reversal::Undo,
        ),
        "identity.reset_credentials" | "idp/reset" => (
            "idp/reset",
            "identity.reset_credentials",
            Effect::Contain,
            Repeat::Set,
            Reversal::Recover,
        ),
        "ticket.open" | "desk/open" => {
            ("desk/open", "ticket.open", Effect::Record, Repeat::Verify, Reversal::None)
        }
        _ => return None,
    };
    Some(ActionSpec {
        id: action.into(),
        capability: capability.into(),
        effect,
        repeat,
        reversal,
        point_in_time: capability == "identity.revoke_sessions",
        proof: Proof::ReadBack(Strength::State),
        undo: (action == "idp/block").then(|| "idp/unblock".into()),
        residual: None,
        assume_done: false,
        timeout: Span::seconds(10),
    })
}

static SIGNATURES: LazyLock<BTreeMap<String, Signature>> = LazyLock::new(|| {
    let names = [
        "identity.revoke_sessions",
        "identity.block_sign_in",
        "identity.unblock_sign_in",
        "identity.reset_credentials",
        "ticket.open",
        "idp/unblock",
    ];
    names
        .into_iter()
        .map(|name| {
            let spec = spec(name).unwrap();
            let account = Input {
                kind: ValueType::Account,
                required: true,
                default: None,
                max_length: None,
                summary: String::new(),
            };
            let inputs = if spec.effect == Effect::Record {
                BTreeMap::new()
            } else {
                BTreeMap::from([("account".to_owned(), account)])
            };
            let signature = Signature {
                inputs,
                outputs: BTreeMap::new(),
                effect: spec.effect,
                reversal: spec.reversal,
                has_undo: spec.undo.is_some(),
                point_in_time: spec.point_in_time,
                summary: String::new(),
            };
            (name.to_owned(), signature)
        })
        .collect()
});

impl Catalogue for Link {
    fn resolve(
        &self,
        name: &str,
        _: &ConnectionId,
        _: Option<&Target>,
    ) -> Result<ActionSpec, Unavailable> {
        spec(name).ok_or_else(|| Unavailable::Unsupported("not simulated".into()))
    }
    fn connections_for(&self, name: &str) -> Vec<ConnectionId> {
        vec![if name.starts_with("ticket") { "desk".into() } else { "idp".into() }]
    }
    fn capability_of(&self, name: &str) -> Option<Capability> {
        spec(name).map(|s| s.capability)
    }
    fn signature(&self, name: &str) -> Option<&Signature> {
        SIGNATURES.get(name)
    }
    fn concurrency(&self, _: &ConnectionId) -> usize {
        4
    }
}

#[async_trait]
impl Directory for Link {
    async fn look_up(&self, aliases: &[Alias], connections: &[ConnectionId]) -> Found {
        self.reach().await;
        let login = aliases.iter().find_map(|a| a.0.strip_prefix("login:"));
        let (Some(login), Some(connection)) = (login, connections.first()) else {
            return Found::default();
        };
        let account = Account {
            connection: connection.clone(),
            provider_id: format!("u-{login}"),
            login: login.to_owned(),
            name: login.to_owned(),
            authority: Authority::Cloud,
            status: self.world.person(login).status().into(),
            privileged: self.world.person(login).privileged,
            protected: false,
            link: Sure::Strong,
            roles_unread: false,
            read_at: self.clock.now(),
        };
        let aliases = vec![Alias::account(&account.key())];
        Found { name: Some(login.to_owned()), accounts: vec![account], aliases, unread: Vec::new() }
    }
}
