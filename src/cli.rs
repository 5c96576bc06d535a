//! The command line: what was typed → what it means → one file per command.
//!
//! Exit 0 = fine, 1 = problems found, 2 = the command could not do its job.
//! Results go to standard output, everything else to standard error, and only
//! `output` writes to either.

mod audit;
mod channels;
mod client;
mod completions;
mod config;
mod connection;
mod connector;
mod contain;
mod delivery;
mod demo;
mod detect;
mod explain;
mod init;
mod lab;
mod lists;
mod mapping;
mod oncall;
mod output;
mod pause;
mod playbook;
mod playbook_run;
mod replay;
mod serve;
mod store;
mod stream;
mod sweep;
mod table;
mod token;
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
    /// Watch a real push-bombing log become a verified containment.
    Demo(demo::Args),
    /// Serve: take deliveries in, contain, answer the API.
    Serve(serve::Args),
    /// Make settings, a data folder, the first passkey's ticket and the first token.
    Init(init::Args),
    /// Print or check the settings.
    #[command(subcommand)]
    Config(config::Command),
    /// Contain a person now.
    Contain(contain::Args),
    /// Send recorded evidence again, or only run the detections over it.
    Replay(replay::Args),
    /// Look at incidents, and ask for their restoration.
    #[command(subcommand)]
    Incident(lists::Incident),
    /// Look at runs.
    #[command(subcommand)]
    Run(lists::Run),
    /// Look at questions to people.
    #[command(subcommand)]
    Approval(lists::Approval),
    /// See who is on call, whose turn is next, and what is wrong with the rota.
    Oncall(oncall::Args),
    /// Prove or export the journal.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Verify, rebuild or measure a data folder.
    #[command(subcommand)]
    Store(store::Command),
    /// Stop all effects at once; a person on the console lets them go on.
    Pause(pause::Args),
    /// Make, list or revoke API tokens.
    #[command(subcommand)]
    Token(token::Command),
    /// Write, check and draw playbooks.
    #[command(subcommand)]
    Playbook(playbook::Command),
    /// See what connectors can do, and check their manifests.
    #[command(subcommand)]
    Connector(connector::Command),
    /// See and check how records of other products are read.
    #[command(subcommand)]
    Mapping(mapping::Command),
    /// See why the detections said something, or nothing.
    #[command(subcommand)]
    Detect(detect::Command),
    /// Look at refused deliveries, and have one judged again.
    #[command(subcommand)]
    Delivery(delivery::Command),
    /// Try the configured connections.
    #[command(subcommand)]
    Connection(connection::Command),
    /// Set up a stream of security event tokens at its transmitter.
    #[command(subcommand)]
    Stream(stream::Command),
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
    // Whatever it writes names people or holds keys: nobody else on the machine reads it.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    let mut output = Output::new(cli.color);
    let result = match cli.command {
        Command::Demo(args) => demo::run(&args, &mut output),
        Command::Serve(args) => serve::run(&args, &mut output),
        Command::Init(args) => init::run(&args, &mut output),
        Command::Config(command) => config::run(&command, &mut output),
        Command::Contain(args) => contain::run(&args, &mut output),
        Command::Replay(args) => replay::run(&args, &mut output),
        Command::Incident(command) => lists::incident(&command, &mut output),
        Command::Run(command) => lists::run(&command, &mut output),
        Command::Approval(command) => lists::approval(&command, &mut output),
        Command::Oncall(args) => oncall::run(&args, &mut output),
        Command::Audit(command) => audit::run(&command, &mut output),
        Command::Store(command) => store::run(&command, &mut output),
        Command::Pause(args) => pause::run(&args, &mut output),
        Command::Token(command) => token::run(&command, &mut output),
        Command::Playbook(command) => playbook::run(command, &mut output),
        Command::Connector(command) => connector::run(command, &mut output),
        Command::Mapping(command) => mapping::run(&command, &mut output),
        Command::Detect(command) => detect::run(&command, &mut output),
        Command::Delivery(command) => delivery::run(&command, &mut output),
        Command::Connection(command) => connection::run(&command, &mut output),
        Command::Stream(command) => stream::run(&command, &mut output),
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
