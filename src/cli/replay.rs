//! `quell replay FILE…`: sends recorded evidence again, or only runs the detections over it.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::client::{Client, ServerArgs, block_on};
use super::output::Output;
use super::{Format, Verdict};
use crate::app::SystemClock;
use crate::engine::ports::Clock as _;
use crate::intake::{self, Kind};
use crate::model::time::Time;

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
    if args.sweep {
        let truth = args.truth.as_deref().map(super::sweep::truth).transpose()?;
        let picture = args.picture.as_deref();
        return super::sweep::run(&records, &texts, truth.as_deref(), picture, args.format, output);
    }
    let told =
        if args.detect_only { detect(&records, &texts)? } else { send(args, &records, &texts)? };
    match args.format {
        Format::Json => output.json(&told)?,
        Format::Text => tell(args, &told, output)?,
    }
    Ok(Verdict::Fine)
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

fn detect(records: &intake::Format, texts: &Texts<'_>) -> anyhow::Result<Value> {
    let mut tables = Vec::new();
    for (path, bytes) in texts {
        let table = crate::detect::backtest(records.clone(), bytes)
            .with_context(|| unread(records.kind, path))?;
        let mut table = serde_json::to_value(table)?;
        table["file"] = path.display().to_string().into();
        tables.push(table);
    }
    Ok(Value::Array(tables))
}

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
        let parsed = intake::parse(records.clone(), bytes, now)
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

fn tell(args: &Args, told: &Value, output: &mut Output) -> anyhow::Result<()> {
    for one in told.as_array().into_iter().flatten() {
        let file = one["file"].as_str().unwrap_or_default();
        let incidents = one["incidents"].as_array().map_or(&[][..], Vec::as_slice);
        if args.detect_only {
            output.data(&format!(
                "{file}: {} records, {} understood, {} incidents\n",
                one["records"],
                one["understood"],
                incidents.len()
            ))?;
            for line in incidents {
                let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
                output.data(&format!(
                    "  {}  {}  {}  {}\n",
                    text("first"),
                    text("stage"),
                    text("subject"),
                    text("reason")
                ))?;
            }
            continue;
        }
        let rejected = one["rejected"].as_array().map_or(0, Vec::len);
        output.data(&format!(
            "{file}: {} accepted, {rejected} rejected, {} incidents{}\n",
            one["accepted"],
            incidents.len(),
            if one["duplicate"] == true { ", sent before" } else { "" },
        ))?;
    }
    Ok(())
}
