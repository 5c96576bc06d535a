//! A deployment that polls, and the tenant around it, in virtual time. Processes come and go.

use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

use crate::app::ports::{Reach, SystemEntropy, VirtualClock};
use crate::app::rig::found;
use crate::app::sources::origin;
use crate::config::Source;
use crate::connector::catalogue::Catalogue;
use crate::connector::connections::{self, Connections};
use crate::detect::{About, Detector};
use crate::engine::driver::{Engine, Ports};
use crate::engine::ingest::window_key;
use crate::engine::policy::Policy;
use crate::engine::ports::{Clock as _, Entropy as _, Store as _};
use crate::engine::state::State;
use crate::lab::Lab;
use crate::lab::tenant::Tenant;
use crate::model::entry::{Commit, Entry};
use crate::model::event::Event;
use crate::model::id::SourceId;
use crate::model::incident::Stage;
use crate::model::plan::{Mode, Plan};
use crate::model::time::{Span, Time};
use crate::poll::{Known, Meters, Parts, Poller};
use crate::secret::{Scrubber, Sources};
use crate::store::memory::MemoryStore;

/// One deployment that polls, and the tenant around it.
pub(super) struct Bench {
    pub(super) lab: Lab,
    reach: Arc<Reach>,
    pub(super) clock: VirtualClock,
    pub(super) store: MemoryStore,
    sources: Vec<(SourceId, Source)>,
    pub(super) up: Option<Up>,
}

/// One process of it.
pub(super) struct Up {
    engine: Engine,
    /// Each with the time at which it is due.
    pollers: Vec<(Poller, Time)>,
    pub(super) meters: Meters,
    _closing: watch::Sender<bool>,
}

impl Bench {
    pub(super) fn new(sources: &[(&str, &str)]) -> Self {
        let clock = VirtualClock::starting(Time::from_timestamp_millis(1_795_316_400_000).unwrap());
        let lab = Lab::new(&Tenant::new("polls"), Arc::new(move || clock.now()));
        let ports = connections::Ports {
            clock: Arc::new(move || clock.now()),
            entropy: Arc::new(|bytes: &mut [u8]| SystemEntropy.fill(bytes)),
            sources: Sources::lab(),
            scrubber: Scrubber::default(),
            dial: lab.dial(),
        };
        let catalogue = Arc::new(Catalogue::builtin().unwrap());
        let wired = lab.connections("http://127.0.0.1:1");
        let reach = Reach::new(Connections::new(catalogue, wired, ports).unwrap());
        let read = |(id, text): &(&str, &str)| (SourceId::from(*id), toml::from_str(text).unwrap());
        let sources = sources.iter().map(read).collect();
        let store = MemoryStore::new();
        let mut bench = Self { lab, reach, clock, store, sources, up: None };
        bench.up = Some(bench.boot(State::default()));
        bench
    }

    fn boot(&self, state: State) -> Up {
        let mut detector = Detector::default();
        let mut known: BTreeMap<SourceId, Known> = BTreeMap::new();
        for (id, received, event) in self.evidence() {
            let (_, source) = self.sources.iter().find(|(own, _)| *own == id).unwrap();
            let key = window_key(&source.view(&id), &event.account);
            let about = About { now: received, ..About::default() };
            drop(detector.observe(&key, &event, &about));
            known.entry(id).or_default().event(&event.id, received);
        }
        let ports = Ports {
            store: Arc::new(self.store.clone()),
            evidence: Arc::new(self.store.clone()),
            clock: Arc::new(self.clock),
            entropy: Arc::new(SystemEntropy),
            catalogue: self.reach.clone(),
            actions: self.reach.clone(),
            directory: self.reach.clone(),
        };
        let policy = Policy { mode: Mode::Auto, ..Policy::default() };
        let engine = Engine::new(ports, policy, state, detector);
        engine.start();
        let (closing, closed) = watch::channel(false);
        let meters = Meters::default();
        let poller = |(id, source): &(SourceId, Source)| {
            let made = Parts {
                engine: engine.clone(),
                origin: origin(id, source).unwrap(),
                options: source.poll.clone().unwrap(),
                pull: self.reach.clone(),
                known: known.get(id).cloned().unwrap_or_default(),
                meters: meters.clone(),
                closing: closed.clone(),
            };
            (Poller::new(made), self.clock.now())
        };
        let pollers = self.sources.iter().map(poller).collect();
        Up { engine, pollers, meters, _closing: closing }
    }

    pub(super) async fn publish(&self, plan: Plan) {
        let founded = self.engine().commit(|tx| found(tx, plan));
        founded.await.unwrap();
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.up.as_ref().unwrap().engine
    }

    /// The process is gone.
    pub(super) fn die(&mut self) {
        self.up = None;
        self.store = self.store.crash();
    }

    /// Another starts from what is on disk.
    pub(super) async fn come_back(&mut self) {
        if self.up.is_some() {
            self.die();
        }
        let mut state = State::default();
        for commit in self.journal().await {
            state.apply(&commit);
        }
        self.up = Some(self.boot(state));
    }

    pub(super) async fn journal(&self) -> Vec<Commit> {
        self.store.commits(0, usize::MAX).await.unwrap()
    }

    /// Entries of the journal, oldest first.
    pub(super) async fn entries(&self) -> Vec<Entry> {
        self.journal().await.into_iter().flat_map(|commit| commit.entries).collect()
    }

    pub(super) async fn advanced(&self) -> usize {
        self.entries().await.iter().filter(|e| matches!(e, Entry::PollAdvanced(_))).count()
    }

    /// The evidence log: source, receipt, event.
    fn evidence(&self) -> Vec<(SourceId, Time, Event)> {
        let lines = self.store.evidence().into_iter();
        lines
            .map(|mut line| {
                let event = serde_json::from_value(line["event"].take()).unwrap();
                let received = line["at"].as_str().unwrap().parse().unwrap();
                (line["source"].as_str().unwrap().into(), received, event)
            })
            .collect()
    }

    /// How many events the evidence log has; none of them twice.
    pub(super) fn events(&self) -> usize {
        let mut ids: Vec<String> =
            self.evidence().iter().map(|(source, _, e)| format!("{source} {}", e.id)).collect();
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all, "nothing is taken in twice: {ids:#?}");
        all
    }

    /// Lets time pass, for the pollers too.
    pub(super) async fn pass(&mut self, span: Span) {
        let until = self.clock.now() + span.delta();
        while self.clock.now() < until {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            let Some(up) = &mut self.up else { continue };
            for (poller, due) in &mut up.pollers {
                while *due <= self.clock.now() && !self.store.crashed() {
                    *due = poller.step().await;
                }
            }
        }
    }

    pub(super) fn stage(&self) -> Option<Stage> {
        self.engine().read(|core| core.state.incidents.values().map(|i| i.stage).max())
    }

    pub(super) fn incidents(&self) -> usize {
        self.engine().read(|core| core.state.incidents.len())
    }

    pub(super) fn polls_of(&self, operation: &str) -> Vec<Time> {
        let calls = self.lab.oracle().calls;
        calls.iter().filter(|c| c.operation == operation).map(|c| c.at).collect()
    }
}
