//! The tenant as one process reaches it: late, by halves, or not at all.

use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::catalogue::{SIGNATURES, spec};
use super::clock::WallClock;
use super::disk::Disk;
use super::draw::Draw;
use super::life::Life;
use super::tenant::{Holder, Tenant};
use super::trace::Trace;
use super::weather::{Fault, Plight, Weather};
use crate::engine::context::account_of;
use crate::engine::ports::{Actions, Catalogue, Clock, Directory, Found};
use crate::model::action::{
    ActionSpec, Applied, Call, CallResult, Effect, ReadBack, Signature, Strength, Target,
    Unavailable,
};
use crate::model::id::{Capability, ConnectionId};
use crate::model::subject::{Account, AccountKey, Alias, Authority, Link as Sure};

/// How many calls a connection takes at once.
const LANES: usize = 3;

/// Everything outside the process.
pub(super) struct Outside {
    pub(super) tenant: Tenant,
    pub(super) weather: Weather,
    pub(super) disk: Arc<Disk>,
    pub(super) clock: WallClock,
    pub(super) draw: Arc<Draw>,
    pub(super) trace: Trace,
    /// Effects left until the process dies in one.
    pub(super) dies_in: AtomicU64,
    /// What should never be, seen while it happened.
    pub(super) seen: Mutex<Vec<String>>,
    pub(super) effects: AtomicU64,
}

pub(super) struct Link {
    pub(super) outside: Arc<Outside>,
    pub(super) life: Life,
    pub(super) in_use: Mutex<BTreeMap<ConnectionId, usize>>,
}

/// The account that a call is about; a factor's is inside it.
pub(super) fn target_of(call: &Call) -> Option<AccountKey> {
    call.inputs.values().find_map(account_of)
}

impl Link {
    async fn travel(&self, connection: &ConnectionId) {
        self.life.or_never().await;
        let slow = self.outside.weather.plight(connection) == Some(Plight::Slow);
        let draw = &self.outside.draw;
        let ms = if slow { draw.between(4_000, 9_500) } else { draw.between(5, 200) };
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    fn enter(&self, connection: &ConnectionId) {
        let mut in_use = self.in_use.lock().unwrap();
        let now = in_use.entry(connection.clone()).or_default();
        *now += 1;
        if *now > LANES {
            let text = format!("{now} calls at once on `{connection}`, which takes {LANES}");
            self.outside.seen.lock().unwrap().push(text);
        }
    }

    fn leave(&self, connection: &ConnectionId) {
        *self.in_use.lock().unwrap().entry(connection.clone()).or_default() -= 1;
    }

    /// Dies with the effect done and nobody told, when it is time.
    fn maybe_die(&self) {
        let left = self.outside.dies_in.load(Ordering::SeqCst);
        if left != u64::MAX {
            self.outside.dies_in.store(left.saturating_sub(1), Ordering::SeqCst);
            if left <= 1 {
                self.outside.trace.say("the process dies in an effect");
                self.life.end();
            }
        }
    }

    fn read(&self, call: &Call) -> CallResult {
        let holder = target_of(call).and_then(|a| self.outside.tenant.holder(&a));
        let Some(holder) = holder else { return CallResult::done(Value::Null) };
        match call.action.as_str() {
            "idp/factors" => CallResult::done(json!({ "factors": holder.factors })),
            _ => CallResult::done(json!({ "login": holder.login, "enabled": holder.enabled })),
        }
    }

    /// The request arrives; that the process dies meanwhile does not call it back.
    fn arrive(&self, call: &Call, sent_at: u64, after: Duration) {
        let (outside, call) = (self.outside.clone(), call.clone());
        super::spawn(async move {
            tokio::time::sleep(after).await;
            let (head, at) = (outside.disk.head(), outside.clock.now());
            outside.trace.say(format!("  done: {} {}", call.action, named(&call)));
            outside.tenant.apply(&call, target_of(&call), sent_at, head, at);
        });
    }
}

fn named(call: &Call) -> String {
    let on = target_of(call).map_or_else(|| call.connection.to_string(), |a| a.to_string());
    format!("{on} key {}", call.key.get(..8).unwrap_or("-"))
}

#[async_trait]
impl Actions for Link {
    async fn call(&self, call: &Call) -> CallResult {
        self.life.or_never().await;
        let outside = &self.outside;
        let sent_at = outside.disk.head();
        let reads = spec(call.action.as_str()).is_none_or(|s| s.effect == Effect::Read);
        self.enter(&call.connection);
        let fault = outside.weather.next(&call.connection, &outside.draw);
        outside.trace.say(format!("call {} {} {fault:?}", call.action, named(call)));
        if !reads {
            outside.effects.fetch_add(1, Ordering::Relaxed);
        }
        let result = match fault {
            Some(fault) => {
                let late = Duration::from_millis(outside.draw.below(9_900));
                if fault.arrives() && !reads {
                    self.arrive(call, sent_at, late);
                }
                tokio::time::sleep(fault.wait()).await;
                fault.result()
            }
            None if reads => {
                self.travel(&call.connection).await;
                self.read(call)
            }
            None => {
                let there = Duration::from_millis(outside.draw.between(2, 90));
                self.arrive(call, sent_at, there);
                tokio::time::sleep(there + Duration::from_millis(1)).await;
                self.maybe_die();
                self.travel(&call.connection).await;
                CallResult::done(json!({ "id": call.key }))
            }
        };
        self.life.or_never().await;
        self.leave(&call.connection);
        if fault != Some(Fault::NotSent) || reads {
            outside.trace.say(format!("  answer {} {:?}", named(call), result.outcome));
        }
        result
    }

    async fn read_back(&self, applied: &Applied) -> ReadBack {
        let call = &applied.call;
        self.travel(&call.connection).await;
        self.life.or_never().await;
        if self.outside.weather.hides(&call.connection, &self.outside.draw) {
            return ReadBack::Unread { problem: "no answer".into(), retry_after: None };
        }
        let holder = target_of(call).and_then(|a| self.outside.tenant.holder(&a));
        let after = |at: Option<crate::model::time::Time>| at.is_some_and(|t| t >= applied.sent_at);
        let factor = call.inputs.get("factor").and_then(|f| f.get("id")).and_then(Value::as_str);
        let on = |check: &dyn Fn(&Holder) -> bool| holder.as_ref().is_some_and(check);
        let holds = match call.action.as_str() {
            "idp/revoke" => on(&|h| after(h.revoked_at)),
            "idp/block" => on(&|h| !h.enabled),
            "idp/unblock" => on(&|h| h.enabled),
            "idp/mark" => on(&|h| h.marked),
            "idp/clear" => on(&|h| !h.marked),
            "idp/reset" => on(&|h| after(h.password_at)),
            "idp/remove" => on(&|h| factor.is_some_and(|f| !h.factors.contains(f))),
            _ => self.outside.tenant.tickets.lock().unwrap().contains(&call.key),
        };
        self.outside.trace.say(format!("read back {} {}: {holds}", call.action, named(call)));
        if holds {
            ReadBack::Holds { strength: Strength::State, output: json!({ "id": call.key }) }
        } else {
            ReadBack::Fails { problem: "it is not so".into() }
        }
    }

    async fn already_so(&self, call: &Call) -> Option<bool> {
        self.travel(&call.connection).await;
        self.life.or_never().await;
        if self.outside.weather.hides(&call.connection, &self.outside.draw) {
            return None;
        }
        let holder = target_of(call).and_then(|a| self.outside.tenant.holder(&a))?;
        match call.action.as_str() {
            "idp/block" => Some(!holder.enabled),
            "idp/unblock" => Some(holder.enabled),
            "idp/mark" => Some(holder.marked),
            "idp/clear" => Some(!holder.marked),
            _ => None,
        }
    }
}

impl Catalogue for Link {
    fn resolve(
        &self,
        name: &str,
        _: &ConnectionId,
        target: Option<&Target>,
    ) -> Result<ActionSpec, Unavailable> {
        let spec =
            spec(name).ok_or_else(|| Unavailable::Unsupported("it is not offered".into()))?;
        let guest = target.is_some_and(|t| t.authority == Authority::Guest);
        if guest && spec.point_in_time {
            return Err(Unavailable::NotApplicable("a guest's sessions are elsewhere".into()));
        }
        Ok(spec)
    }
    fn connections_for(&self, name: &str) -> Vec<ConnectionId> {
        match name.split('.').next() {
            Some("ticket") => vec!["desk".into()],
            Some("notify") => vec!["pager".into()],
            _ => vec!["idp".into(), "okta".into()],
        }
    }
    fn capability_of(&self, name: &str) -> Option<Capability> {
        spec(name).map(|s| s.capability)
    }
    fn signature(&self, name: &str) -> Option<&Signature> {
        SIGNATURES.get(name)
    }
    fn concurrency(&self, _: &ConnectionId) -> usize {
        LANES
    }
}

#[async_trait]
impl Directory for Link {
    async fn look_up(&self, aliases: &[Alias], connections: &[ConnectionId]) -> Found {
        let Some(first) = connections.first() else { return Found::default() };
        self.travel(first).await;
        self.life.or_never().await;
        let outside = &self.outside;
        let known = |name: &str, keys: &[AccountKey]| {
            let means = |a: &Alias| {
                *a == Alias::login(name) || keys.iter().any(|k| *a == Alias::account(k))
            };
            aliases.iter().any(means)
        };
        let Some((name, keys)) = outside.tenant.people.iter().find(|(n, k)| known(n, k)) else {
            return Found::default();
        };
        let mut found = Found { name: Some(name.clone()), ..Found::default() };
        for connection in connections {
            if outside.weather.hides(connection, &outside.draw) {
                found.unread.push((connection.clone(), "no answer".into()));
                continue;
            }
            for key in keys.iter().filter(|k| k.connection == *connection) {
                let Some(holder) = outside.tenant.holder(key) else { continue };
                found.aliases.push(Alias::account(key));
                found.accounts.push(account(key, &holder, outside.clock.now()));
            }
        }
        if !found.accounts.is_empty() {
            found.aliases.push(Alias::login(name));
        }
        found
    }
}

fn account(key: &AccountKey, holder: &Holder, at: crate::model::time::Time) -> Account {
    Account {
        connection: key.connection.clone(),
        provider_id: key.provider_id.clone(),
        login: holder.login.clone(),
        name: holder.login.clone(),
        authority: if holder.guest { Authority::Guest } else { Authority::Cloud },
        status: if holder.enabled { "active" } else { "disabled" }.into(),
        privileged: holder.privileged,
        protected: false,
        link: if holder.weak { Sure::Weak } else { Sure::Strong },
        roles_unread: false,
        read_at: at,
    }
}
