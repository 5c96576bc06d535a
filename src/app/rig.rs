//! An engine over the lab that can lose an answer, or die inside a call and come back.

use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

use crate::app::ports::{Reach, SystemEntropy, VirtualClock};
use crate::approval::statement::unsigned;
use crate::connector::catalogue::Catalogue;
use crate::connector::connections::{self, Connections};
use crate::detect::Detector;
use crate::engine::driver::{Engine, Ports, Tx};
use crate::engine::ingest::{Fact, Incoming};
use crate::engine::policy::{Ceilings, Policy, SourceView};
use crate::engine::ports::{Actions, Clock as _, Entropy as _, Store as _};
use crate::engine::state::State;
use crate::lab::Lab;
use crate::lab::tenant::Tenant;
use crate::model::action::{Applied, Call, CallResult, ReadBack};
use crate::model::alert::{Alert, AlertKind};
use crate::model::approval::{ApprovalState, Decision, StatementItem};
use crate::model::entry::{Commit, DeploymentCreated, Entry, PersonEnrolled, PlanPublished};
use crate::model::event::AccountName;
use crate::model::id::{AlertId, ConnectionId, DeploymentId, PersonId, PlanDigest};
use crate::model::incident::{MayCause, Stage};
use crate::model::plan::{Mode, Plan};
use crate::model::run::Run;
use crate::model::time::{Span, Time};
use crate::secret::{Scrubber, Sources};
use crate::store::memory::MemoryStore;

/// Where in a call the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// The intent is on disk, and the vendor was not even asked how things stand.
    BeforeLooking,
    /// The intent is on disk, and nothing was sent.
    BeforeSending,
    /// The vendor has done it, and nobody here knows.
    AfterTheEffect,
}

/// The connections, with a place where a process dies.
struct Trap {
    reach: Arc<Reach>,
    armed: Mutex<Option<(String, Death)>>,
}

#[async_trait]
impl Actions for Trap {
    async fn call(&self, call: &Call) -> CallResult {
        let armed = self.armed.lock().unwrap().clone();
        let Some((_, death)) = armed.filter(|(action, _)| action == call.action.as_str()) else {
            return self.reach.call(call).await;
        };
        if death == Death::AfterTheEffect {
            drop(self.reach.call(call).await);
        }
        std::future::pending().await
    }
    async fn read_back(&self, applied: &Applied) -> ReadBack {
        self.reach.read_back(applied).await
    }
    async fn already_so(&self, call: &Call) -> Option<bool> {
        let armed = self.armed.lock().unwrap().clone();
        if armed == Some((call.action.as_str().to_owned(), Death::BeforeLooking)) {
            std::future::pending::<()>().await;
        }
        self.reach.already_so(call).await
    }
}

/// One deployment and the tenant around it.
pub(super) struct Rig {
    pub(super) lab: Lab,
    pub(super) engine: Engine,
    pub(super) reach: Arc<Reach>,
    pub(super) clock: VirtualClock,
    store: MemoryStore,
    trap: Arc<Trap>,
}

impl Rig {
    pub(super) fn new(catalogue: &Arc<Catalogue>, crowd: usize) -> Self {
        let start = Time::from_timestamp_millis(1_795_316_400_000).unwrap();
        let clock = VirtualClock::starting(start);
        let tenant = Tenant::new("rig").without_limits().crowd(crowd);
        let lab = Lab::new(&tenant, Arc::new(move || clock.now()));
        let ports = connections::Ports {
            clock: Arc::new(move || clock.now()),
            entropy: Arc::new(|bytes: &mut [u8]| SystemEntropy.fill(bytes)),
            sources: Sources::lab(),
            scrubber: Scrubber::default(),
            dial: lab.dial(),
        };
        let mut wired = lab.connections("http://127.0.0.1:1");
        wired.extend(lab.channels("127.0.0.1:1"));
        let reach = Reach::new(Connections::new(catalogue.clone(), wired, ports).unwrap());
        let trap = Arc::new(Trap { reach: reach.clone(), armed: Mutex::default() });
        let store = MemoryStore::new();
        let engine = boot(&store, &reach, &trap, clock, State::default());
        Self { lab, engine, reach, clock, store, trap }
    }

    /// Tells people as `options` say, until what is returned says that the process ends.
    pub(super) fn tell(&self, options: &str) -> watch::Sender<bool> {
        self.tell_as(toml::from_str(options).unwrap())
    }

    pub(super) fn tell_as(&self, options: crate::notify::Options) -> watch::Sender<bool> {
        let (closing, closed) = watch::channel(false);
        let base = "https://quell.example.com/".parse().unwrap();
        let (engine, how) = (self.engine.clone(), (base, crate::notify::Meters::default()));
        self.engine
            .tasks()
            .spawn(async move { crate::notify::follow(engine, options, how, closed).await });
        closing
    }

    /// Tells the tickets of cases.
    pub(super) fn tell_tickets(&self) -> watch::Sender<bool> {
        let tickets = self.engine.ports().catalogue.connections_for("ticket.comment");
        self.tell_as(crate::notify::Options::default().with_tickets(tickets))
    }

    /// The next call of `action` is the last thing that this process does.
    pub(super) fn die_in(&self, action: &str, death: Death) {
        *self.trap.armed.lock().unwrap() = Some((action.to_owned(), death));
    }

    /// The process is gone; another starts from what is on disk.
    pub(super) async fn come_back(&mut self) {
        self.store = self.store.crash();
        self.trap = Arc::new(Trap { reach: self.reach.clone(), armed: Mutex::default() });
        let mut state = State::default();
        for commit in self.journal().await {
            state.apply(&commit);
        }
        self.engine = boot(&self.store, &self.reach, &self.trap, self.clock, state);
    }

    pub(super) async fn journal(&self) -> Vec<Commit> {
        self.store.commits(0, usize::MAX).await.unwrap()
    }

    /// A detector's alert about somebody with accounts on these connections.
    pub(super) async fn alert(&self, login: &str, stage: Stage, on: &[ConnectionId]) {
        let alert = Alert {
            id: AlertId::mint(self.clock.now(), SystemEntropy.id()),
            kind: AlertKind::MfaFatigue,
            account: AccountName { login: Some(login.to_owned()), provider_id: None },
            time: self.clock.now(),
            stage,
            reason: "a detector's alert".to_owned(),
            rule: "rig".to_owned(),
            events: Vec::new(),
            password_exposed: true,
            link: None,
        };
        let incoming = Incoming {
            source: SourceView {
                id: "siem".into(),
                may_cause: MayCause::Contain,
                connections: on.to_vec(),
                aliases: BTreeMap::new(),
            },
            delivery: alert.id.to_string(),
            facts: vec![Fact::Alert(Box::new(alert))],
            accepted: 1,
            rejected: Vec::new(),
            replayed: false,
        };
        self.engine.ingest(incoming).await.unwrap();
    }

    /// Lets time pass; every question that opens in it is answered with yes.
    pub(super) async fn pass(&self, span: Span) {
        let until = self.clock.now() + span.delta();
        while self.clock.now() < until {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            self.say_yes().await;
        }
    }

    pub(super) fn run(&self) -> Run {
        self.runs().remove(0)
    }

    /// Oldest first.
    pub(super) fn runs(&self) -> Vec<Run> {
        self.engine.read(|core| core.state.runs.values().map(|r| (**r).clone()).collect())
    }

    /// Makes a call without the engine.
    pub(super) async fn by_hand(
        &self,
        connection: &ConnectionId,
        action: &str,
        inputs: BTreeMap<String, Value>,
    ) -> Value {
        let call = Call {
            connection: connection.clone(),
            action: action.into(),
            inputs,
            key: format!("by-hand-{action}"),
        };
        self.reach.call(&call).await.output
    }

    /// Founds the deployment, with one playbook.
    pub(super) async fn publish(&self, plan: Plan) {
        let published = self.engine.commit(|tx| {
            found(tx, plan);
            tx.push(Entry::PersonEnrolled(Box::new(PersonEnrolled {
                person: on_call(),
                name: "on-call".to_owned(),
                roles: vec!["approver".to_owned()],
                passkey: Value::Null,
                user_handle: uuid::Uuid::nil(),
                ticket: String::new(),
                enrolled_at: None,
            })));
        });
        published.await.unwrap();
    }

    async fn say_yes(&self) {
        let open = self.engine.read(|core| {
            core.state.approvals.values().find(|a| a.state == ApprovalState::Pending).cloned()
        });
        let Some(question) = open else { return };
        let items: Vec<StatementItem> = question.items.iter().map(StatementItem::from).collect();
        let signed = unsigned(&question, items, Decision::Approve, on_call(), "on-call");
        self.engine.decide_approval(question.id, on_call(), signed).await.unwrap();
    }
}

fn on_call() -> PersonId {
    PersonId(uuid::Uuid::from_u128(1))
}

fn boot(
    store: &MemoryStore,
    reach: &Arc<Reach>,
    trap: &Arc<Trap>,
    clock: VirtualClock,
    state: State,
) -> Engine {
    let ports = Ports {
        store: Arc::new(store.clone()),
        evidence: Arc::new(store.clone()),
        clock: Arc::new(clock),
        entropy: Arc::new(SystemEntropy),
        catalogue: reach.clone(),
        actions: trap.clone(),
        directory: reach.clone(),
    };
    let ceilings = Ceilings { approved_blocks: 1_000, ..Ceilings::default() };
    let policy = Policy { mode: Mode::Auto, ceilings, ..Policy::default() };
    let engine = Engine::new(ports, policy, state, Detector::default());
    engine.start();
    engine
}

/// Runs a test in time that passes when nothing is left to do.
pub(super) fn in_one_runtime<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// The first entries of a journal: a deployment, and one published playbook.
pub(super) fn found(tx: &mut Tx<'_>, plan: Plan) {
    tx.push(Entry::DeploymentCreated(DeploymentCreated {
        deployment: DeploymentId::mint(tx.at, [1; 10]),
        lab: true,
        key: String::new(),
    }));
    tx.push(Entry::PlanPublished(Box::new(PlanPublished {
        name: plan.name.clone(),
        digest: PlanDigest::new("plan-1"),
        plan,
        source: String::new(),
        by: "test".to_owned(),
        diff: String::new(),
        signed: None,
    })));
}
