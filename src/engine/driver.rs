//! Gets done what `decide` says: commits intents, makes calls, commits what came back, asks again.
//!
//! One lock guards the state and what is under way. Under it, entries are put
//! together, applied and handed to the journal in the same order; nothing leaves
//! the process before its commit is on disk. Calls run outside the lock, as many
//! at once as their connection allows.

mod accounts;
pub(crate) mod boot;
mod carry_out;
mod desk;
mod effects;
mod outcome;
mod questions;
mod timers;

use chrono::TimeDelta;
use futures::FutureExt;
use futures::future::Shared;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::{Notify, watch};

use super::guardrails::Guardrails;
use super::policy::{Policy, SourceView};
use super::ports::{
    Actions, Catalogue, Clock, Directory, Durable, Entropy, Evidence, Store, StoreError,
};
use super::shelf::Keeping;
use super::state::State;
use super::tasks::Tasks;
use crate::approval::rota::Roster;
use crate::model::action::{ActionSpec, Call};
use crate::model::entry::{Commit, Entry};
use crate::model::id::{RunId, SourceId};
use crate::model::run::CellKey;
use crate::model::time::Time;

pub(crate) use desk::{Desk, Standing};

/// What the engine is plugged into.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) evidence: Arc<dyn Evidence>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) catalogue: Arc<dyn Catalogue>,
    pub(crate) actions: Arc<dyn Actions>,
    pub(crate) directory: Arc<dyn Directory>,
}

/// The engine's handle. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Engine(Arc<Inner>);

struct Inner {
    core: Mutex<Core>,
    ports: Ports,
    policy: RwLock<Arc<Policy>>,
    tasks: Tasks,
    timers_changed: Notify,
    /// Counts commits; pages and streams look again when it moves.
    moved: watch::Sender<u64>,
    /// Set by a stop: no new calls begin.
    stopping: watch::Sender<bool>,
    /// Held by whoever brings everybody back.
    turn: tokio::sync::Mutex<()>,
}

impl Inner {
    fn policy(&self) -> Arc<Policy> {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Everything behind the lock.
pub(crate) struct Core {
    pub(crate) state: State,
    pub(crate) desk: Desk,
    pub(crate) detector: crate::detect::Detector,
    /// What the pager says about who is on call.
    pub(crate) roster: Roster,
    /// Settings of the sources, for evidence that means more since another source spoke.
    pub(crate) sources: BTreeMap<SourceId, SourceView>,
    timers: BTreeSet<(Time, RunId)>,
    wakes: HashMap<RunId, Time>,
    /// Resolves when everything that the state holds is on disk.
    written: Written,
    pub(crate) keeping: Keeping,
    /// What the settings would have guard everybody, where it waits for people.
    pub(crate) wished: Option<Guardrails>,
    /// Counts attempts and outcomes, for metrics.
    pub(crate) tally: BTreeMap<(String, String, String), u64>,
    /// How many incidents were contained, and how long the last of them took, for metrics.
    pub(crate) contained: (u64, VecDeque<TimeDelta>),
}

/// A commit that is being put together. What is pushed is in force at once, and on disk before anyone acts on it.
pub(crate) struct Tx<'c> {
    pub(crate) core: &'c mut Core,
    pub(crate) at: Time,
    entries: Vec<Entry>,
    effects: Vec<Effect>,
}

/// Work that begins when the commit is on disk.
pub(crate) enum Effect {
    Call { run: RunId, cell: CellKey, spec: Box<ActionSpec>, call: Call, attempt: u32 },
    ReadBack { run: RunId, cell: CellKey, in_doubt: bool },
    LookUp { run: RunId },
}

/// Waits for a commit; may be waited for by several.
pub(crate) type Written = Shared<Durable>;

fn already() -> Written {
    let already: Durable = Box::pin(std::future::ready(Ok(())));
    already.shared()
}

impl Tx<'_> {
    /// Adds an entry and applies it.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.core.state.apply_entry(self.at, &entry);
        self.entries.push(entry);
    }
}

impl Engine {
    /// An engine over a state that was read back from its store. Call [`Engine::start`] to set it going.
    pub(crate) fn new(
        ports: Ports,
        policy: Policy,
        state: State,
        detector: crate::detect::Detector,
    ) -> Self {
        let core = Core {
            state,
            desk: Desk::default(),
            detector,
            roster: Roster::default(),
            sources: BTreeMap::new(),
            timers: BTreeSet::new(),
            wakes: HashMap::new(),
            written: already(),
            keeping: Keeping::default(),
            wished: None,
            tally: BTreeMap::new(),
            contained: (0, VecDeque::new()),
        };
        let inner = Inner {
            core: Mutex::new(core),
            ports,
            policy: RwLock::new(Arc::new(policy)),
            tasks: Tasks::default(),
            timers_changed: Notify::new(),
            moved: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
            turn: tokio::sync::Mutex::new(()),
        };
        Self(Arc::new(inner))
    }

    pub(crate) fn ports(&self) -> &Ports {
        &self.0.ports
    }

    /// The settings that bear on what runs, as they are now.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.0.policy()
    }

    /// From here on these hold. Whose turn it is stays what the settings say.
    pub(super) fn set_policy(&self, policy: Policy) {
        let policy = Policy { oncall: self.policy().oncall.clone(), ..policy };
        *self.0.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    pub(crate) fn now(&self) -> Time {
        self.0.ports.clock.now()
    }

    /// Tells when the state moved; the value is the last sequence.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.0.moved.subscribe()
    }

    /// Looks at the state. Keep it short: everything else waits.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Core) -> T) -> T {
        look(&self.lock())
    }

    /// Changes what the journal says nothing of.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Core) -> T) -> T {
        change(&mut self.lock())
    }

    pub(super) fn turn(&self) -> &tokio::sync::Mutex<()> {
        &self.0.turn
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        // A panic while the lock is held would leave half a commit applied; the process
        // then must not go on, but tests and the panic hook should still see the state.
        self.0.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a commit together and hands it to the journal. Effects begin when it is on disk.
    pub(crate) fn transact<T>(&self, build: impl FnOnce(&mut Tx<'_>) -> T) -> (T, Written) {
        let mut core = self.lock();
        let at = self.0.ports.clock.now();
        core.desk.now = Some(at);
        let mut tx = Tx { core: &mut core, at, entries: Vec::new(), effects: Vec::new() };
        let out = build(&mut tx);
        let Tx { entries, effects, .. } = tx;
        let written = if entries.is_empty() {
            already()
        } else {
            core.state.seq += 1;
            let commit = Commit { seq: core.state.seq, at, entries };
            core.written = self.0.ports.store.submit(commit).shared();
            core.written.clone()
        };
        let seq = core.state.seq;
        drop(core);
        self.0.moved.send_replace(seq);
        if !effects.is_empty() {
            self.begin(effects, written.clone());
        }
        (out, written)
    }

    /// [`Engine::transact`], returning once it is on disk.
    pub(crate) async fn commit<T>(
        &self,
        build: impl FnOnce(&mut Tx<'_>) -> T,
    ) -> Result<T, StoreError> {
        let (out, written) = self.transact(build);
        written.await?;
        Ok(out)
    }

    /// Returns once everything that the state held when it was called is on disk.
    pub(crate) async fn until_written(&self) -> Result<(), StoreError> {
        let written = self.read(|core| core.written.clone());
        written.await
    }

    /// Asks what the run does next and applies the answers, until there is nothing more to say.
    pub(crate) fn settle(&self, tx: &mut Tx<'_>, run: RunId) {
        carry_out::settle(&self.0, tx, run);
    }

    /// After a rise for which an ended run has nothing to do.
    pub(super) fn still_contained(&self, tx: &mut Tx<'_>, run: RunId) {
        carry_out::still_contained(&self.0, tx, run);
    }

    /// Looks at a run again, in a commit of its own.
    pub(crate) fn advance(&self, run: RunId) {
        let ((), _written) = self.transact(|tx| self.settle(tx, run));
    }

    /// Sets timers, recovery and the projector going.
    pub(crate) fn start(&self) {
        boot::recover(self);
        let engine = self.clone();
        self.0.tasks.spawn(async move { timers::run(engine).await });
        let engine = self.clone();
        self.0.tasks.spawn(async move { timers::project(engine).await });
        let engine = self.clone();
        self.0.tasks.spawn(async move { engine.learn_names().await });
    }

    /// Stops beginning anything; what is under way ends. Returns when it has and all rows are written.
    pub(crate) async fn stop(&self) {
        self.0.stopping.send_replace(true);
        self.0.tasks.idle().await;
        timers::project_now(self).await;
    }

    /// Writes the rows that changed, without waiting for their turn.
    #[cfg(test)]
    pub(crate) async fn project_now(&self) {
        timers::project_now(self).await;
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.0.stopping.borrow()
    }

    fn begin(&self, effects: Vec<Effect>, written: Written) {
        let engine = self.clone();
        self.0.tasks.spawn(async move {
            // Not on disk: it never happened, and nothing may follow from it.
            if written.await.is_err() || engine.is_stopping() {
                return;
            }
            let mut effects = effects.into_iter();
            let own = effects.next();
            for effect in effects {
                let one = engine.clone();
                engine.0.tasks.spawn(async move { effects::perform(&one, effect).await });
            }
            if let Some(own) = own {
                effects::perform(&engine, own).await;
            }
        });
    }
}
