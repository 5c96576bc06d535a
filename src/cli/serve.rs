//! `quell serve`.

use anyhow::Context as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

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
            Ok(BootError::Playbooks(problems)) => report(&problems, Format::Text, output),
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
    let console = Some(app::console(&config));
    let settings = Settings { config, clock, entropy, secrets, scrubber, plugs, console };
    let quell = Box::pin(Quell::start(settings)).await?;
    until_told().await.context("could not listen for signals")?;
    tracing::info!("Began to stop");
    quell.stop().await.context("did not stop cleanly; what was acknowledged is safe")
}

/// Returns on Ctrl-C and on SIGTERM.
async fn until_told() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        told = tokio::signal::ctrl_c() => told,
        _ = terminate.recv() => Ok(()),
    }
}
