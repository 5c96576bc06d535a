//! `quell demo`: the main job on a real log, with nothing to install.

use clap::Args as ClapArgs;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::Verdict;
use super::output::Output;
use crate::app::demo::{Demo, Finding};

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Decide with a software passkey that exists only here, check everything with the lab's oracle, and end.
    #[arg(long)]
    headless: bool,
    /// Where the console listens; with --headless any free port.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Keep the data folder here, to look at the journal afterwards.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> anyhow::Result<Verdict> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(play(args, output))
}

async fn play(args: &Args, output: &mut Output) -> anyhow::Result<Verdict> {
    let port = if args.headless { 0 } else { 7040 };
    let listen = args.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut demo = Demo::start(listen, args.keep.as_deref()).await?;
    let url = demo.url.clone();
    output.data(&format!("lab and server are up; the console is {url}\n\n"))?;
    let mut say = |line: &str| output.data(&format!("{line}\n"));
    let incident = demo.attack(&mut say).await?;
    if !args.headless {
        let link = demo.invitation("you").await?;
        let second = demo.invitation("colleague").await?;
        say("")?;
        say(
            "The rest waits for you. Enrol a passkey (it stays in this throwaway deployment) and decide:",
        )?;
        say(&format!("  {link}"))?;
        say(
            "Nobody decides what they asked for themselves. A second person, for a restore that you request:",
        )?;
        say(&format!("  {second}"))?;
        say("Stop with Ctrl-C.")?;
        tokio::select! {
            told = demo.go_on(&mut say) => told?,
            _ = tokio::signal::ctrl_c() => {}
        }
        demo.stop().await?;
        return Ok(Verdict::Fine);
    }
    demo.decide(&mut say).await?;
    say("")?;
    say(&demo.times(incident))?;
    let mut findings = demo.contained(incident);
    show(&findings, &mut say)?;
    demo.restore(incident, &mut say).await?;
    let restored = demo.restored(incident);
    show(&restored, &mut say)?;
    findings.extend(restored);
    let failed = findings.iter().filter(|f| !f.holds).count();
    say(&format!("{} of {} checks hold", findings.len() - failed, findings.len()))?;
    demo.stop().await?;
    Ok(if failed == 0 { Verdict::Fine } else { Verdict::Problems })
}

fn show(
    findings: &[Finding],
    say: &mut dyn FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    say("")?;
    say("asked the lab, not Quell:")?;
    for finding in findings {
        say(&format!("  {} {}", if finding.holds { "✓" } else { "✗" }, finding.what))?;
    }
    say("")
}
