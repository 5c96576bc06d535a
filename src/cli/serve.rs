//! `quell serve`.

use anyhow::Context as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::client::block_on;
use super::config::{ConfigArgs, Flag, load, report};
use super::output::Output;
use super::{Format, Verdict};
use crate::app::{self, BootError, Quell, Reading, Settings, SystemClock, SystemEntropy};
use crate::config::{self, Config, Layers};
use crate::connector::outbound;
use crate::engine::ports::{Clock, Entropy};
use crate::secret::Scrubber;
use crate::telemetry;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to listen.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> anyhow::Result<Verdict> {
    let data = args.data.as_ref().map(|d| ("store.path", d.display().to_string(), "--data"));
    let listen = args.listen.map(|l| ("server.listen", l.to_string(), "--listen"));
    let flags: Vec<Flag> = data.into_iter().chain(listen).collect();
    let loaded = match load(&args.config, flags.clone())? {
        Ok(loaded) => loaded,
        Err(problems) => return report(&problems, Format::Text, output),
    };
    let secrets = config::secrets(loaded.config.server.lab);
    let found = config::check(&loaded, &secrets);
    if report(&found, Format::Text, output)? == Verdict::Problems {
        return Ok(Verdict::Problems);
    }
    let file = args.config.config.clone();
    let layers = move || Layers::of_process(file.as_deref(), flags.clone());
    let reading = app::reading(layers, secrets.clone());
    let served = block_on(serve(loaded.config, secrets, reading));
    match served {
        Err(error) => match error.downcast::<BootError>() {
            Ok(BootError::Playbooks(problems) | BootError::Mapping(problems)) => {
                report(&problems, Format::Text, output)
            }
            Ok(other) => Err(other.into()),
            Err(error) => Err(error),
        },
        Ok(()) => Ok(Verdict::Fine),
    }
}

async fn serve(
    config: Config,
    secrets: crate::secret::Sources,
    reading: Reading,
) -> anyhow::Result<()> {
    let scrubber = Scrubber::default();
    telemetry::start(&config.server, &scrubber)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let dial = outbound::dial();
    let reach = app::connect(&config, clock.clone(), entropy.clone(), &secrets, &scrubber, dial)?;
    let plugs = reach.into();
    let oidc = app::identity_provider(&config, &secrets, &scrubber)?;
    let console = Some(app::console(&config, oidc));
    let reading = Some(reading);
    let settings = Settings { config, clock, entropy, secrets, scrubber, plugs, console, reading };
    // Asked for before anything is begun: a signal during the start must not end it half-way unsaid.
    let mut told = Signals::listen().context("could not listen for signals")?;
    let quell = tokio::select! {
        started = Box::pin(Quell::start(settings)) => started?,
        () = told.stop_asked() => {
            tracing::info!("Stopped before it served");
            return Ok(());
        }
    };
    while told.next().await == Told::Reread {
        // What came of it is in the log.
        drop(quell.reread("SIGHUP").await);
    }
    tracing::info!("Began to stop");
    quell.stop().await.context("did not stop cleanly; what was acknowledged is safe")
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Stop,
    Reread,
}

/// Ctrl-C and SIGTERM; SIGHUP.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// What the next one asks for. Several of a kind that were not looked at are one.
    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.terminate.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Reread,
        }
    }

    /// Returns when it is to stop. What asks for something else meanwhile is looked at later.
    async fn stop_asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
