//! What outlives the process: the journal, its rows, and the evidence log. A crash forgets what was not synced.

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::draw::Draw;
use super::life::Life;
use super::link::Outside;
use crate::engine::ports::{
    Durable, Evidence, Projected, RowChange, Store, StoreError, after_key, before_key,
};
use crate::model::entry::Commit;
use crate::model::id::IncidentId;

/// The disk itself.
pub(super) struct Disk {
    journal: Mutex<Vec<Commit>>,
    synced: AtomicU64,
    /// Rows and the sequence that they stand at.
    pub(super) rows: Mutex<(u64, BTreeMap<String, Bytes>)>,
    pub(super) evidence: Mutex<Vec<Value>>,
    /// The process dies once this commit is on disk, before anything follows from it.
    pub(super) dies_at: AtomicU64,
    /// Chances of an index that fails now and then, and comes back empty.
    pub(super) sick: Option<Draw>,
    /// It failed, and is empty until rows are written again.
    failed: AtomicBool,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            journal: Mutex::default(),
            synced: AtomicU64::new(0),
            rows: Mutex::default(),
            evidence: Mutex::default(),
            dies_at: AtomicU64::new(u64::MAX),
            sick: None,
            failed: AtomicBool::new(false),
        }
    }
}

impl Disk {
    /// A disk whose index is sick.
    pub(super) fn with_sick_index(seed: u64) -> Self {
        Self { sick: Some(Draw::new(seed)), ..Self::default() }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    fn fails(&self, percent: u64) -> bool {
        self.sick.as_ref().is_some_and(|draw| draw.chance(percent))
    }

    /// Rows can be read, unless the index fails just now.
    fn readable(&self) -> Result<(), StoreError> {
        if self.failed.load(Ordering::SeqCst) || self.fails(3) {
            return Err(StoreError::Read("the index failed".to_owned()));
        }
        Ok(())
    }

    pub(super) fn head(&self) -> u64 {
        self.synced.load(Ordering::SeqCst)
    }

    pub(super) fn journal(&self) -> Vec<Commit> {
        let head = self.head();
        self.journal.lock().unwrap().iter().filter(|c| c.seq <= head).cloned().collect()
    }

    /// What a power cut leaves.
    pub(super) fn forget_unsynced(&self) {
        let head = self.head();
        self.journal.lock().unwrap().retain(|c| c.seq <= head);
        self.dies_at.store(u64::MAX, Ordering::SeqCst);
    }
}

/// The disk as one process sees it.
pub(super) struct Mount {
    pub(super) disk: Arc<Disk>,
    pub(super) outside: Arc<Outside>,
    pub(super) life: Life,
}

#[async_trait]
impl Store for Mount {
    fn submit(&self, commit: Commit) -> Durable {
        let (disk, life, seq) = (self.disk.clone(), self.life.clone(), commit.seq);
        if life.is_over() {
            return Box::pin(std::future::pending());
        }
        let mut journal = disk.journal.lock().unwrap();
        let head = journal.last().map_or(0, |c| c.seq);
        if head + 1 != seq {
            return Box::pin(std::future::ready(Err(StoreError::OutOfOrder { head, got: seq })));
        }
        self.outside.trace.commit(&commit);
        journal.push(commit);
        drop(journal);
        let (answer, answered) = tokio::sync::oneshot::channel();
        let write = async move {
            tokio::time::sleep(Duration::from_micros(300)).await;
            if life.is_over() {
                return;
            }
            disk.synced.fetch_max(seq, Ordering::SeqCst);
            if seq >= disk.dies_at.load(Ordering::SeqCst) {
                life.end();
                return;
            }
            let _told = answer.send(());
        };
        super::spawn(write);
        Box::pin(async move {
            if answered.await.is_err() {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }

    fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn durable(&self) -> u64 {
        self.disk.head()
    }

    async fn project(&self, seq: u64, rows: Vec<RowChange>) -> Result<Projected, StoreError> {
        while self.disk.head() < seq && !self.life.is_over() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.life.or_never().await;
        let mut kept = self.disk.rows.lock().unwrap();
        if self.disk.fails(5) {
            *kept = (0, BTreeMap::new());
            self.disk.failed.store(true, Ordering::SeqCst);
            return Err(StoreError::Read("the index failed".to_owned()));
        }
        self.disk.failed.store(false, Ordering::SeqCst);
        for (key, value) in rows {
            match value {
                Some(value) => drop(kept.1.insert(key, value)),
                None => drop(kept.1.remove(&key)),
            }
        }
        kept.0 = seq;
        Ok(Projected::Written)
    }

    async fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Bytes)>, StoreError> {
        self.disk.readable()?;
        Ok(after_key(&self.disk.rows.lock().unwrap().1, prefix, after, limit))
    }
    async fn scan_back(
        &self,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Bytes)>, StoreError> {
        self.disk.readable()?;
        Ok(before_key(&self.disk.rows.lock().unwrap().1, prefix, before, limit))
    }
    async fn rows(&self, keys: Vec<String>) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.disk.readable()?;
        let kept = self.disk.rows.lock().unwrap();
        Ok(keys.iter().map(|key| kept.1.get(key).cloned()).collect())
    }
    async fn projected(&self) -> Result<u64, StoreError> {
        Ok(self.disk.rows.lock().unwrap().0)
    }
    async fn commits(&self, after: u64, _: usize) -> Result<Vec<Commit>, StoreError> {
        Ok(self.disk.journal().into_iter().filter(|c| c.seq > after).collect())
    }
    async fn timeline(
        &self,
        incident: IncidentId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        let about = |c: &Commit| c.entries.iter().any(|e| e.incident() == Some(incident));
        let all = self.disk.journal().into_iter().filter(|c| c.seq > after && about(c));
        Ok(all.take(limit).collect())
    }
}

#[async_trait]
impl Evidence for Mount {
    async fn append(&self, lines: Vec<Value>) -> Result<(), StoreError> {
        tokio::time::sleep(Duration::from_micros(300)).await;
        self.life.or_never().await;
        self.disk.evidence.lock().unwrap().extend(lines);
        Ok(())
    }
}
