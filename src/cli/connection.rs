//! `quell connection test`: each credential makes a harmless call, the way an incident would.

use anyhow::bail;
use clap::Subcommand;
use serde_json::Value;
use std::sync::Arc;

use super::channels;
use super::client::block_on;
use super::config::{ConfigArgs, load, report};
use super::output::Output;
use super::table::columns;
use super::{Format, Verdict};
use crate::app::{self, SystemClock, SystemEntropy};
use crate::config;
use crate::connector::outbound;
use crate::connector::probe::Report;
use crate::model::id::ConnectionId;
use crate::secret::Scrubber;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Try every credential of the configured connections, for ordinary and for privileged accounts.
    Test {
        /// One connection; without it, all of them.
        name: Option<String>,
        #[command(flatten)]
        config: ConfigArgs,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

pub(super) fn run(command: &Command, output: &mut Output) -> anyhow::Result<Verdict> {
    let Command::Test { name, config, format } = command;
    let loaded = match load(config, Vec::new())? {
        Ok(loaded) => loaded,
        Err(problems) => return report(&problems, *format, output),
    };
    let known: Vec<ConnectionId> = loaded.config.connections.keys().cloned().collect();
    let asked: Vec<ConnectionId> = match name {
        Some(name) if !known.iter().any(|k| k.as_str() == name) => {
            let names: Vec<&str> = known.iter().map(ConnectionId::as_str).collect();
            bail!("there is no connection `{name}`; there are {}", names.join(", "));
        }
        Some(name) => vec![name.as_str().into()],
        None => known,
    };
    let secrets = config::secrets(loaded.config.server.lab);
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let scrubber = Scrubber::default();
    let reach =
        app::connect(&loaded.config, clock, entropy, &secrets, &scrubber, outbound::dial())?;
    let mut reports = Vec::new();
    for id in &asked {
        reports.extend(block_on(async { Ok(reach.connections().test(id).await) })?);
    }
    let told = block_on(async { Ok(channels::told(&loaded.config, &reach, &reports).await) })?;
    let works = reports.iter().all(Report::works) && told.works;
    if *format == Format::Json {
        output.json(&Value::Array(reports.iter().map(|r| json(&loaded.config, r)).collect()))?;
    } else {
        show(&reports, output)?;
        channels::show(&told, output)?;
    }
    Ok(if works { Verdict::Fine } else { Verdict::Problems })
}

/// A report, with the channels that are told through its connection.
fn json(config: &config::Config, report: &Report) -> Value {
    let own = config.notify.channels.iter().filter(|(_, c)| c.connection == report.connection);
    let names: Vec<&String> = own.map(|(name, _)| name).collect();
    let mut value = serde_json::to_value(report).unwrap_or_default();
    if !names.is_empty() {
        value["channels"] = serde_json::json!(names);
    }
    value
}

fn show(reports: &[Report], output: &mut Output) -> anyhow::Result<()> {
    let rows: Vec<Vec<String>> = reports
        .iter()
        .flat_map(|r| r.classes.iter().map(move |class| (r, class)))
        .map(|(r, class)| {
            let said = class.problem.clone().unwrap_or_default();
            let works = if class.works { "works" } else { "FAILS" };
            vec![
                r.connection.to_string(),
                class.of.to_owned(),
                class.credential.to_owned(),
                works.to_owned(),
                said,
            ]
        })
        .collect();
    output.data(&columns(&["CONNECTION", "ACCOUNTS", "CREDENTIAL", "RESULT", ""], &rows))?;
    for report in reports {
        output.data(&format!("\n{} ({}) needs:\n", report.connection, report.connector))?;
        for (right, actions) in &report.permissions {
            output.data(&format!("  {right}: {}\n", actions.join(", ")))?;
        }
        for (setting, capabilities) in &report.unset {
            output.data(&format!(
                "  without the setting `{setting}` there is no {}\n",
                capabilities.join(", ")
            ))?;
        }
    }
    Ok(())
}
