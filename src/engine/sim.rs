//! The engine in simulation: virtual time, seeded faults, crashes after every commit and inside every effect.
//!
//! The real driver and the real `decide` run; store, clock, randomness, providers and
//! directory are replaced. A world outlives the engine's deaths and counts what was
//! really done to it, so that a test can say what must never have happened.

mod asked;
mod chaos;
mod crash;
mod faults;
mod flow;
mod holds;
mod load;
mod oncall;
mod ratify;
mod reports;
mod rest;
mod rising;
mod rules;
mod store;
mod stream;
mod world;

use async_trait::async_trait;
use chrono::{TimeDelta, TimeZone, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::driver::{Engine, Ports};
use super::ingest::{Answer, Fact, Incoming};
use super::policy::{Policy, SourceView};
use super::ports::{Clock, Entropy, StoreError};
use super::state::State;
use crate::approval::statement::unsigned;
use crate::model::alert::{Alert, AlertKind};
use crate::model::approval::{Approval, ApprovalState, Asks, Decision};
use crate::model::entry::{DeploymentCreated, Entry, PersonEnrolled, PlanPublished};
use crate::model::event::AccountName;
use crate::model::id::{AlertId, DeploymentId, PersonId, PlanDigest};
use crate::model::incident::{Campaign, Incident, MayCause, Stage};
use crate::model::plan::{Does, Mode, Plan, PlanStep, Trigger};
use crate::model::run::{Run, RunStatus};
use crate::model::time::{Span, Time};
pub(super) use store::MemStore;
pub(super) use world::World;

/// Virtual time: tokio's paused clock, counted from a fixed day.
#[derive(Clone)]
pub(super) struct SimClock {
    zero: tokio::time::Instant,
}

impl SimClock {
    fn start() -> Self {
        Self { zero: tokio::time::Instant::now() }
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Time {
        let passed = TimeDelta::from_std(self.zero.elapsed()).unwrap();
        Utc.with_ymd_and_hms(2026, 11, 22, 3, 0, 0).unwrap() + passed
    }
    async fn sleep_until(&self, at: Time) {
        let wait = (at - self.now()).to_std().unwrap_or_default();
        tokio::time::sleep(wait).await;
    }
}

/// A small generator: the same seed gives the same run.
pub(super) struct Dice(AtomicU64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1))
    }
    pub(super) fn next(&self) -> u64 {
        let mut x = self.0.load(Ordering::Relaxed);
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.store(x, Ordering::Relaxed);
        x
    }
    pub(super) fn below(&self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }
}

impl Entropy for Dice {
    fn fill(&self, bytes: &mut [u8]) {
        for b in bytes {
            *b = u8::try_from(self.next() >> 40 & 0xff).unwrap();
        }
    }
}

/// A deployment whose process can die and come back.
pub(super) struct Sim {
    pub(super) engine: Engine,
    pub(super) world: Arc<World>,
    pub(super) store: Arc<MemStore>,
    pub(super) policy: Policy,
    clock: SimClock,
    dice: Arc<Dice>,
    alive: Arc<AtomicBool>,
}

impl Sim {
    pub(super) async fn new(seed: u64, mode: Mode) -> Self {
        Self::with(seed, Policy { mode, ..Policy::default() }).await
    }

    pub(super) async fn with(seed: u64, policy: Policy) -> Self {
        let dice = Arc::new(Dice::new(seed));
        let world = Arc::new(World::new(dice.clone()));
        let store = Arc::new(MemStore::default());
        let clock = SimClock::start();
        let alive = Arc::new(AtomicBool::new(true));
        let engine = boot(&world, &store, &clock, &dice, &alive, &policy);
        let sim = Self { engine, world, store, policy, clock, dice, alive };
        sim.found().await;
        sim
    }

    async fn found(&self) {
        let plan = playbook();
        self.engine
            .commit(|tx| {
                let deployment = DeploymentId::mint(tx.at, [7; 10]);
                tx.push(Entry::DeploymentCreated(DeploymentCreated {
                    deployment,
                    lab: true,
                    key: String::new(),
                }));
                tx.push(Entry::PlanPublished(Box::new(PlanPublished {
                    name: plan.name.clone(),
                    digest: PlanDigest::new("plan-1"),
                    plan: plan.clone(),
                    source: String::new(),
                    by: "test".into(),
                    diff: String::new(),
                    signed: None,
                })));
                for name in [OLGA, PETE] {
                    tx.push(Entry::PersonEnrolled(Box::new(PersonEnrolled {
                        person: person(name),
                        name: name.into(),
                        roles: vec!["approver".into()],
                        passkey: serde_json::Value::Null,
                        user_handle: uuid::Uuid::nil(),
                        ticket: String::new(),
                        enrolled_at: None,
                    })));
                }
            })
            .await
            .unwrap();
    }

    /// The process dies: nothing that it had under way gets anywhere. A new one starts from what was on disk.
    pub(super) fn crash(&mut self) {
        self.alive.store(false, Ordering::SeqCst);
        self.store.forget_unwritten();
        self.alive = Arc::new(AtomicBool::new(true));
        self.world.crash_in.store(u64::MAX, Ordering::SeqCst);
        self.store.crash_at.store(u64::MAX, Ordering::SeqCst);
        self.engine =
            boot(&self.world, &self.store, &self.clock, &self.dice, &self.alive, &self.policy);
    }

    /// The process dies, and no new one is there yet.
    pub(super) fn kill(&mut self) {
        self.alive.store(false, Ordering::SeqCst);
    }

    /// The store as a new process would find it.
    pub(super) fn disk(&self) -> impl super::ports::Store {
        store::Disk { store: self.store.clone(), alive: self.alive.clone() }
    }

    pub(super) fn is_dead(&self) -> bool {
        !self.alive.load(Ordering::SeqCst)
    }

    pub(super) async fn alert(&self, login: &str, stage: Stage) -> Result<Answer, StoreError> {
        self.deliver(
            &format!("d-{login}-{stage:?}"),
            MayCause::Contain,
            Fact::Alert(Box::new(self.an_alert(login, stage))),
        )
        .await
    }

    pub(super) async fn deliver(
        &self,
        id: &str,
        may_cause: MayCause,
        fact: Fact,
    ) -> Result<Answer, StoreError> {
        self.engine
            .ingest(Incoming {
                source: SourceView {
                    id: "siem".into(),
                    may_cause,
                    connections: vec!["idp".into()],
                    aliases: BTreeMap::new(),
                },
                delivery: id.to_owned(),
                facts: vec![fact],
                accepted: 1,
                rejected: Vec::new(),
                replayed: false,
            })
            .await
    }

    pub(super) fn an_alert(&self, login: &str, stage: Stage) -> Alert {
        Alert {
            id: AlertId::mint(self.clock.now(), [1; 10]),
            kind: AlertKind::MfaFatigue,
            account: AccountName { login: Some(login.to_owned()), provider_id: None },
            time: self.clock.now(),
            stage,
            reason: "6 prompts denied in 4 minutes".into(),
            rule: "test".into(),
            events: Vec::new(),
            password_exposed: true,
            link: None,
        }
    }

    /// Raises an incident to `breached` with a hostile approval, as detection does.
    pub(super) async fn hostile_approval(&self, incident: &Incident) {
        let now = self.clock.now();
        self.engine
            .commit(|tx| {
                let i = tx.core.state.incidents.get(&incident.id).cloned().unwrap();
                let evidence = crate::model::entry::Rise {
                    stage: Stage::Breached,
                    approval: crate::model::incident::ApprovalSeen::Hostile,
                    password_exposed: true,
                    may_cause: MayCause::Contain,
                    stale: false,
                    privileged: false,
                    reason: "approved after 6 denials".into(),
                    hostile_factors: Vec::new(),
                    hostile: crate::model::incident::HostileContext::default(),
                    first_event_at: now,
                    last_evidence_at: now,
                    hostile_entry_at: Some(now),
                    watch_until: i.watch_until,
                    trigger: None,
                    campaign: None,
                };
                let risen = crate::model::entry::IncidentRisen { incident: i.id, evidence };
                tx.push(Entry::IncidentStaged(Box::new(risen)));
                super::ingest::follow_up(&self.engine, tx, i.id);
            })
            .await
            .unwrap();
    }

    /// The incident's prompts belong to a campaign.
    pub(super) async fn in_campaign(&self, incident: &Incident, id: &str) {
        let campaign = Campaign { id: id.into(), key: format!("address {id}"), people: 9 };
        self.engine
            .commit(|tx| {
                let i = tx.core.state.incidents.get(&incident.id).cloned().unwrap();
                let evidence = crate::model::entry::Rise {
                    stage: i.stage,
                    approval: i.approval,
                    password_exposed: i.password_exposed,
                    may_cause: MayCause::Contain,
                    stale: false,
                    privileged: false,
                    reason: i.reason,
                    hostile_factors: Vec::new(),
                    hostile: crate::model::incident::HostileContext::default(),
                    first_event_at: i.first_event_at,
                    last_evidence_at: i.last_evidence_at,
                    hostile_entry_at: None,
                    watch_until: i.watch_until,
                    trigger: None,
                    campaign: Some(campaign),
                };
                let risen = crate::model::entry::IncidentRisen { incident: i.id, evidence };
                tx.push(Entry::IncidentJoined(Box::new(risen)));
            })
            .await
            .unwrap();
    }

    /// Lets virtual time pass; everything due in it happens.
    pub(super) async fn pass(&self, span: Span) {
        tokio::time::sleep(span.duration()).await;
    }

    pub(super) fn incident(&self) -> Incident {
        self.engine
            .read(|core| core.state.incidents.values().next().map(|i| (**i).clone()))
            .unwrap()
    }

    pub(super) fn runs(&self) -> Vec<Run> {
        self.engine.read(|core| core.state.runs.values().map(|r| (**r).clone()).collect())
    }

    pub(super) fn pending(&self) -> Option<Approval> {
        self.engine.read(|core| {
            let mut open = core.state.approvals.values();
            open.find(|a| a.state == ApprovalState::Pending).cloned()
        })
    }

    /// The open question of a kind.
    pub(super) fn asked(&self, asks: Asks) -> Option<Approval> {
        self.engine.read(|core| {
            let mut open = core.state.approvals.values();
            open.find(|a| a.state == ApprovalState::Pending && a.asks == asks).cloned()
        })
    }

    pub(super) async fn answer(&self, decision: Decision) -> bool {
        let Some(question) = self.pending() else { return false };
        self.answer_as(&question, OLGA, decision).await
    }

    /// Somebody answers about all that is asked; whether the answer was taken.
    pub(super) async fn answer_as(
        &self,
        question: &Approval,
        name: &str,
        decision: Decision,
    ) -> bool {
        let items = question.items.iter().map(Into::into).collect();
        let signed = unsigned(question, items, decision, person(name), name);
        self.engine.decide_approval(question.id, person(name), signed).await.is_ok()
    }
}

pub(super) const OLGA: &str = "olga.oncall";
pub(super) const PETE: &str = "pete.oncall";

pub(super) fn person(name: &str) -> PersonId {
    PersonId(uuid::Uuid::from_u128(name.bytes().map(u128::from).sum()))
}

fn boot(
    world: &Arc<World>,
    store: &Arc<MemStore>,
    clock: &SimClock,
    dice: &Arc<Dice>,
    alive: &Arc<AtomicBool>,
    policy: &Policy,
) -> Engine {
    let mut state = State::default();
    for commit in store.written() {
        state.apply(&commit);
    }
    let link =
        Arc::new(world::Link { world: world.clone(), alive: alive.clone(), clock: clock.clone() });
    let ports = Ports {
        store: Arc::new(store::Disk { store: store.clone(), alive: alive.clone() }),
        evidence: Arc::new(store::NoEvidence),
        clock: Arc::new(clock.clone()),
        entropy: dice.clone(),
        catalogue: link.clone(),
        actions: link.clone(),
        directory: link,
    };
    let engine = Engine::new(ports, policy.clone(), state, crate::detect::Detector::default());
    engine.start();
    engine
}

/// Runs where time passes only when nothing else is left to do.
pub(super) fn in_virtual_time<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(story)
}

/// The shape of `contain-push-bombing`.
pub(super) fn playbook() -> Plan {
    let step = |id: &str, name: &str| PlanStep {
        for_each: Some("subject.accounts".into()),
        ..PlanStep::new(id, Does::action(name))
    };
    let confirmed = Some(r#"incident.stage in ["confirmed", "breached"]"#.to_owned());
    Plan {
        name: "contain-push-bombing".into(),
        title: String::new(),
        attack: vec!["T1621".into()],
        triggers: vec![Trigger::Alert(AlertKind::MfaFatigue), Trigger::Manual],
        also: false,
        mode: None,
        watch: None,
        inputs: BTreeMap::new(),
        blocks: Vec::new(),
        steps: vec![
            PlanStep {
                does: Does::Use {
                    name: "ticket.open".into(),
                    connection: None,
                    with: BTreeMap::from([(
                        "title".to_owned(),
                        serde_json::json!("Push bombing: {{ subject.name }}"),
                    )]),
                },
                for_each: None,
                ..step("ticket", "ticket.open")
            },
            step("revoke", "identity.revoke_sessions"),
            PlanStep {
                when: confirmed.clone(),
                expires: Some(Span::hours(24)),
                ..step("block", "identity.block_sign_in")
            },
            PlanStep {
                when: Some(
                    "incident.password_exposed and incident.stage in [\"confirmed\", \"breached\"]"
                        .into(),
                ),
                after: vec!["block".into()],
                ..step("reset", "identity.reset_credentials")
            },
            PlanStep {
                after: vec!["block".into(), "reset".into()],
                ..step("revoke_again", "identity.revoke_sessions")
            },
        ],
    }
}

/// Lists what a run came to, for a failing test's message.
pub(super) fn describe(run: &Run) -> String {
    let mut text =
        format!("{} {:?} {:?} on {:?}\n", run.id, run.purpose, run.status, run.waiting_on);
    for cell in run.cells.values() {
        let line = format!(
            "  {} {} {:?} {:?}
",
            cell.key.step, cell.key.item, cell.state, cell.problem
        );
        text += &line;
    }
    text
}

pub(super) fn ended(run: &Run) -> bool {
    run.status.ended()
}

pub(super) fn ended_well(run: &Run) -> bool {
    run.status == RunStatus::Succeeded
}
