//! The data folder: what lies where, that one process has it, and how it is opened.
//!
//! ```text
//! format            the layout's version
//! lock              held while a process has the folder
//! journal/          000000000001.ndjson …
//! index/            rebuildable
//! evidence/         2026-11-22T04.ndjson …
//! keys/             checkpoint.pk8
//! refused/          deliveries that were not taken; may be removed
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::checkpoint::CheckpointKey;
use super::disk::DiskStore;
use super::evidence::EvidenceLog;
use super::guard::{self, Guard};
pub(crate) use super::index::IndexState;
use super::index::{self, Index};
use super::journal::{self, Journal, JournalOptions, Reader, RealMedium, TornTail};
use crate::engine::ports::{Clock, StoreError};

pub(super) const FORMAT: &str = "quell folder 1\n";

/// Commits read at once while timelines are made again.
const READ: usize = 512;

/// How a folder is opened.
pub(crate) struct Options {
    /// Names the hours of the evidence log.
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) journal: JournalOptions,
    pub(crate) index_cache_bytes: u64,
    /// Starts with an empty index, to be filled again.
    pub(crate) fresh_index: bool,
    /// Bytes that stay free for what was accepted already.
    pub(crate) reserve: u64,
    /// How long a call of the index may take before it is given up.
    pub(crate) index_patience: Duration,
}

impl Options {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            journal: JournalOptions::default(),
            // sled counts what is written: in memory its pages take twice that. With a quarter of this
            // a start takes twice as long.
            index_cache_bytes: 16 << 20,
            fresh_index: false,
            reserve: 0,
            index_patience: Duration::from_secs(30),
        }
    }
}

/// What opening found, for the log and for people.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OpenReport {
    pub(crate) head: u64,
    /// Unacknowledged bytes that a power cut left, and that were cut.
    pub(crate) torn: Option<TornTail>,
    pub(crate) index: IndexState,
    /// The sequence that the rows stand at: commits after it are to be projected again.
    pub(crate) projected: u64,
}

/// A data folder.
pub(crate) struct Folder;

impl Folder {
    /// Whether there is a folder of ours at `path`.
    pub(crate) fn exists(path: &Path) -> bool {
        path.join("format").exists()
    }

    /// Makes a folder with a new checkpoint key, around a journal if one lies there, and says the
    /// key's public half. Refuses one that exists.
    pub(crate) fn create(path: &Path) -> Result<String, StoreError> {
        if Self::exists(path) {
            return Err(StoreError::Read(format!("`{}` is a data folder already", path.display())));
        }
        for dir in ["journal", "evidence", "keys"] {
            std::fs::create_dir_all(path.join(dir)).map_err(|e| broken(path, &e))?;
        }
        let _lock = lock(path)?;
        let key = CheckpointKey::create(&path.join("keys")).map_err(|e| broken(path, &e))?;
        // Last, so that a folder with a format is complete.
        write_format(path).map_err(|e| broken(path, &e))?;
        Ok(key.public())
    }

    /// Opens a folder. Blocks, long where the index has to be made again.
    pub(crate) fn open(
        path: &Path,
        options: Options,
    ) -> Result<(DiskStore, OpenReport), StoreError> {
        check_format(path)?;
        let lock = lock(path)?;
        let key = CheckpointKey::load(&path.join("keys")).map_err(|e| broken(path, &e))?;
        let medium = Arc::new(RealMedium::new(&path.join("journal")));
        let (journal, torn) = Journal::open(medium, options.journal)?;
        let head = journal.shared.durable();
        if guard::take_mark(path).map_err(|e| broken(path, &e))? || options.fresh_index {
            index::remove(path)?;
        }
        let (index, state) = index::open(path, head, options.index_cache_bytes)?;
        let projected = index.position()?;
        index_timelines(&journal.reader, &index, projected)?;
        let medium = Arc::new(RealMedium::new(&path.join("evidence")));
        let evidence = EvidenceLog::open(medium, options.clock)?;
        let store = DiskStore {
            journal: Arc::new(journal),
            index: Arc::new(index),
            evidence: Arc::new(evidence),
            guard: Guard::new(path, options.reserve, options.index_patience),
            key,
            path: path.to_owned(),
            _lock: lock,
        };
        Ok((store, OpenReport { head, torn, index: state, projected }))
    }
}

/// Which incidents the commits after `projected` touched was only known in memory.
pub(super) fn index_timelines(
    journal: &Reader,
    index: &Index,
    projected: u64,
) -> Result<(), StoreError> {
    let mut at = projected;
    loop {
        let commits = journal.commits(at, READ)?;
        let Some(last) = commits.last() else { return Ok(()) };
        at = last.seq;
        let touched: Vec<_> =
            commits.iter().map(|commit| (commit.seq, journal::incidents(commit))).collect();
        index.add_timelines(&touched)?;
    }
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path.join("lock"))
        .map_err(|e| broken(path, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Read(format!(
            "the data folder `{}` is in use by another process",
            path.display()
        ))),
        Err(TryLockError::Error(e)) => Err(broken(path, &e)),
    }
}

fn check_format(path: &Path) -> Result<(), StoreError> {
    let found = match std::fs::read_to_string(path.join("format")) {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(StoreError::Read(format!("`{}` is not a data folder", path.display())));
        }
        Err(e) => return Err(broken(path, &e)),
    };
    if found == FORMAT {
        return Ok(());
    }
    Err(StoreError::Read(format!(
        "the data folder `{}` has the format {:?}; this program knows {:?}",
        path.display(),
        found.trim(),
        FORMAT.trim()
    )))
}

fn write_format(path: &Path) -> io::Result<()> {
    let mut file = File::create(path.join("format"))?;
    file.write_all(FORMAT.as_bytes())?;
    file.sync_all()?;
    File::open(path.join("keys"))?.sync_all()?;
    File::open(path)?.sync_all()
}

fn broken(path: &Path, why: &dyn std::error::Error) -> StoreError {
    let mut text = why.to_string();
    let mut source = why.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    StoreError::Read(format!("the data folder `{}` cannot be used: {text}", path.display()))
}
