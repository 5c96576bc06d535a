//! A rehearsal: records played through the whole of Quell in virtual time, to learn what it would do in `auto` mode.
//!
//! Ingest, `decide` and driver, the shipped detections and playbooks and the connectors are the real ones; only
//! the store is in memory, and what is changed is the lab. Nobody answers: what happens is what needed no
//! person's yes. What became of people is told by the lab, not by Quell.

use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

use super::ports::{Reach, SystemEntropy, VirtualClock};
use crate::connector::catalogue::Catalogue;
use crate::connector::connections::{self, Connections};
use crate::delivery::Origin;
use crate::detect::Detector;
use crate::engine::driver::{Engine, Ports};
use crate::engine::policy::{Policy, SourceView};
use crate::engine::ports::{Clock as _, Entropy as _, Evidence, Store as _, StoreError};
use crate::engine::state::State;
use crate::intake::{self, Kind};
use crate::lab::Lab;
use crate::lab::tenant::Tenant;
use crate::model::action::Signatures;
use crate::model::alert::Proof;
use crate::model::entry::{DeploymentCreated, Entry};
use crate::model::id::DeploymentId;
use crate::model::incident::{Incident, MayCause, Stage};
use crate::model::plan::Mode;
use crate::model::time::{Time, rfc3339};
use crate::playbook::{Library, SHIPPED};
use crate::secret::{Scrubber, Sources};
use crate::store::memory::MemoryStore;

/// Deliveries at their times, for a tenant in which `person-0001@lab.example` and so on live.
pub struct Rehearsal {
    house: House,
    runtime: Runtime,
}

struct House {
    engine: Engine,
    store: MemoryStore,
    lab: Lab,
    clock: VirtualClock,
    deliveries: u64,
}

impl Rehearsal {
    /// A house for so many people, at a time in milliseconds since 1970.
    pub fn new(people: usize, starts: i64) -> Result<Self, String> {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let starts = Time::from_timestamp_millis(starts).ok_or("there is no such time")?;
        let house = runtime.block_on(House::new(people, starts))?;
        Ok(Self { house, runtime })
    }

    /// One body that a source posts at a time; what is due until then happens first.
    pub fn deliver(&mut self, at: i64, kind: &str, body: &[u8]) -> Result<(), String> {
        let kind = kind.parse::<Kind>().map_err(|error| error.to_string())?;
        let at = Time::from_timestamp_millis(at).ok_or("there is no such time")?;
        self.runtime.block_on(self.house.deliver(at, kind, body))
    }

    /// What came of it until a time: `{"incidents": […], "effects": […]}`.
    pub fn until(&mut self, at: i64) -> Result<Value, String> {
        let at = Time::from_timestamp_millis(at).ok_or("there is no such time")?;
        self.runtime.block_on(async {
            self.house.clock.sleep_until(at).await;
            self.house.told().await
        })
    }
}

impl House {
    async fn new(people: usize, starts: Time) -> Result<Self, String> {
        let clock = VirtualClock::starting(starts);
        let tenant = Tenant::new("rehearsal").crowd(people);
        let lab = Lab::new(&tenant, Arc::new(move || clock.now()));
        let catalogue = Catalogue::builtin().map_err(|error| error.to_string())?;
        let signatures = catalogue.signatures();
        let outside = connections::Ports {
            clock: Arc::new(move || clock.now()),
            entropy: Arc::new(|bytes: &mut [u8]| SystemEntropy.fill(bytes)),
            sources: Sources::lab(),
            scrubber: Scrubber::default(),
            dial: lab.dial(),
        };
        let wired = lab.connections("http://127.0.0.1:1");
        let reach = Connections::new(Arc::new(catalogue), wired, outside).map(Reach::new);
        let reach = reach.map_err(|problems| problems.join("; "))?;
        let store = MemoryStore::new();
        let ports = Ports {
            store: Arc::new(store.clone()),
            evidence: Arc::new(Forgotten),
            clock: Arc::new(clock),
            entropy: Arc::new(SystemEntropy),
            catalogue: reach.clone(),
            actions: reach.clone(),
            directory: reach,
        };
        let policy = Policy { mode: Mode::Auto, ..Policy::default() };
        let engine = Engine::new(ports, policy, State::default(), Detector::default());
        engine.start();
        found(&engine, &signatures).await?;
        Ok(Self { engine, store, lab, clock, deliveries: 0 })
    }

    async fn deliver(&mut self, at: Time, kind: Kind, body: &[u8]) -> Result<(), String> {
        self.clock.sleep_until(at).await;
        let parsed = intake::parse(kind, body, self.clock.now()).map_err(|p| p.to_string())?;
        if let Some((index, problem)) = parsed.problems.first() {
            return Err(format!("record {index} of a body: {problem}"));
        }
        self.deliveries += 1;
        let view = SourceView {
            id: "rehearsal".into(),
            may_cause: MayCause::Contain,
            connections: vec!["entra".into(), "okta".into()],
            aliases: std::collections::BTreeMap::new(),
        };
        let (highest_stage, proof) = (Stage::Confirmed, Proof::SelfProved);
        let origin = Origin { view, format: kind.into(), highest_stage, proof };
        let delivery = self.deliveries.to_string();
        let taken = origin.take(&self.engine, parsed, delivery, false).await;
        taken.map(drop).map_err(|error| error.to_string())
    }

    async fn told(&self) -> Result<Value, String> {
        // From the journal: people at rest are not in memory.
        let commits = self.store.commits(0, usize::MAX).await.map_err(|error| error.to_string())?;
        let mut state = State::default();
        for commit in &commits {
            state.apply(commit);
        }
        let incidents: Vec<Value> = state.incidents.values().map(|i| line(&state, i)).collect();
        let calls = self.lab.oracle().calls;
        let effects: Vec<Value> = calls
            .iter()
            .filter_map(|call| {
                let (login, effect) = (call.login.as_ref()?, call.effect.as_ref()?);
                Some(json!({ "at": rfc3339(call.at), "login": login, "effect": effect }))
            })
            .collect();
        Ok(json!({ "incidents": incidents, "effects": effects }))
    }
}

fn line(state: &State, incident: &Incident) -> Value {
    let login = state.subject(incident.subject).and_then(|subject| {
        subject.aliases.iter().find_map(|alias| alias.0.strip_prefix("login:"))
    });
    let rule = incident.alert.as_ref().map(|alert| alert.rule.as_str());
    json!({
        "login": login,
        "stage": incident.stage.name(),
        "approval": incident.approval.name(),
        "status": incident.status,
        "contained": incident.contained_at.map(rfc3339),
        "first": rfc3339(incident.first_event_at),
        "last": rfc3339(incident.last_evidence_at),
        "runs": incident.runs.len(),
        "rule": rule,
        "campaign": incident.campaign,
        "reason": incident.reason,
    })
}

async fn found(engine: &Engine, signatures: &Signatures) -> Result<(), String> {
    let created = engine.commit(|tx| {
        tx.push(Entry::DeploymentCreated(DeploymentCreated {
            deployment: DeploymentId::mint(tx.at, [1; 10]),
            lab: true,
            key: String::new(),
        }));
    });
    created.await.map_err(|error| error.to_string())?;
    for (path, text) in SHIPPED {
        let checked = Library::shipped()
            .check(path, text, signatures)
            .map_err(|problems| format!("`{path}` has {} problems", problems.len()))?;
        let published =
            engine.publish(checked.plan, checked.digest, String::new(), "rehearsal", String::new());
        published.await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// No process dies in a rehearsal, so nobody reads raw events again.
struct Forgotten;

#[async_trait]
impl Evidence for Forgotten {
    async fn append(&self, _: Vec<Value>) -> Result<(), StoreError> {
        Ok(())
    }
}
