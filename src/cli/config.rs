//! `quell config show|check|reload`, and the settings that other commands begin with.

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::PathBuf;

use super::client::{Client, block_on};
use super::lists::How;
use super::output::Output;
use super::{Format, Verdict, table};
use crate::app::SystemClock;
use crate::config::{self, Layers, Loaded};
use crate::diagnostic::{Diagnostic, Severity, to_json};
use crate::engine::ports::Clock as _;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print every setting, and where its value came from.
    Show {
        #[command(flatten)]
        config: ConfigArgs,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Check the settings and report every problem in one go.
    Check {
        #[command(flatten)]
        config: ConfigArgs,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Have a running Quell read its settings again and take what is only about intake, as SIGHUP does.
    ///
    /// Sources, their secrets and mappings, and playbooks are taken. What else has changed is named, and waits for a
    /// restart. With a mistake in any of it nothing changes.
    Reload {
        #[command(flatten)]
        how: How,
    },
}

/// Which file to read.
#[derive(Debug, Default, clap::Args)]
pub(super) struct ConfigArgs {
    /// The file with the settings; `quell.toml` here if there is one.
    #[arg(long, env = "QUELL_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// A key, its value, and the flag that set it.
pub(super) type Flag = (&'static str, String, &'static str);

pub(super) fn run(command: &Command, output: &mut Output) -> anyhow::Result<Verdict> {
    match command {
        Command::Show { config, format } => match load(config, Vec::new())? {
            Ok(loaded) => show(&loaded, *format, output),
            Err(problems) => report(&problems, Format::Text, output),
        },
        Command::Reload { how } => {
            let client = Client::new(&how.server)?;
            let path = "/v1/settings/reload";
            let reread = block_on(async { client.post(path, &Value::Null).await })?;
            table::one(&reread, how.format, output)
        }
        Command::Check { config, format } => {
            let problems = match load(config, Vec::new())? {
                Ok(loaded) => {
                    let secrets = config::secrets(loaded.config.server.lab);
                    let mut problems = config::check(&loaded, &secrets);
                    problems.extend(config::coverage(&loaded, SystemClock.now()));
                    let folder = &loaded.config.store.playbooks;
                    match crate::app::detections::load(folder) {
                        Err(crate::app::BootError::Playbooks(found)) => problems.extend(found),
                        // What cannot be read at all, the start says as well.
                        Err(error) => return Err(error.into()),
                        Ok(_) => {}
                    }
                    for source in loaded.config.sources.values() {
                        match crate::app::mapping(source) {
                            Err(crate::app::BootError::Mapping(found)) => problems.extend(found),
                            Err(error) => return Err(error.into()),
                            Ok(_) => {}
                        }
                    }
                    problems
                }
                Err(problems) => problems,
            };
            report(&problems, *format, output)
        }
    }
}

/// Reads all layers; the inner error is what is wrong with what people wrote.
pub(super) fn load(
    args: &ConfigArgs,
    flags: Vec<Flag>,
) -> anyhow::Result<Result<Loaded, Vec<Diagnostic>>> {
    let named = args.config.as_deref();
    let layers = Layers::of_process(named, flags).with_context(|| {
        let path = named.map_or_else(|| config::FILE.into(), |p| p.display().to_string());
        format!("could not read the settings in `{path}`")
    })?;
    Ok(config::load(&layers))
}

/// Warnings are shown, and are no reason to stop.
pub(super) fn report(
    problems: &[Diagnostic],
    format: Format,
    output: &mut Output,
) -> anyhow::Result<Verdict> {
    match format {
        Format::Json => output.json(&problems.iter().map(to_json).collect())?,
        Format::Text => output.problems(problems)?,
    }
    let wrong = problems.iter().any(|p| p.severity == Severity::Error);
    Ok(if wrong { Verdict::Problems } else { Verdict::Fine })
}

fn show(loaded: &Loaded, format: Format, output: &mut Output) -> anyhow::Result<Verdict> {
    if format == Format::Json {
        let rows = loaded.origins.iter().map(|(key, origin)| {
            let value = value(loaded, key).and_then(|v| serde_json::to_value(hidden(v)).ok());
            json!({ "key": key, "value": value, "origin": origin })
        });
        output.json(&Value::Array(rows.collect()))?;
        return Ok(Verdict::Fine);
    }
    for (key, origin) in &loaded.origins {
        if let Some(value) = value(loaded, key) {
            output.data(&format!("{key} = {}  # {origin}\n", hidden(value)))?;
        }
    }
    Ok(Verdict::Fine)
}

fn value<'l>(loaded: &'l Loaded, key: &str) -> Option<&'l toml::Value> {
    let mut parts = key.split('.');
    let first = loaded.table.get(parts.next()?)?;
    parts.try_fold(first, |at, part| at.get(part))
}

/// `text:` references are the secret itself.
fn hidden(value: &toml::Value) -> toml::Value {
    match value {
        toml::Value::String(text) if text.starts_with("text:") => "text:…".into(),
        toml::Value::Array(items) => toml::Value::Array(items.iter().map(hidden).collect()),
        toml::Value::Table(table) => {
            toml::Value::Table(table.iter().map(|(k, v)| (k.clone(), hidden(v))).collect())
        }
        other => other.clone(),
    }
}
