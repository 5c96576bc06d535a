//! `quell replay FILE…`: sends recorded evidence again, or only runs the detections over it.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::client::{Client, ServerArgs, block_on};
use super::output::Output;
use super::{Format, Verdict};
use crate::app::SystemClock;
use crate::detect;
use crate::engine::ports::Clock as _;
use crate::intake::{self, Kind, Parsed};
use crate::model::time::Time;

/// Records with problems that are named, of each file.
const NAMED: usize = 5;
/// Longest text that one compressed file may hold.
const INFLATED_MAX: u64 = 1 << 30;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// JSON, NDJSON or CSV, as the source sends or exports it.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// What the files hold: events, alerts, reports, okta, entra, a product of `quell mapping list` …
    #[arg(long, value_name = "KIND")]
    source: Kind,
    /// The file that describes the records, where `--source mapping` says so.
    #[arg(long, value_name = "FILE", required_if_eq("source", "mapping"))]
    mapping: Option<PathBuf>,
    /// Where to send it; without it, to `--url`.
    #[arg(long, conflicts_with = "detect_only", value_name = "URL")]
    to: Option<url::Url>,
    /// Send nothing: print what detection makes of it.
    #[arg(long)]
    detect_only: bool,
    /// Send nothing: try other thresholds, and count what each would open.
    #[arg(long, conflicts_with_all = ["to", "detect_only", "shift_to_now"])]
    sweep: bool,
    /// Known attacks, as CSV with the columns subject, first and last.
    #[arg(long, requires = "sweep", value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Where to draw what was counted, as HTML.
    #[arg(long, requires = "sweep", value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Move the records' times so that the last one is now. Lab deployments only.
    #[arg(long, conflicts_with = "detect_only")]
    shift_to_now: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, output: &mut Output) -> anyhow::Result<Verdict> {
    let mut texts = Vec::new();
    for path in &args.files {
        let bytes =
            std::fs::read(path).with_context(|| format!("could not read `{}`", path.display()))?;
        texts.push((path.as_path(), inflated(bytes, path)?));
    }
    let mapping = match args.mapping.as_deref().map(super::mapping::read).transpose()? {
        Some(Err(problems)) => return super::config::report(&problems, Format::Text, output),
        Some(Ok(mapping)) => Some(mapping),
        None => None,
    };
    let records = intake::Format { kind: args.source, mapping };
    if args.sweep || args.detect_only {
        let log = Log::read(&records, &texts)?;
        if args.sweep {
            let picture = args.picture.as_deref();
            super::sweep::run(log.all, args.truth.as_deref(), picture, args.format, output)?;
        } else {
            judge(log.all, &log.files, args.format, output)?;
        }
        return misread(&log.files, args.source, output);
    }
    let told = send(args, &records, &texts)?;
    match args.format {
        Format::Json => output.json(&told)?,
        Format::Text => tell(&told, output)?,
    }
    Ok(Verdict::Fine)
}

/// All files as one log: a burst may begin in one and end in the next.
struct Log {
    all: Parsed,
    files: Vec<FileRead>,
}

/// What was made of one of its files.
struct FileRead {
    name: String,
    records: usize,
    understood: usize,
    irrelevant: usize,
    /// Position of the record, counted from 1, and why.
    problems: Vec<(usize, String)>,
}

impl Log {
    fn read(records: &intake::Format, texts: &Texts<'_>) -> anyhow::Result<Self> {
        let mut log = Self { all: Parsed::default(), files: Vec::new() };
        for (path, bytes) in texts {
            let parsed = intake::parse_file(records.clone(), bytes, detect::LATER)
                .with_context(|| unread(records.kind, path))?;
            let problems = parsed.problems.iter().map(|(n, why)| (n + 1, why.to_string()));
            log.files.push(FileRead {
                name: path.display().to_string(),
                records: parsed.total(),
                understood: parsed.understood,
                irrelevant: parsed.irrelevant.len(),
                problems: problems.collect(),
            });
            log.all.join(parsed);
        }
        Ok(log)
    }
}

/// What detection makes of all of it.
fn judge(
    all: Parsed,
    files: &[FileRead],
    format: Format,
    output: &mut Output,
) -> anyhow::Result<()> {
    let table = detect::judge(all);
    if format == Format::Json {
        let mut told = serde_json::to_value(table)?;
        let file = |f: &FileRead| {
            let problems = f.problems.iter().map(|(n, why)| json!({"record": n, "problem": why}));
            json!({"file": f.name, "records": f.records, "understood": f.understood,
                "irrelevant": f.irrelevant, "problems": problems.collect::<Vec<_>>()})
        };
        told["files"] = files.iter().map(file).collect();
        return output.json(&told);
    }
    for file in files {
        output.data(&format!(
            "{}: {} records, {} understood, {} irrelevant, {} with problems\n",
            file.name,
            file.records,
            file.understood,
            file.irrelevant,
            file.problems.len()
        ))?;
    }
    output.data(&format!("{} incidents\n", table.incidents.len()))?;
    for line in &table.incidents {
        let stage = line.stage.name();
        output.data(&format!("  {}  {stage}  {}  {}\n", line.first, line.subject, line.reason))?;
    }
    Ok(())
}

/// Records that could not be read are no all-clear: the first are named, and the command fails.
fn misread(files: &[FileRead], kind: Kind, output: &mut Output) -> anyhow::Result<Verdict> {
    let mut verdict = Verdict::Fine;
    for file in files.iter().filter(|file| !file.problems.is_empty()) {
        verdict = Verdict::Problems;
        output.note(&format!(
            "`{}`: {} of {} records are nothing that {kind} sends, and were not judged:",
            file.name,
            file.problems.len(),
            file.records
        ))?;
        for (n, why) in file.problems.iter().take(NAMED) {
            output.note(&format!("  record {n}: {why}"))?;
        }
    }
    Ok(verdict)
}

/// A file that is compressed with gzip is read as what is in it.
fn inflated(bytes: Vec<u8>, path: &Path) -> anyhow::Result<Vec<u8>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(&*bytes)
        .take(INFLATED_MAX)
        .read_to_end(&mut plain)
        .with_context(|| format!("`{}` is not a complete gzip file", path.display()))?;
    Ok(plain)
}

type Texts<'p> = [(&'p Path, Vec<u8>)];

fn send(args: &Args, records: &intake::Format, texts: &Texts<'_>) -> anyhow::Result<Value> {
    let query = if args.shift_to_now {
        format!("shift_ms={}", shift(records, texts)?)
    } else {
        "replayed=true".to_owned()
    };
    let path = match args.source {
        Kind::Alerts => format!("/v1/alerts?{query}"),
        Kind::Reports => format!("/v1/reports?{query}"),
        kind => format!("/v1/events?kind={kind}&{query}"),
    };
    let client = Client::new(&args.server)?.at(args.to.as_ref());
    block_on(async {
        let mut answers = Vec::new();
        for (file, bytes) in texts {
            let cap = args.source.body_cap();
            let batches = intake::rebatch(records.clone(), bytes, cap, SystemClock.now())
                .with_context(|| unread(args.source, file))?;
            for batch in batches {
                let mut answer = client.post_text(&path, "application/json", batch).await?;
                answer["file"] = file.display().to_string().into();
                answers.push(answer);
            }
        }
        Ok(json!(answers))
    })
}

/// From the newest record of all files to now.
fn shift(records: &intake::Format, texts: &Texts<'_>) -> anyhow::Result<i64> {
    let now = SystemClock.now();
    let mut newest: Option<Time> = None;
    for (path, bytes) in texts {
        let parsed = intake::parse_file(records.clone(), bytes, now)
            .with_context(|| unread(records.kind, path))?;
        newest = newest.max(parsed.records.iter().map(intake::Record::time).max());
    }
    let Some(newest) = newest else {
        bail!("the files hold no record that {} understands", records.kind)
    };
    Ok((now - newest).num_milliseconds())
}

fn unread(kind: Kind, path: &Path) -> String {
    format!("`{}` cannot be read as {kind}", path.display())
}

fn tell(told: &Value, output: &mut Output) -> anyhow::Result<()> {
    for one in told.as_array().into_iter().flatten() {
        let file = one["file"].as_str().unwrap_or_default();
        let incidents = one["incidents"].as_array().map_or(0, Vec::len);
        let rejected = one["rejected"].as_array().map_or(0, Vec::len);
        output.data(&format!(
            "{file}: {} accepted, {rejected} rejected, {incidents} incidents{}\n",
            one["accepted"],
            if one["duplicate"] == true { ", sent before" } else { "" },
        ))?;
    }
    Ok(())
}
