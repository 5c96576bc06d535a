//! Opens sled in a way that nothing it does can hurt: at worst the index starts empty.

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::{Index, keys};
use crate::engine::ports::StoreError;

/// Where the index is, in the folder.
const DIR: &str = "index";

/// sled lets go of its file a moment after it is dropped. The folder's own lock says that
/// nobody else has it.
const LOCK_TRIES: u32 = 500;
const LOCK_WAIT: Duration = Duration::from_millis(10);

/// What became of the index at the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IndexState {
    /// There was none: its rows are to be made from the journal.
    New,
    /// It stands at this sequence.
    Kept { position: u64 },
    /// It could not be used and lies aside; a new one is to be filled from the journal.
    SetAside { to: String, why: String },
}

enum Trouble {
    /// It is not the index's fault.
    Passing(String),
    Broken(String),
}

/// Opens the index of a folder whose journal ends at `head`.
pub(crate) fn open(
    folder: &Path,
    head: u64,
    cache_bytes: u64,
) -> Result<(Index, IndexState), StoreError> {
    let dir = folder.join(DIR);
    let new = !dir.exists();
    let why = match attempt(&dir, cache_bytes) {
        Ok((index, position)) if position <= head => {
            let state = if new { IndexState::New } else { IndexState::Kept { position } };
            return Ok((index, state));
        }
        Ok((_, position)) => {
            format!("it stands at {position}, but the journal ends at {head}")
        }
        Err(Trouble::Passing(why)) => return Err(unopened(&why)),
        Err(Trouble::Broken(why)) => why,
    };
    let to = set_aside(folder)?.unwrap_or_default();
    match attempt(&dir, cache_bytes) {
        Ok((index, _)) => Ok((index, IndexState::SetAside { to, why })),
        Err(Trouble::Passing(why) | Trouble::Broken(why)) => Err(unopened(&why)),
    }
}

/// Removes the index: everything in it is made again.
pub(crate) fn remove(folder: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(folder.join(DIR)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(unopened(&e.to_string())),
        _ => Ok(()),
    }
}

/// Renames the index, so that a new one can be made. The one that lay aside before goes: it would
/// only take room. Says what it is called now.
fn set_aside(folder: &Path) -> Result<Option<String>, StoreError> {
    let dir = folder.join(DIR);
    if !dir.exists() {
        return Ok(None);
    }
    let to = format!("{DIR}.damaged");
    match std::fs::remove_dir_all(folder.join(&to)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(unopened(&e.to_string())),
        _ => {}
    }
    std::fs::rename(&dir, folder.join(&to)).map_err(|e| unopened(&e.to_string()))?;
    Ok(Some(to))
}

/// sled may panic on what a power cut left; a thread of its own keeps that in.
fn attempt(dir: &Path, cache_bytes: u64) -> Result<(Index, u64), Trouble> {
    remove_unfinished_snapshots(dir).map_err(|e| Trouble::Passing(e.to_string()))?;
    let path = dir.to_owned();
    let opening = thread::Builder::new()
        .name("index-open".to_owned())
        .spawn(move || open_here(&path, cache_bytes))
        .map_err(|e| Trouble::Passing(e.to_string()))?;
    opening.join().unwrap_or_else(|_| Err(Trouble::Broken("sled panicked".to_owned())))
}

fn open_here(path: &Path, cache_bytes: u64) -> Result<(Index, u64), Trouble> {
    let db = open_patiently(path, cache_bytes)?;
    let broken = |e: sled::Error| Trouble::Broken(e.to_string());
    if db.get(keys::LAYOUT_KEY).map_err(broken)?.is_none_or(|layout| layout != keys::LAYOUT) {
        // Rebuildable, so an upgrade costs one pass over the journal and no conversion.
        db.clear().map_err(broken)?;
        db.insert(keys::LAYOUT_KEY, keys::LAYOUT).map_err(broken)?;
    }
    let index = Index::new(db, path.to_owned(), cache_bytes);
    let position = index.position().map_err(|e| Trouble::Broken(e.to_string()))?;
    Ok((index, position))
}

/// Opens one where there is none.
pub(super) fn empty(dir: &Path, cache_bytes: u64) -> Result<sled::Db, StoreError> {
    let db = open_patiently(dir, cache_bytes).map_err(|trouble| match trouble {
        Trouble::Passing(why) | Trouble::Broken(why) => unopened(&why),
    })?;
    db.insert(keys::LAYOUT_KEY, keys::LAYOUT).map_err(|e| unopened(&e.to_string()))?;
    Ok(db)
}

fn open_patiently(path: &Path, cache_bytes: u64) -> Result<sled::Db, Trouble> {
    let mut tries = 0;
    loop {
        let config =
            sled::Config::new().path(path).cache_capacity(cache_bytes).flush_every_ms(Some(500));
        let error = match config.open() {
            Ok(db) => return Ok(db),
            Err(error) => error,
        };
        let text = error.to_string();
        let held = text.contains("could not acquire lock");
        if held && tries < LOCK_TRIES {
            tries += 1;
            thread::sleep(LOCK_WAIT);
        } else if held || is_passing(&error) {
            return Err(Trouble::Passing(text));
        } else {
            return Err(Trouble::Broken(text));
        }
    }
}

fn is_passing(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(e) if matches!(
        e.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::PermissionDenied
    ))
}

/// sled takes a snapshot that it did not finish writing for damage.
fn remove_unfinished_snapshots(dir: &Path) -> io::Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn unopened(why: &str) -> StoreError {
    StoreError::Read(format!("the index could not be opened: {why}"))
}
