//! Keeps the index from harming what can do without it.
//!
//! sled hangs, fails for good after one error, and must never meet a full disk. So its calls are given
//! a time; one that fails or does not come back ends the index for this process: the state is
//! served from memory, and the next start makes a new index. While the disk is nearly full nothing is
//! written to it: rows are held and written when there is room.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use super::hold::hold;
use crate::engine::ports::{RowChange, StoreError};

/// In a folder: its index is to be made again.
const MARK: &str = "index.behind";

/// Whether the last process gave the index up; forgets it.
pub(super) fn take_mark(folder: &Path) -> io::Result<bool> {
    match std::fs::remove_file(folder.join(MARK)) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// What stands between the store and its index.
pub(super) struct Guard {
    folder: PathBuf,
    /// Free bytes below which nothing is taken in, and the index is left alone.
    reserve: u64,
    /// How long a call of the index may take.
    pub(super) patience: Duration,
    low: AtomicBool,
    behind: Mutex<Option<String>>,
    held: Mutex<BTreeMap<String, Option<Bytes>>>,
}

impl Guard {
    pub(super) fn new(folder: &Path, reserve: u64, patience: Duration) -> Self {
        Self {
            folder: folder.to_owned(),
            reserve,
            patience,
            low: AtomicBool::new(false),
            behind: Mutex::new(None),
            held: Mutex::new(BTreeMap::new()),
        }
    }

    /// Asks how much room there is on the folder's disk. Blocks.
    pub(super) fn look(&self) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(&self.folder)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// There are so many bytes free.
    pub(super) fn room_is(&self, free: u64) {
        let was = self.low.load(Ordering::Relaxed);
        // A little more than the reserve, so that it does not flap.
        let enough = if was { self.reserve.saturating_add(self.reserve / 4) } else { self.reserve };
        let low = free < enough;
        self.low.store(low, Ordering::Relaxed);
        match (was, low) {
            (false, true) => warn!(
                "Stopped taking deliveries in: {free} bytes are free on the data folder's disk, and {} are kept for what was accepted",
                self.reserve
            ),
            (true, false) => info!("Takes deliveries in again: {free} bytes are free"),
            _ => {}
        }
    }

    /// Whether something may be taken in.
    pub(super) fn ready(&self) -> Result<(), StoreError> {
        if self.low.load(Ordering::Relaxed) {
            return Err(StoreError::Busy("the data folder's disk is nearly full".to_owned()));
        }
        Ok(())
    }

    /// Why the index is not used any more, if so.
    pub(super) fn behind(&self) -> Option<String> {
        hold(&self.behind).clone()
    }

    /// Gives the index up until the next start makes a new one.
    pub(super) fn give_up(&self, why: &str) {
        let mut behind = hold(&self.behind);
        if behind.is_some() {
            return;
        }
        *behind = Some(why.to_owned());
        hold(&self.held).clear();
        error!("Gave up the index until the next start, which makes a new one: {why}");
        self.mark();
    }

    /// Has the next start make a new index.
    pub(super) fn mark(&self) {
        if let Err(error) = std::fs::write(self.folder.join(MARK), "") {
            // Then the next start goes on from where the index stands.
            warn!("Could not mark the index as behind: {error}");
        }
    }

    /// The rows to write now; none while they are held back.
    pub(super) fn rows(&self, rows: Vec<RowChange>) -> Option<Vec<RowChange>> {
        let mut held = hold(&self.held);
        held.extend(rows);
        if self.low.load(Ordering::Relaxed) {
            return None;
        }
        Some(std::mem::take(&mut *held).into_iter().collect())
    }

    /// Runs a call of the index where it may block. sled panicking is a call that failed.
    pub(super) async fn watch<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(self.patience, spawn_blocking(call)).await {
            Ok(Ok(result)) => result,
            Ok(Err(panicked)) => Err(StoreError::Read(format!("the index failed: {panicked}"))),
            Err(_) => {
                let why = format!("it gave no answer within {:?}", self.patience);
                self.give_up(&why);
                Err(StoreError::Read(format!("the index: {why}")))
            }
        }
    }
}
