//! A journal in memory. A commit is on disk once its future has been waited for; a crash forgets the rest.

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::engine::ports::{
    Durable, Evidence, Projected, RowChange, Store, StoreError, after_key, before_key,
};
use crate::model::entry::Commit;
use crate::model::id::IncidentId;

pub(in crate::engine) struct MemStore {
    journal: Mutex<Vec<Commit>>,
    written: AtomicU64,
    pub(in crate::engine) rows: Mutex<BTreeMap<String, Bytes>>,
    projected: AtomicU64,
    /// The process dies once this commit is on disk, before anything follows from it.
    pub(in crate::engine) crash_at: AtomicU64,
}

impl Default for MemStore {
    fn default() -> Self {
        Self {
            journal: Mutex::default(),
            written: AtomicU64::new(0),
            rows: Mutex::default(),
            projected: AtomicU64::new(0),
            crash_at: AtomicU64::new(u64::MAX),
        }
    }
}

impl MemStore {
    pub(in crate::engine) fn written(&self) -> Vec<Commit> {
        let n = self.written.load(Ordering::SeqCst);
        self.journal.lock().unwrap().iter().filter(|c| c.seq <= n).cloned().collect()
    }

    pub(in crate::engine) fn forget_unwritten(&self) {
        let n = self.written.load(Ordering::SeqCst);
        self.journal.lock().unwrap().retain(|c| c.seq <= n);
    }
}

/// The store as one process sees it: silent once that process is dead.
pub(super) struct Disk {
    pub(super) store: Arc<MemStore>,
    pub(super) alive: Arc<AtomicBool>,
}

#[async_trait]
impl Store for Disk {
    fn submit(&self, commit: Commit) -> Durable {
        let (store, alive) = (self.store.clone(), self.alive.clone());
        let seq = commit.seq;
        if alive.load(Ordering::SeqCst) {
            let mut journal = store.journal.lock().unwrap();
            assert_eq!(journal.last().map_or(0, |c| c.seq) + 1, seq, "commits follow each other");
            journal.push(commit);
        }
        let (answer, answered) = tokio::sync::oneshot::channel();
        let write = async move {
            tokio::time::sleep(std::time::Duration::from_micros(300)).await;
            if !alive.load(Ordering::SeqCst) {
                return;
            }
            store.written.fetch_max(seq, Ordering::SeqCst);
            if seq >= store.crash_at.load(Ordering::SeqCst) {
                alive.store(false, Ordering::SeqCst);
                return;
            }
            let _told = answer.send(());
        };
        #[expect(clippy::disallowed_methods, reason = "stands for the journal's own thread")]
        tokio::spawn(write);
        Box::pin(async move {
            if answered.await.is_err() {
                // The process is dead; it is told nothing.
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }

    fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn durable(&self) -> u64 {
        self.store.written.load(Ordering::SeqCst)
    }

    async fn project(&self, seq: u64, rows: Vec<RowChange>) -> Result<Projected, StoreError> {
        let mut kept = self.store.rows.lock().unwrap();
        for (key, value) in rows {
            match value {
                Some(value) => drop(kept.insert(key, value)),
                None => drop(kept.remove(&key)),
            }
        }
        self.store.projected.store(seq, Ordering::SeqCst);
        Ok(Projected::Written)
    }

    async fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Bytes)>, StoreError> {
        Ok(after_key(&self.store.rows.lock().unwrap(), prefix, after, limit))
    }
    async fn scan_back(
        &self,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Bytes)>, StoreError> {
        Ok(before_key(&self.store.rows.lock().unwrap(), prefix, before, limit))
    }
    async fn rows(&self, keys: Vec<String>) -> Result<Vec<Option<Bytes>>, StoreError> {
        let kept = self.store.rows.lock().unwrap();
        Ok(keys.iter().map(|key| kept.get(key).cloned()).collect())
    }
    async fn projected(&self) -> Result<u64, StoreError> {
        Ok(self.store.projected.load(Ordering::SeqCst))
    }
    async fn commits(&self, after: u64, _: usize) -> Result<Vec<Commit>, StoreError> {
        Ok(self.store.written().into_iter().filter(|c| c.seq > after).collect())
    }
    async fn timeline(&self, _: IncidentId, _: u64, _: usize) -> Result<Vec<Commit>, StoreError> {
        Ok(Vec::new())
    }
}

pub(super) struct NoEvidence;

#[async_trait]
impl Evidence for NoEvidence {
    async fn append(&self, _: Vec<Value>) -> Result<(), StoreError> {
        Ok(())
    }
}
