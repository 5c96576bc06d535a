//! `quell store backup|restore|export|import`: copies of a deployment, and deployments made of copies.

use anyhow::{Context as _, anyhow, bail};
use clap::ValueEnum;
use serde_json::json;
use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::client::{Client, ServerArgs, block_on};
use super::super::output::Output;
use super::super::{Format, Verdict, table};
use crate::app::SystemClock;
use crate::app::copy::{Origin, copy};
use crate::engine::ports::Clock;
use crate::model::entry::Entry;
use crate::people::decisions::Decisions;
use crate::store::{archive, verify};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Backup {
    /// A file that is not there yet, or a folder to put one in.
    #[arg(value_name = "DIR|FILE")]
    to: PathBuf,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Restore {
    /// What `quell store backup` wrote.
    #[arg(value_name = "ARCHIVE")]
    archive: PathBuf,
    /// The data folder to make.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How an export is written.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum ExportFormat {
    /// The journal's lines as they are.
    #[default]
    Ndjson,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Export {
    /// A file that is not there yet.
    #[arg(value_name = "FILE")]
    to: PathBuf,
    #[arg(long, value_enum, default_value_t)]
    format: ExportFormat,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Import {
    /// What `quell store export` wrote, or a data folder whose journal to take.
    #[arg(value_name = "FILE|DIR")]
    from: PathBuf,
    /// The data folder to make.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Take the lines up to this sequence and leave out the rest, damaged or not.
    #[arg(long, value_name = "SEQ")]
    until: Option<u64>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn backup(args: &Backup, output: &mut Output) -> anyhow::Result<Verdict> {
    let into = if args.to.is_dir() { &args.to } else { free(&args.to)? };
    let file = download(&args.server, "/v1/store/backup", into)?;
    let manifest = archive::check(file.path())?;
    let name =
        format!("quell-{}-{}.tar.gz", manifest.made_at.format("%Y%m%dT%H%M%SZ"), manifest.head);
    let to = if args.to.is_dir() { args.to.join(name) } else { args.to.clone() };
    let bytes = put(file, &to)?;
    let told = json!({
        "file": to.display().to_string(),
        "bytes": bytes,
        "made_at": manifest.made_at,
        "head": manifest.head,
        "head_hash": manifest.head_hash,
        "members": manifest.members.len(),
    });
    table::one(&told, args.format, output)
}

pub(super) fn export(args: &Export, output: &mut Output) -> anyhow::Result<Verdict> {
    let ExportFormat::Ndjson = args.format;
    let file = download(&args.server, "/v1/store/export", free(&args.to)?)?;
    let report = verify::audit(file.path(), &[], &mut |_| Ok(()))?;
    if let Some(bad) = report.first_bad {
        bail!("what the server sent is damaged at line {}: {}", bad.place.line, bad.why);
    }
    let bytes = put(file, &args.to)?;
    let told = json!({
        "file": args.to.display().to_string(),
        "bytes": bytes,
        "lines": report.lines,
        "head": report.head,
        "head_hash": report.head_hash,
    });
    table::one(&told, Format::Text, output)
}

pub(super) fn restore(args: &Restore, output: &mut Output) -> anyhow::Result<Verdict> {
    made(Origin::Backup(args.archive.clone()), &args.data, args.format, output)
}

pub(super) fn import(args: &Import, output: &mut Output) -> anyhow::Result<Verdict> {
    let origin = Origin::Journal { from: args.from.clone(), until: args.until };
    made(origin, &args.data, args.format, output)
}

fn made(
    origin: Origin,
    data: &Path,
    format: Format,
    output: &mut Output,
) -> anyhow::Result<Verdict> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let copied = block_on(async {
        let mut decisions = Decisions::default();
        let mut also = |entry: &Entry| decisions.check(entry);
        copy(origin, data, &clock, &mut also).await.map_err(|error| anyhow!(error))
    })
    .context("nothing was made")?;
    let told = json!({
        "data": data.display().to_string(),
        "head": copied.head,
        "head_hash": copied.head_hash,
        "made_at": copied.made_at,
        "checkpoint_key": copied.key,
        "paused": true,
    });
    table::one(&told, format, output)?;
    if format == Format::Text {
        output.data(
            "\nIt starts paused: deliveries are taken in and nothing is done until a person lets effects go on, on the console.\n\
             Serve it only while the original is off for good. Keep the checkpoint key elsewhere, beside the original's.\n",
        )?;
    }
    Ok(Verdict::Fine)
}

/// Refuses a file that is there.
fn free(file: &PathBuf) -> anyhow::Result<&PathBuf> {
    if file.exists() {
        bail!("`{}` is there already: name another", file.display());
    }
    Ok(file)
}

/// An answer as a file beside the place where it will stand, readable by its owner only.
fn download(server: &ServerArgs, path: &str, to: &Path) -> anyhow::Result<tempfile::NamedTempFile> {
    let client = Client::new(server)?;
    let mut file = tempfile::Builder::new()
        .prefix(".quell-")
        .suffix(".part")
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(folder_of(to))
        .with_context(|| format!("could not write to `{}`", folder_of(to).display()))?;
    block_on(client.download(path, file.as_file_mut()))?;
    file.as_file().sync_all().context("could not write what came")?;
    Ok(file)
}

fn folder_of(to: &Path) -> &Path {
    if to.is_dir() {
        return to;
    }
    to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Gives a whole file its name; says how long it is.
fn put(file: tempfile::NamedTempFile, to: &Path) -> anyhow::Result<u64> {
    let bytes = file.as_file().metadata()?.len();
    file.persist_noclobber(to)
        .map_err(|e| e.error)
        .with_context(|| format!("could not write `{}`", to.display()))?;
    File::open(folder_of(to)).and_then(|folder| folder.sync_all()).context("could not sync")?;
    Ok(bytes)
}
