//! `quell detect explain`: why something was seen, or was not.

use anyhow::Context as _;
use chrono::NaiveDate;
use clap::Subcommand;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::config::report;
use super::output::Output;
use super::{Format, Verdict};
use crate::app::BootError;
use crate::detect::{Explained, explain};
use crate::intake::{self, Kind};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show one person's day in a file of records: what was seen, which detections fired, what the others lacked.
    Explain(Explain),
}

#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    /// JSON, NDJSON or CSV, as the source sends or exports it. What is before the day teaches what is usual.
    file: PathBuf,
    /// What the file holds.
    #[arg(long, value_name = "KIND")]
    source: Kind,
    /// The file that describes the records, where `--source mapping` says so.
    #[arg(long, value_name = "FILE", required_if_eq("source", "mapping"))]
    mapping: Option<PathBuf>,
    /// Whom: a sign-in name, or the provider's id.
    #[arg(long)]
    person: String,
    /// Which day, in UTC; all of them without it.
    #[arg(long, value_name = "YYYY-MM-DD")]
    day: Option<NaiveDate>,
    /// A folder of playbooks, whose detections are laid over those that come with Quell.
    #[arg(long, value_name = "DIR")]
    playbooks: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(command: &Command, output: &mut Output) -> anyhow::Result<Verdict> {
    let Command::Explain(args) = command;
    let folder = args.playbooks.clone().unwrap_or_default();
    let rules = match crate::app::detections::load(&folder) {
        Err(BootError::Playbooks(problems)) => return report(&problems, args.format, output),
        other => other?,
    };
    let mapping = match args.mapping.as_deref().map(super::mapping::read).transpose()? {
        Some(Err(problems)) => return report(&problems, args.format, output),
        Some(Ok(mapping)) => Some(mapping),
        None => None,
    };
    let bytes = std::fs::read(&args.file)
        .with_context(|| format!("could not read `{}`", args.file.display()))?;
    let records = intake::Format { kind: args.source, mapping };
    let told = explain(records, &bytes, &rules, &args.person, args.day)
        .with_context(|| format!("`{}` cannot be read as {}", args.file.display(), args.source))?;
    match args.format {
        Format::Json => output.json(&serde_json::to_value(&told)?)?,
        Format::Text => output.data(&text(&told))?,
    }
    Ok(Verdict::Fine)
}

fn text(told: &Explained) -> String {
    if told.lines.is_empty() {
        return "Nothing in the file is about this person then.\n".to_owned();
    }
    let mut out = String::new();
    // Writing to a string cannot fail.
    for line in &told.lines {
        _ = writeln!(out, "{}  {}  {}", line.at, line.what, line.from);
        for said in &line.said {
            _ = writeln!(out, "    -> {said}");
        }
    }
    for episode in &told.episodes {
        _ = writeln!(
            out,
            "\n{} to {}: {} failed prompts that count",
            episode.first, episode.last, episode.counted
        );
        for rule in &episode.rules {
            let came = if rule.fires { "fires".to_owned() } else { format!("no: {}", rule.why) };
            _ = writeln!(out, "  {} ({}): {came}", rule.rule, rule.stage.name());
        }
    }
    out
}
