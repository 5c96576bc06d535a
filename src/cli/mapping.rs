//! `quell mapping list|show|check`: sources that a file describes.

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::report;
use super::output::Output;
use super::table::columns;
use super::{Format, Verdict};
use crate::intake::{self, Kind, Mapping, Record};
use crate::model::time::{Time, rfc3339};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the mappings that come with Quell; each is a kind of source.
    List {
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print one of them, to begin a mapping of your own with.
    Show { name: String },
    /// Check a mapping, and show what it makes of records.
    Check {
        mapping: PathBuf,
        /// Records as the product sends them.
        records: Option<PathBuf>,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

pub(super) fn run(command: &Command, output: &mut Output) -> anyhow::Result<Verdict> {
    match command {
        Command::List { format } => list(*format, output),
        Command::Show { name } => {
            let Some((_, _, text)) = intake::shipped_mappings().find(|(known, ..)| known == name)
            else {
                bail!(
                    "no mapping `{name}` comes with Quell: `quell mapping list` shows those that do"
                );
            };
            output.data(text)?;
            Ok(Verdict::Fine)
        }
        Command::Check { mapping, records, format } => {
            let mapping = match read(mapping)? {
                Ok(mapping) => mapping,
                Err(problems) => return report(&problems, *format, output),
            };
            match records {
                Some(records) => show(mapping, records, *format, output),
                None => report(&[], *format, output),
            }
        }
    }
}

/// A mapping from its file; the inner error is what is wrong with what is written there.
pub(super) fn read(
    path: &Path,
) -> anyhow::Result<Result<Arc<Mapping>, Vec<crate::diagnostic::Diagnostic>>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("could not read `{}`", path.display()))?;
    Ok(intake::read_mapping(&path.display().to_string(), &text).map(Arc::new))
}

fn list(format: Format, output: &mut Output) -> anyhow::Result<Verdict> {
    let all: Vec<(&str, &str)> =
        intake::shipped_mappings().map(|(name, title, _)| (name, title)).collect();
    match format {
        Format::Json => {
            let all = all.iter().map(|(name, title)| json!({"kind": name, "title": title}));
            output.json(&all.collect::<Value>())?;
        }
        Format::Text => {
            let rows =
                all.iter().map(|(name, title)| vec![(*name).to_owned(), (*title).to_owned()]);
            output.data(&columns(&["KIND", "TITLE"], &rows.collect::<Vec<_>>()))?;
        }
    }
    Ok(Verdict::Fine)
}

fn show(
    mapping: Arc<Mapping>,
    records: &Path,
    format: Format,
    output: &mut Output,
) -> anyhow::Result<Verdict> {
    let bytes = std::fs::read(records)
        .with_context(|| format!("could not read `{}`", records.display()))?;
    let source = intake::Format { kind: Kind::Mapping, mapping: Some(mapping) };
    let parsed = intake::parse_file(source, &bytes, Time::MAX_UTC)
        .with_context(|| format!("`{}` cannot be read by the mapping", records.display()))?;
    if format == Format::Json {
        let facts: Vec<Value> = parsed.records.iter().map(fact).collect::<Result<_, _>>()?;
        let irrelevant =
            parsed.irrelevant.iter().map(|(at, why)| json!({"record": at, "why": why}));
        let problems = parsed
            .problems
            .iter()
            .map(|(at, problem)| json!({"record": at, "why": problem.to_string()}));
        output.json(&json!({"facts": facts, "irrelevant": irrelevant.collect::<Value>(),
            "problems": problems.collect::<Value>()}))?;
    } else {
        let rows: Vec<Vec<String>> = parsed.records.iter().map(line).collect();
        output.data(&columns(&["TIME", "WHO", "WHAT", "FROM", "SAYS"], &rows))?;
        for (at, why) in &parsed.irrelevant {
            output.data(&format!("record {at}: irrelevant: {why}\n"))?;
        }
        for (at, problem) in &parsed.problems {
            output.data(&format!("record {at}: unusable: {problem}\n"))?;
        }
        output.data(&format!(
            "{} understood, {} irrelevant, {} unusable\n",
            parsed.understood,
            parsed.irrelevant.len(),
            parsed.problems.len()
        ))?;
    }
    Ok(if parsed.problems.is_empty() { Verdict::Fine } else { Verdict::Problems })
}

fn fact(record: &Record) -> serde_json::Result<Value> {
    match record {
        Record::Event(event) => Ok(json!({"event": serde_json::to_value(event)?})),
        Record::Alert(alert) => Ok(json!({"alert": serde_json::to_value(alert)?})),
        Record::Report(report) => Ok(json!({"report": serde_json::to_value(report)?})),
    }
}

fn line(record: &Record) -> Vec<String> {
    let account = record.account();
    let (what, ip, says) = match record {
        Record::Event(e) => (e.words(), e.ip, e.message.clone()),
        Record::Alert(a) => {
            (format!("{} {}", a.kind.name(), a.stage.name()), None, a.reason.clone())
        }
        Record::Report(r) => ("report".to_owned(), None, r.text.clone()),
    };
    let who = account.login.clone().or_else(|| account.provider_id.clone()).unwrap_or_default();
    let from = ip.map(|ip| ip.to_string()).unwrap_or_default();
    vec![rfc3339(record.time()), who, what, from, says]
}
