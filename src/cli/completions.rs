//! `quell completions SHELL`.

use clap_complete::Shell;

use super::Verdict;
use super::output::Output;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which shell the script is for.
    shell: Shell,
}

pub(super) fn run(
    args: &Args,
    mut command: clap::Command,
    output: &mut Output,
) -> anyhow::Result<Verdict> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "quell", &mut script);
    output.data(&String::from_utf8_lossy(&script))?;
    Ok(Verdict::Fine)
}
