//! `quell lab`: the simulated tenant on a listener, with the configuration that reaches it.

use anyhow::Context as _;
use clap::Args as ClapArgs;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::Verdict;
use super::output::Output;
use crate::app::ports::SystemClock;
use crate::engine::ports::Clock as _;
use crate::lab::Lab;
use crate::lab::tenant::Tenant;

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Where it listens; only loopback addresses are sensible.
    #[arg(long, default_value = "127.0.0.1:8088", value_name = "ADDR")]
    listen: SocketAddr,
    /// Ordinary people to add, `person-0001@lab.example` and so on.
    #[arg(long, default_value_t = 0, value_name = "N")]
    people: usize,
    /// Answer as fast as possible: none of the vendors' limits.
    #[arg(long)]
    without_limits: bool,
    /// Write the `[connections]` that reach it to this file.
    #[arg(long, value_name = "FILE")]
    write_config: Option<PathBuf>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> anyhow::Result<Verdict> {
    let runtime = tokio::runtime::Runtime::new().context("could not start")?;
    runtime.block_on(serve(args, output))?;
    Ok(Verdict::Fine)
}

async fn serve(args: &Args, output: &mut Output) -> anyhow::Result<()> {
    let tenant = Tenant::new("lab").crowd(args.people);
    let tenant = if args.without_limits { tenant.without_limits() } else { tenant };
    let lab = Lab::new(&tenant, Arc::new(|| SystemClock.now()));
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("could not listen on {}", args.listen))?;
    let base = format!("http://{}", listener.local_addr()?);
    if let Some(file) = &args.write_config {
        std::fs::write(file, sections(&lab, &base)?)
            .with_context(|| format!("could not write {}", file.display()))?;
    }
    output.data(&format!("The lab listens on {base}; what happened in it: {base}/lab/oracle\n"))?;
    axum::serve(listener, lab.router())
        .with_graceful_shutdown(async {
            // Without a signal handler there is only the hard way to stop.
            _ = tokio::signal::ctrl_c().await;
        })
        .await
        .context("the lab ended")
}

/// The lab's connections as TOML.
pub(super) fn sections(lab: &Lab, base: &str) -> anyhow::Result<String> {
    let all: serde_json::Map<String, Value> =
        lab.sections(base).into_iter().map(|(name, section)| (name.to_owned(), section)).collect();
    let root = serde_json::json!({ "connections": all });
    toml::to_string(&root).context("could not write the lab's connections as TOML")
}
