//! The boot story, and the only place that names every concrete type.
//!
//! Settings → folder → state → windows → engine → playbooks → chores → server. What is
//! [`Running`] can be stopped, in a process of its own or inside a test: requests are finished,
//! then calls, then rows are written and the folder is closed.

mod chores;
pub(crate) mod copy;
pub(crate) mod demo;
pub(crate) mod detections;
mod found;
mod keeper;
mod keys;
mod playbooks;
mod plugs;
mod polls;
pub(crate) mod ports;
mod recall;
mod rehearsal;
pub(crate) mod reread;
mod retention;
mod sources;
mod timed;
pub(crate) mod trial;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::config::Config;
use crate::console::{self, ConsoleState};
use crate::detect::Detector;
use crate::diagnostic::Diagnostic;
use crate::engine;
use crate::engine::driver::{Engine, Ports};
use crate::engine::oncall::unready;
use crate::engine::ports::{Clock, Entropy, StoreError};
use crate::engine::state::State;
use crate::jwks::Renewals;
use crate::notify;
use crate::people::People;
use crate::people::oidc::Oidc;
use crate::secret::{Scrubber, Sources as Secrets};
use crate::server::{
    self, Again, Answers, Api, Candidates, Metrics, Received, Reread, Rereads, Roster, Unread, Used,
};
use crate::store::disk::DiskStore;
use crate::store::folder::{Folder, IndexState, Options};
use crate::store::refused::Refused;

pub(crate) use found::{Founded, found};
pub(crate) use playbooks::gather as playbook_files;
pub(crate) use plugs::{Plugs, connect, identity_provider};
pub(crate) use ports::{SystemClock, SystemEntropy};
pub use rehearsal::Rehearsal;
pub(crate) use reread::{Reading, reading};
pub(crate) use sources::mapping;

/// Builds the console's routes once there is an engine to look at.
pub(crate) type Console = Box<dyn FnOnce(&Engine, Shown) -> axum::Router + Send>;

/// What the console shows of the server, and has done by it.
pub(crate) struct Shown {
    candidates: Candidates,
    received: Received,
    polls: crate::poll::Meters,
    keys: Renewals,
    again: Again,
    used: Used,
    probe: Arc<dyn console::Probe>,
}

/// The console at the configured address.
pub(crate) fn console(config: &Config, oidc: Option<Arc<Oidc>>) -> Console {
    let (public_url, lab) = (config.server.public_url.clone(), config.server.lab);
    Box::new(move |engine, shown| match People::new(engine.clone(), &public_url) {
        Ok(people) => {
            let Shown { candidates, received, polls, keys, again, used, probe } = shown;
            console::router(ConsoleState {
                engine: engine.clone(),
                people,
                public_url,
                lab,
                candidates,
                refusals: console::Refusals::default(),
                received,
                polls,
                keys,
                again,
                used,
                tries: console::Tries::new(probe),
                oidc,
                strangers: console::Strangers::default(),
            })
        }
        Err(problem) => {
            tracing::error!("There is no console: {problem}");
            axum::Router::new()
        }
    })
}

/// What a Quell is started with.
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) secrets: Secrets,
    pub(crate) scrubber: Scrubber,
    /// Connections, or what stands for them.
    pub(crate) plugs: Plugs,
    pub(crate) console: Option<Console>,
    /// How the settings are read again, if they can be.
    pub(crate) reading: Option<Reading>,
}

/// Why Quell did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BootError {
    #[error("there is no data folder at `{}`: `quell init` makes one", .0.display())]
    NoFolder(PathBuf),
    #[error("the data folder `{}` holds no deployment: run `quell init` with a new folder", .0.display())]
    NoDeployment(PathBuf),
    #[error("`server.lab` is {settings}, but the deployment in `{}` was made with {deployment}, and stays so: use another `store.path`", path.display())]
    Lab { path: PathBuf, settings: bool, deployment: bool },
    #[error("the key in `{}` signs as `{found}`, but this deployment's checkpoints are signed as `{wanted}`: put its own key back, or restore a backup, which makes a key of its own", path.join("keys").display())]
    Key { path: PathBuf, found: String, wanted: String },
    #[error("the source `{source_id}` cannot be used: {why}")]
    Source { source_id: String, why: String },
    #[error("the connections cannot be used:\n{}", .0.join("\n"))]
    Connections(Vec<String>),
    #[error("playbooks have problems")]
    Playbooks(Vec<Diagnostic>),
    #[error("could not read playbooks from `{}`", path.display())]
    PlaybookFiles { path: PathBuf, source: std::io::Error },
    #[error("mappings have problems")]
    Mapping(Vec<Diagnostic>),
    #[error("could not read the mapping `{}`", path.display())]
    MappingFile { path: PathBuf, source: std::io::Error },
    #[error("could not listen on {address}: is another Quell running there?")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Starts Quells.
pub(crate) struct Quell;

/// A Quell that is up.
pub(crate) struct Running {
    pub(crate) engine: Engine,
    /// The same routes, to be called without a socket.
    #[cfg(test)]
    pub(crate) router: axum::Router,
    store: Arc<DiskStore>,
    rereads: Arc<dyn Rereads>,
    closing: watch::Sender<bool>,
    served: oneshot::Receiver<()>,
}

impl Quell {
    /// Opens the folder, brings everything back to where it was, and serves.
    pub(crate) async fn start(settings: Settings) -> Result<Running, BootError> {
        let Settings { config, clock, entropy, secrets, scrubber, plugs, console, reading } =
            settings;
        let (store, state) = open_and_recall(&config, &clock, &entropy).await?;
        let answers = Answers::default();
        let rules = detections::load(&config.store.playbooks)?;
        let recalled =
            recall::windows(&config, &store, rules.clone(), (clock.now(), &state), &answers);
        let recall::Recalled { detector, tail, known } = recalled.await?;
        let sources = sources::ready(&config, &secrets, &scrubber)?;
        let received = sources::received(&sources, &config);
        let (metrics, candidates, used) = (Metrics::new(), Candidates::default(), Used::default());
        let ports = ports(&store, &metrics, (clock, entropy), &plugs);
        let engine = wake(&config, ports, state, detector).await?;
        let read = playbooks::load(&config, &engine, &plugs.signatures, &candidates).await?;
        engine.start();
        recall::weigh(&engine, &config, tail).await?;
        let (closing, closed) = watch::channel(false);
        let polls = polls::begin(&engine, &config, &sources, &plugs.pull, (known, &closed));
        let keys = keys::begin(&engine, &sources, &store, &closed).await?;
        let turn: keeper::Turn = Arc::new(Semaphore::new(1));
        chores::begin(&engine, &store, &metrics, &config.store, (&turn, &closed));
        let notices = tell(&engine, &config, &closed);
        let sources = Roster::new(sources);
        let again = again(&engine, &store, (&sources, config.server.lab), (&answers, &received));
        let now = reread::Now::new(config.clone(), rules, read);
        let how = (reading, secrets, scrubber);
        let rereads = rereads(&engine, &plugs, how, (&candidates, &sources, &received), now);
        let api = Api::new(server::Parts {
            engine: engine.clone(),
            sources,
            signatures: plugs.signatures,
            metrics,
            polls: polls.clone(),
            keys: keys.clone(),
            notices,
            candidates: candidates.clone(),
            lab: config.server.lab,
            closing: closed.clone(),
            answers,
            received: received.clone(),
            again: again.clone(),
            used: used.clone(),
            rereads: rereads.clone(),
            files: Arc::new(keeper::Keeper::new(store.clone(), engine.ports().clock.clone(), turn)),
        });
        let shown = Shown { candidates, received, polls, keys, again, used, probe: plugs.probe };
        let router = server::router(api, console.map(|build| build(&engine, shown)));
        let served = serve(&engine, config.server.listen, router.clone(), closed).await?;
        Ok(Running {
            engine,
            #[cfg(test)]
            router,
            store,
            rereads,
            closing,
            served,
        })
    }
}

impl Running {
    /// Reads the settings again and takes what is only about intake. What came of it is logged.
    pub(crate) async fn reread(&self, by: &str) -> Result<Reread, Unread> {
        self.rereads.reread(by).await
    }

    /// Takes nothing in any more, finishes what is under way, and closes the folder.
    pub(crate) async fn stop(self) -> Result<(), StoreError> {
        self.closing.send_replace(true);
        let patience = std::time::Duration::from_secs(20);
        if tokio::time::timeout(patience, self.served).await.is_err() {
            tracing::warn!("Left requests unfinished that took longer than {patience:?}");
        }
        self.engine.stop().await;
        self.store.close().await?;
        tracing::info!("Stopped");
        Ok(())
    }
}

/// Tells people, if there is anybody to tell, and asks the pager whose turn it is, if there is one.
fn tell(engine: &Engine, config: &Config, closed: &watch::Receiver<bool>) -> notify::Meters {
    let meters = notify::Meters::default();
    let now = engine.now();
    for (name, why) in engine.read(|core| unready(core, &engine.policy(), now)) {
        tracing::warn!("`{name}` has a turn on call to come, and {why}");
    }
    let tickets = engine.ports().catalogue.connections_for("ticket.comment");
    let options = config.notified().with_tickets(tickets);
    if !options.channels.is_empty() {
        let (own, until) = (engine.clone(), closed.clone());
        let how = (config.server.public_url.clone(), meters.clone());
        engine.tasks().spawn(async move { notify::follow(own, options, how, until).await });
    }
    if let Some(pager) = config.oncall.pager.clone() {
        let (own, until) = (engine.clone(), closed.clone());
        let (every, known) = (config.oncall.refresh, config.known_to_pager());
        engine
            .tasks()
            .spawn(async move { notify::follow_pager(own, pager, every, known, until).await });
    }
    meters
}

/// What the engine calls through.
fn ports(
    store: &Arc<DiskStore>,
    metrics: &Metrics,
    (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
    plugs: &Plugs,
) -> Ports {
    Ports {
        store: Arc::new(timed::Timed::new(store.clone(), metrics.clone())),
        evidence: store.evidence(),
        clock,
        entropy,
        catalogue: plugs.catalogue.clone(),
        actions: plugs.actions.clone(),
        directory: plugs.directory.clone(),
    }
}

/// What judges refused deliveries again, with those that earlier processes kept.
fn again(
    engine: &Engine,
    store: &DiskStore,
    (sources, lab): (&Roster, bool),
    (answers, received): (&Answers, &Received),
) -> Again {
    let shelf = Refused::open(&store.path().join("refused"), engine.now());
    let heard = (answers.clone(), received.clone());
    Again::new(engine.clone(), (sources.clone(), lab), heard, Arc::new(shelf))
}

/// Opens the data folder and reads the state. Damage in the index shows as late as when a row is read: the
/// index is then set aside like one that could not be opened.
async fn open_and_recall(
    config: &Config,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<(Arc<DiskStore>, State), BootError> {
    let store = open(config, clock, entropy, false).await?;
    let why = match engine::recall(&store).await {
        Ok(state) => {
            is_ours(config, &state, &store)?;
            return Ok((Arc::new(store), state));
        }
        Err(error) => error,
    };
    tracing::warn!("Set the index aside and makes it anew from the journal: {why}");
    store.close().await?;
    drop(store);
    let store = open(config, clock, entropy, true).await?;
    let state = engine::recall(&store).await?;
    is_ours(config, &state, &store)?;
    Ok((Arc::new(store), state))
}

/// The engine, with what guards everybody settled and its sources known.
async fn wake(
    config: &Config,
    ports: Ports,
    state: State,
    detector: Detector,
) -> Result<Engine, BootError> {
    let engine = Engine::new(ports, config.policy_with_rota(), state, detector);
    engine.settle_guardrails(config.guardrails(), config.server.lab).await?;
    engine.learn_sources(config.sources.iter().map(|(id, source)| source.view(id)));
    Ok(engine)
}

/// What reads the settings again.
fn rereads(
    engine: &Engine,
    plugs: &Plugs,
    (reading, secrets, scrubber): (Option<Reading>, Secrets, Scrubber),
    (candidates, roster, received): (&Candidates, &Roster, &Received),
    now: reread::Now,
) -> Arc<dyn Rereads> {
    let parts = reread::Parts {
        reading,
        engine: engine.clone(),
        secrets,
        scrubber,
        signatures: plugs.signatures.clone(),
        candidates: candidates.clone(),
        roster: roster.clone(),
        received: received.clone(),
    };
    Arc::new(reread::Rereader::new(parts, now))
}

/// Opens the data folder. A lab makes its own; a real deployment is made by `quell init`.
async fn open(
    config: &Config,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
    fresh_index: bool,
) -> Result<DiskStore, BootError> {
    let path = config.store.path.clone();
    if !Folder::exists(&path) {
        if !config.server.lab {
            return Err(BootError::NoFolder(path));
        }
        found(&path, true, clock, &**entropy).await?;
    }
    let reserve = config.store.reserve_mib << 20;
    let mut options = Options { fresh_index, reserve, ..Options::new(clock.clone()) };
    options.journal.quick = true;
    let (store, report) = off_runtime(move || Folder::open(&path, options)).await?;
    if let Some(torn) = &report.torn {
        tracing::warn!(
            "Cut what a power loss left half-written: {torn:?}; none of it was acknowledged"
        );
    }
    if let IndexState::SetAside { to, why } = &report.index {
        tracing::warn!("Set the index aside as `{to}` and makes it anew from the journal: {why}");
    }
    tracing::info!(head = report.head, projected = report.projected, "Opened the data folder");
    Ok(store)
}

/// Runs what blocks where it may.
async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(StoreError::Read(format!("opening the store failed: {e}"))))
}

/// Whether the settings and the key are the deployment's own.
fn is_ours(config: &Config, state: &State, store: &DiskStore) -> Result<(), BootError> {
    let path = store.path().to_owned();
    match &state.deployment {
        None => Err(BootError::NoDeployment(path)),
        Some(made) if made.lab != config.server.lab => {
            Err(BootError::Lab { path, settings: config.server.lab, deployment: made.lab })
        }
        // What another key signs nobody can prove afterwards.
        Some(made) if made.key != store.key() => {
            Err(BootError::Key { path, found: store.key(), wanted: made.key.clone() })
        }
        Some(_) => Ok(()),
    }
}

async fn serve(
    engine: &Engine,
    address: SocketAddr,
    router: axum::Router,
    mut closed: watch::Receiver<bool>,
) -> Result<oneshot::Receiver<()>, BootError> {
    let refused = |source| BootError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let addr = listener.local_addr().map_err(refused)?;
    let (done, served) = oneshot::channel();
    engine.tasks().spawn(async move {
        let until = async move {
            // The sender is gone only if the process is.
            _ = closed.wait_for(|closing| *closing).await;
        };
        let ended = axum::serve(listener, router).with_graceful_shutdown(until).await;
        if let Err(error) = ended {
            tracing::error!("The server ended: {error}");
        }
        _ = done.send(());
    });
    tracing::info!("Began to serve on {addr}");
    Ok(served)
}

#[cfg(test)]
mod across;
#[cfg(test)]
mod api_tests;
#[cfg(test)]
mod doors_tests;
#[cfg(test)]
mod doubt;
#[cfg(test)]
mod keys_tests;
#[cfg(test)]
mod oncall_tests;
#[cfg(test)]
mod polls_tests;
#[cfg(test)]
mod reread_tests;
#[cfg(test)]
mod retention_tests;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod sources_tests;
#[cfg(test)]
mod story_tests;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod told;
#[cfg(test)]
mod told_themselves;
#[cfg(test)]
mod vendors;
