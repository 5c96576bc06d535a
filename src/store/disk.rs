//! The store of one machine: a journal that is the truth, and an index beside it.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::checkpoint::CheckpointKey;
use super::evidence::EvidenceLog;
use super::folder::index_timelines;
use super::guard::Guard;
use super::hold::hold;
use super::index::Index;
use super::journal::{Head, Journal, Proof};
use crate::engine::ports::{Durable, Projected, RowChange, Store, StoreError};
use crate::model::entry::{Commit, Entry};
use crate::model::id::IncidentId;
use crate::model::time::Time;

/// An index larger than this many times its rows is made again.
const INDEX_BLOAT: u64 = 4;
/// Below this size it is left alone.
const INDEX_SMALL: u64 = 256 << 20;
/// Commits read at once.
const READ: usize = 512;

/// What is in a folder, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Stats {
    pub(crate) head: u64,
    pub(crate) segments: u64,
    /// Bytes of lines; the files are laid out a little longer.
    pub(crate) journal_bytes: u64,
    pub(crate) rows: u64,
    pub(crate) row_bytes: u64,
    /// The sequence that the rows stand at.
    pub(crate) projected: u64,
    pub(crate) index_bytes: u64,
    pub(crate) evidence_files: u64,
    pub(crate) evidence_bytes: u64,
}

/// An open folder. Made by [`Folder::open`](super::folder::Folder::open).
pub(crate) struct DiskStore {
    pub(super) journal: Arc<Journal>,
    pub(super) index: Arc<Index>,
    pub(super) evidence: Arc<EvidenceLog>,
    pub(super) guard: Guard,
    pub(super) key: CheckpointKey,
    pub(super) path: PathBuf,
    /// Held until everything above has ended: fields are dropped in this order.
    pub(super) _lock: File,
}

impl DiskStore {
    /// The last line that is on disk: its sequence and its hash.
    pub(crate) fn head(&self) -> (u64, String) {
        let Head { seq, hash } = self.journal.shared.head();
        (seq, hash)
    }

    /// A signed statement of the head, to be committed like any other entry.
    pub(crate) fn checkpoint(&self) -> Entry {
        let (seq, hash) = self.head();
        self.key.entry(seq, &hash)
    }

    /// The last line that may be dropped because it is older than `before`, if a segment can go. Blocks.
    pub(crate) fn droppable(&self, before: Time) -> Result<Option<Head>, StoreError> {
        self.journal.droppable(|commit| commit.at < before)
    }

    /// What the journal has to say, durably, before [`DiskStore::prune`]: signed, so that a beginning which
    /// was dropped is told from one that was taken away.
    pub(crate) fn pruned(&self, last: &Head) -> Entry {
        self.key.pruned(last.seq, &last.hash)
    }

    /// Drops the segments up to `last`; how many bytes that gave back. Blocks.
    pub(crate) fn prune(&self, last: &Head) -> Result<u64, StoreError> {
        self.journal.prune(last)
    }

    /// Begins a new segment where the newest one's first line is older than `before`: only whole segments can
    /// be dropped. Blocks.
    pub(crate) fn roll_if_older(&self, before: Time) -> Result<(), StoreError> {
        let first = hold(&self.journal.shared.map).segments.keys().next_back().copied();
        let Some(first) = first.filter(|first| *first <= self.journal.shared.durable()) else {
            return Ok(());
        };
        if self.journal.reader.pick(&[first])?.first().is_some_and(|commit| commit.at < before) {
            self.journal.roll();
        }
        Ok(())
    }

    /// The checkpoints' public key, base64.
    pub(crate) fn key(&self) -> String {
        self.key.public()
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }

    pub(crate) fn evidence(&self) -> Arc<EvidenceLog> {
        self.evidence.clone()
    }

    /// Fills an empty index with all rows as they stand after `seq`. See
    /// [`Options::fresh_index`](super::folder::Options).
    pub(crate) async fn fill(
        &self,
        seq: u64,
        rows: Vec<(String, Bytes)>,
    ) -> Result<(), StoreError> {
        self.journal.shared.until_durable(seq).await?;
        let shared = self.journal.shared.clone();
        self.on_index(move |index| {
            index.fill(seq, rows.into_iter())?;
            index.add_timelines(&shared.touched(seq))?;
            shared.forget_touched(seq);
            Ok(())
        })
        .await
    }

    pub(crate) async fn stats(&self) -> Result<Stats, StoreError> {
        let (head, segments, journal_bytes) = {
            let map = hold(&self.journal.shared.map);
            let bytes: u64 = map.segments.values().sum();
            (map.head.seq, super::journal::to_u64(map.segments.len()), bytes)
        };
        let evidence = self.evidence.clone();
        self.on_index(move |index| {
            let (rows, row_bytes) = index.count()?;
            let (evidence_files, evidence_bytes) = evidence.size()?;
            Ok(Stats {
                head,
                segments,
                journal_bytes,
                rows,
                row_bytes,
                projected: index.position()?,
                index_bytes: index.size_on_disk()?,
                evidence_files,
                evidence_bytes,
            })
        })
        .await
    }

    /// Writes what is queued and ends. Whatever comes after is refused.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        let (journal, evidence) = (self.journal.clone(), self.evidence.clone());
        off_runtime(move || {
            journal.close();
            evidence.close();
            Ok(())
        })
        .await
    }

    async fn on_index<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Index) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if let Some(why) = self.guard.behind() {
            return Err(StoreError::Read(format!("there is no index until a restart: {why}")));
        }
        let index = self.index.clone();
        self.guard.watch(move || ask(&index)).await
    }

    /// The same for what must not be told that rows are missing which only failed.
    async fn on_whole_index<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Index) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.on_index(move |index| {
            if index.has_failed() {
                return Err(StoreError::Read("the index failed and is being made anew".to_owned()));
            }
            ask(index)
        })
        .await
    }

    /// Looks how much room there is on the disk; [`Store::ready`] says so.
    pub(crate) fn look_at_room(&self) -> Result<(), StoreError> {
        let unknown = |e| StoreError::Read(format!("the free room cannot be told: {e}"));
        let free = self.guard.look().map_err(unknown)?;
        self.guard.room_is(free);
        Ok(())
    }

    /// How far the proof of the journal's older lines is.
    pub(crate) fn proof(&self) -> Proof {
        self.journal.shared.proof()
    }

    /// Why the index is not used any more, if so.
    pub(crate) fn index_behind(&self) -> Option<String> {
        self.guard.behind()
    }

    /// Has the next start make a new index where this one takes far more room than its rows.
    pub(crate) fn keep_index_small(&self, stats: &Stats) -> bool {
        let live = stats.row_bytes.max(INDEX_SMALL / INDEX_BLOAT);
        let bloated = stats.index_bytes > live.saturating_mul(INDEX_BLOAT);
        if bloated {
            self.guard.mark();
        }
        bloated
    }

    /// The timeline without an index: every commit is looked at.
    async fn slow_timeline(
        &self,
        incident: IncidentId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        let reader = self.journal.reader.clone();
        off_runtime(move || {
            let (mut found, mut at) = (Vec::new(), after);
            while found.len() < limit {
                let commits = reader.commits(at, READ)?;
                let Some(last) = commits.last() else { break };
                at = last.seq;
                let about =
                    |commit: &Commit| commit.entries.iter().any(|e| e.incident() == Some(incident));
                found.extend(commits.into_iter().filter(about));
            }
            found.truncate(limit);
            Ok(found)
        })
        .await
    }
}

/// Runs what blocks where it may.
async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(StoreError::Read(format!("reading the store failed: {e}"))))
}

#[async_trait]
impl Store for DiskStore {
    fn submit(&self, commit: Commit) -> Durable {
        self.journal.submit(&commit)
    }

    fn ready(&self) -> Result<(), StoreError> {
        self.guard.ready()?;
        self.journal.ready()
    }

    fn durable(&self) -> u64 {
        self.journal.shared.durable()
    }

    async fn project(&self, seq: u64, rows: Vec<RowChange>) -> Result<Projected, StoreError> {
        self.journal.shared.until_durable(seq).await?;
        let (shared, reader) = (self.journal.shared.clone(), self.journal.reader.clone());
        if self.guard.behind().is_some() {
            shared.forget_touched(seq);
            return Ok(Projected::GivenUp);
        }
        let Some(rows) = self.guard.rows(rows) else { return Ok(Projected::Held) };
        self.on_index(move |index| {
            if index.has_failed() {
                index.renew()?;
                index_timelines(&reader, index, 0)?;
                index.renewed();
                tracing::info!("Made the index anew from the journal: it had failed");
            }
            index.project(seq, rows, &shared.touched(seq))?;
            shared.forget_touched(seq);
            Ok(Projected::Written)
        })
        .await
    }

    async fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Bytes)>, StoreError> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.on_whole_index(move |index| index.scan(&prefix, after.as_deref(), limit)).await
    }

    async fn scan_back(
        &self,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Bytes)>, StoreError> {
        let (prefix, before) = (prefix.to_owned(), before.map(str::to_owned));
        self.on_whole_index(move |index| index.scan_back(&prefix, before.as_deref(), limit)).await
    }

    async fn rows(&self, keys: Vec<String>) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.on_whole_index(move |index| index.rows(&keys)).await
    }

    async fn projected(&self) -> Result<u64, StoreError> {
        self.on_index(Index::position).await
    }

    async fn commits(&self, after: u64, limit: usize) -> Result<Vec<Commit>, StoreError> {
        let reader = self.journal.reader.clone();
        off_runtime(move || reader.commits(after, limit)).await
    }

    async fn timeline(
        &self,
        incident: IncidentId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        if self.guard.behind().is_some() || self.index.has_failed() {
            return self.slow_timeline(incident, after, limit).await;
        }
        // First those not indexed yet: one that is indexed in between is then seen twice, not
        // never.
        let recent = self.journal.shared.touched(u64::MAX);
        let reader = self.journal.reader.clone();
        self.on_index(move |index| {
            let mut seqs = index.timeline(incident, after, limit)?;
            seqs.extend(
                recent
                    .iter()
                    .filter(|(seq, ids)| *seq > after && ids.contains(&incident))
                    .map(|(seq, _)| *seq),
            );
            seqs.sort_unstable();
            seqs.dedup();
            seqs.truncate(limit);
            reader.pick(&seqs)
        })
        .await
    }
}
