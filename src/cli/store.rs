//! `quell store …`: proves, rebuilds and measures a folder that no process serves, and copies one that
//! may be served.

mod copies;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::client::block_on;
use super::output::Output;
use super::{Format, Verdict, table};
use crate::app::SystemClock;
use crate::engine::ports::Store as _;
use crate::engine::state::State;
use crate::store::disk::DiskStore;
use crate::store::folder::{Folder, IndexState, OpenReport, Options};
use crate::store::verify;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Prove that the journal is whole and that the index is what the journal says.
    Verify(On),
    /// Make the index again from the journal.
    Rebuild(On),
    /// Count what is in the folder.
    Stats(On),
    /// Copy everything that a running Quell has into one file.
    Backup(copies::Backup),
    /// Make a data folder of a backup.
    Restore(copies::Restore),
    /// Copy a running Quell's journal, with the hashes that prove it.
    Export(copies::Export),
    /// Make a data folder of an export, or of another folder's journal.
    Import(copies::Import),
}

#[derive(Debug, clap::Args)]
pub(super) struct On {
    /// The data folder.
    #[arg(default_value = "data", value_name = "DIR")]
    folder: PathBuf,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(command: &Command, output: &mut Output) -> anyhow::Result<Verdict> {
    let (on, (told, verdict)) = match command {
        Command::Verify(on) => (on, block_on(check(&on.folder))?),
        Command::Rebuild(on) => (on, block_on(rebuild(&on.folder))?),
        Command::Stats(on) => (on, block_on(stats(&on.folder))?),
        Command::Backup(args) => return copies::backup(args, output),
        Command::Restore(args) => return copies::restore(args, output),
        Command::Export(args) => return copies::export(args, output),
        Command::Import(args) => return copies::import(args, output),
    };
    table::one(&told, on.format, output)?;
    Ok(verdict)
}

fn open(folder: &Path, fresh_index: bool) -> anyhow::Result<DiskStore> {
    open_and_say(folder, fresh_index).map(|(store, _)| store)
}

fn open_and_say(folder: &Path, fresh_index: bool) -> anyhow::Result<(DiskStore, OpenReport)> {
    let options = Options { fresh_index, ..Options::new(Arc::new(SystemClock)) };
    Folder::open(folder, options).context("is a Quell serving it?")
}

async fn check(folder: &Path) -> anyhow::Result<(Value, Verdict)> {
    let mut decisions = crate::people::decisions::Decisions::default();
    let chain = verify::audit(folder, &[], &mut |entry| decisions.check(entry))?;
    if chain.first_bad.is_some() {
        return Ok((json!({ "journal": chain, "index": Value::Null }), Verdict::Problems));
    }
    let (store, opened) = open_and_say(folder, false)?;
    let mut state = State::default();
    verify::fold_journal(&store, |commit| state.apply(commit)).await?;
    let compared = verify::compare_rows(&store, state.all_rows()).await;
    store.close().await?;
    let rows = match compared {
        Ok(rows) => rows,
        // Some of it cannot be read: that is a finding, and no reason to say nothing.
        Err(error) => {
            let help = "`quell store rebuild` makes it anew from the journal";
            let damaged = json!({ "damaged": error.to_string(), "help": help });
            let told = json!({ "journal": chain, "index": damaged, "index_opened": opened.index });
            return Ok((told, Verdict::Problems));
        }
    };
    // One that was set aside is made again at the next start; that it had to be is worth knowing.
    let whole = rows.differences == 0 && !matches!(opened.index, IndexState::SetAside { .. });
    let verdict = if whole { Verdict::Fine } else { Verdict::Problems };
    Ok((json!({ "journal": chain, "index": rows, "index_opened": opened.index }), verdict))
}

async fn rebuild(folder: &Path) -> anyhow::Result<(Value, Verdict)> {
    let store = open(folder, true)?;
    let mut state = State::default();
    loop {
        let commits = store.commits(state.seq, 512).await?;
        if commits.is_empty() {
            break;
        }
        for commit in &commits {
            state.apply(commit);
        }
    }
    let seq = state.seq;
    let rows: Vec<_> = state.all_rows().into_iter().collect();
    let count = rows.len();
    store.fill(seq, rows).await?;
    store.close().await?;
    Ok((json!({ "projected": seq, "rows": count }), Verdict::Fine))
}

async fn stats(folder: &Path) -> anyhow::Result<(Value, Verdict)> {
    let store = open(folder, false)?;
    let stats = serde_json::to_value(store.stats().await?)?;
    store.close().await?;
    Ok((stats, Verdict::Fine))
}
