//! `quell serve`.

use anyhow::Context as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::client::block_on;
use super::config::{ConfigArgs, load, report};
use super::output::Output;
use super::{Format, Verdict};
use crate::app::{self, BootError, Quell, Settings, SystemClock, SystemEntropy};
use crate::config::{self, Config};
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
    let loaded = match load(&args.config, data.into_iter().chain(listen).collect())? {
        Ok(loaded) => loaded,
        Err(problems) => return report(&problems, Format::Text, output),
    };
    let secrets = config::secrets(loaded.config.server.lab);
    let found = config::check(&loaded, &secrets);
    if report(&found, Format::Text, output)? == Verdict::Problems {
        return Ok(Verdict::Problems);
    }
    let served = block_on(serve(loaded.config, secrets));
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

async fn serve(config: Config, secrets: crate::secret::Sources) -> anyhow::Result<()> {
    let scrubber = Scrubber::default();
    telemetry::start(&config.server, &scrubber)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let dial = outbound::dial();
    let reach = app::connect(&config, clock.clone(), entropy.clone(), &secrets, &scrubber, dial)?;
    let plugs = reach.into();
    let oidc = app::identity_provider(&config, &secrets, &scrubber)?;
    let console = Some(app::console(&config, oidc));
    let settings = Settings { config, clock, entropy, secrets, scrubber, plugs, console };
    // Asked for before anything is begun: a signal during the start must not end it half-way unsaid.
    let mut told = Signals::listen().context("could not listen for signals")?;
    let quell = tokio::select! {
        started = Box::pin(Quell::start(settings)) => started?,
        () = told.stop_asked() => {
            tracing::info!("Stopped before it served");
            return Ok(());
        }
    };
    told.stop_asked().await;
    tracing::info!("Began to stop");
    quell.stop().await.context("did not stop cleanly; what was acknowledged is safe")
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Returns when one came.
    async fn stop_asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
