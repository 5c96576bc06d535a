//! A deployment made again from a backup or an export.
//!
//! It is put together beside the place where it will stand, proved, and moved there in one step: what
//! fails leaves nothing. Time went by elsewhere, perhaps with the original at work, so a copy starts
//! paused: a person looks first.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::off_runtime;
use crate::engine::ports::{Clock, Store, StoreError};
use crate::model::entry::{Commit, DeploymentRestored, Entry};
use crate::model::time::{Time, rfc3339};
use crate::store::archive;
use crate::store::export;
use crate::store::folder::{Folder, Options};
use crate::store::verify::{self, Also};

/// What a copy is made of.
pub(crate) enum Origin {
    /// An archive, as `store backup` writes it.
    Backup(PathBuf),
    /// Lines, as `store export` writes them, or a data folder's own; up to a line.
    Journal { from: PathBuf, until: Option<u64> },
}

/// What was made.
pub(crate) struct Copied {
    /// The last line that was brought, and its hash.
    pub(crate) head: u64,
    pub(crate) head_hash: String,
    pub(crate) made_at: Option<Time>,
    /// The copy's own checkpoint key.
    pub(crate) key: String,
}

/// Makes the data folder `data`, which must not be there yet, or be empty.
pub(crate) async fn copy(
    origin: Origin,
    data: &Path,
    clock: &Arc<dyn Clock>,
    also: Also<'_>,
) -> Result<Copied, StoreError> {
    let made = begin(data)?;
    let path = made.path().to_owned();
    let (from, brought) = off_runtime(move || bring(&origin, &path)).await?;
    let report = verify::audit(made.path(), &[], also)?;
    if let Some(bad) = report.first_bad {
        return Err(StoreError::Read(format!(
            "the journal in it is damaged: {} (journal/{}, line {}, sequence {}, byte {})",
            bad.why, bad.place.segment, bad.place.line, bad.place.seq, bad.place.offset
        )));
    }
    if report.key.is_none() {
        return Err(StoreError::Read("the journal in it begins no deployment".to_owned()));
    }
    if let Some((head, hash)) = &brought.promised
        && (report.head, &report.head_hash) != (*head, hash)
    {
        return Err(StoreError::Read(format!(
            "the journal in it ends at {}, but the manifest says {head}",
            report.head
        )));
    }
    let (head, head_hash, made_at) = (report.head, report.head_hash, brought.made_at);
    let copied = Copied { head, head_hash, made_at, key: String::new() };
    let key = take_over(made.path(), from, &copied, clock).await?;
    put(made, data)?;
    Ok(Copied { key, ..copied })
}

/// A folder of its own beside the one that is wanted.
fn begin(data: &Path) -> Result<tempfile::TempDir, StoreError> {
    let broken = |why: std::io::Error| {
        StoreError::Read(format!("`{}` cannot be made: {why}", data.display()))
    };
    match std::fs::read_dir(data).map(|mut inside| inside.next().is_some()) {
        Ok(true) => {
            return Err(StoreError::Read(format!(
                "`{}` is not empty: name a folder that is not there yet",
                data.display()
            )));
        }
        Ok(false) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(broken(e)),
    }
    let beside =
        data.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    tempfile::Builder::new().prefix(".quell-copy-").tempdir_in(beside).map_err(broken)
}

/// What the origin says about itself.
struct Brought {
    made_at: Option<Time>,
    promised: Option<(u64, String)>,
}

fn bring(origin: &Origin, to: &Path) -> Result<(&'static str, Brought), StoreError> {
    match origin {
        Origin::Backup(archive) => {
            let manifest = archive::unpack(archive, to)?;
            let promised = Some((manifest.head, manifest.head_hash));
            Ok(("backup", Brought { made_at: Some(manifest.made_at), promised }))
        }
        Origin::Journal { from, until } => {
            export::import(from, &to.join("journal"), *until)?;
            let kind = if from.is_dir() { "journal" } else { "export" };
            Ok((kind, Brought { made_at: None, promised: None }))
        }
    }
}

/// Gives the copy its key, says in its journal what it is, and pauses it.
async fn take_over(
    path: &Path,
    from: &str,
    copied: &Copied,
    clock: &Arc<dyn Clock>,
) -> Result<String, StoreError> {
    let (folder, options) = (path.to_owned(), Options::new(clock.clone()));
    let (store, key) = off_runtime(move || {
        let key = Folder::create(&folder)?;
        Ok((Folder::open(&folder, options)?.0, key))
    })
    .await?;
    let made = copied.made_at.map(|at| format!(" of {}", rfc3339(at))).unwrap_or_default();
    let reason = format!(
        "made again from a {from}{made}, line {}: see that the original is off and what happened since, then let effects go on",
        copied.head
    );
    let entries = vec![
        Entry::DeploymentRestored(DeploymentRestored {
            from: from.to_owned(),
            seq: copied.head,
            head: copied.head_hash.clone(),
            made_at: copied.made_at,
            key: key.clone(),
        }),
        Entry::PauseChanged { paused: true, by: "quell store".to_owned(), reason },
        store.checkpoint(),
    ];
    store.submit(Commit { seq: copied.head + 1, at: clock.now(), entries }).await?;
    store.close().await?;
    Ok(key)
}

fn put(made: tempfile::TempDir, data: &Path) -> Result<(), StoreError> {
    std::fs::rename(made.path(), data)
        .map_err(|e| StoreError::Read(format!("`{}` cannot be made: {e}", data.display())))?;
    // It is not there any more, so there is nothing to clean up.
    _ = made.keep();
    Ok(())
}
