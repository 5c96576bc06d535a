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
use super::hold::hold;
use super::index::Index;
use super::journal::{Head, Journal};
use crate::engine::ports::{Durable, RowChange, Store, StoreError};
use crate::model::entry::{Commit, Entry};
use crate::model::id::IncidentId;

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

    /// The checkpoints' public key, base64.
    #[cfg(test)]
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
        let index = self.index.clone();
        off_runtime(move || ask(&index)).await
    }
}

/// Runs what blocks where it may. sled panicking is a read that failed, not the process's end.
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
        self.journal.ready()
    }

    fn durable(&self) -> u64 {
        self.journal.shared.durable()
    }

    async fn project(&self, seq: u64, rows: Vec<RowChange>) -> Result<(), StoreError> {
        self.journal.shared.until_durable(seq).await?;
        let (shared, reader) = (self.journal.shared.clone(), self.journal.reader.clone());
        self.on_index(move |index| {
            if index.has_failed() {
                index.renew()?;
                index_timelines(&reader, index, 0)?;
                index.renewed();
                tracing::info!("Made the index anew from the journal: it had failed");
            }
            index.project(seq, rows, &shared.touched(seq))?;
            shared.forget_touched(seq);
            Ok(())
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
        self.on_index(move |index| index.scan(&prefix, after.as_deref(), limit)).await
    }

    async fn row(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let key = key.to_owned();
        self.on_index(move |index| index.row(&key)).await
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
