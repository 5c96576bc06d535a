//! The command line: what was typed → what it means → one file per command.
//!
//! Exit 0 = fine, 1 = problems found, 2 = the command could not do its job.
//! Results go to standard output, everything else to standard error, and only
//! `output` writes to either.

mod completions;
mod connector;
mod explain;
mod lab;
mod output;
mod playbook;
mod trial;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use std::process::ExitCode;

use output::Output;

/// Automated response to MFA fatigue: alerts in, verified containment out.
#[derive(Debug, Parser)]
#[command(name = "quell", version, disable_help_subcommand = true)]
struct Cli {
    /// When to use colours.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: ColorWhen,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write, check and draw playbooks.
    #[command(subcommand)]
    Playbook(playbook::Command),
    /// See what connectors can do, and check their manifests.
    #[command(subcommand)]
    Connector(connector::Command),
    /// Run the simulated tenant.
    Lab(lab::Args),
    /// Explain an error code, such as P014.
    Explain(explain::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
}

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum ColorWhen {
    #[default]
    Auto,
    Always,
    Never,
}

/// What a command came to, apart from errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Fine,
    Problems,
}

/// Runs the command that was typed.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    let mut output = Output::new(cli.color);
    let result = match cli.command {
        Command::Playbook(command) => playbook::run(command, &mut output),
        Command::Connector(command) => connector::run(command, &mut output),
        Command::Lab(args) => lab::run(&args, &mut output),
        Command::Explain(args) => explain::run(&args, &mut output),
        Command::Completions(args) => completions::run(&args, Cli::command(), &mut output),
    };
    match result {
        Ok(Verdict::Fine) => ExitCode::SUCCESS,
        Ok(Verdict::Problems) => ExitCode::from(1),
        Err(error) => output.fail(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
