//! The store with a stopwatch: how long commits take to reach the disk.

use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use tokio::time::Instant;

use crate::engine::ports::{Durable, Projected, RowChange, Store, StoreError};
use crate::model::entry::Commit;
use crate::model::id::IncidentId;
use crate::server::Metrics;
use crate::store::disk::DiskStore;

pub(super) struct Timed {
    store: Arc<DiskStore>,
    metrics: Metrics,
}

impl Timed {
    pub(super) fn new(store: Arc<DiskStore>, metrics: Metrics) -> Self {
        Self { store, metrics }
    }
}

#[async_trait]
impl Store for Timed {
    fn submit(&self, commit: Commit) -> Durable {
        let (began, metrics) = (Instant::now(), self.metrics.clone());
        let written = self.store.submit(commit);
        Box::pin(async move {
            let result = written.await;
            if result.is_ok() {
                metrics.committed(began.elapsed());
            }
            result
        })
    }

    fn ready(&self) -> Result<(), StoreError> {
        self.store.ready()
    }

    fn durable(&self) -> u64 {
        self.store.durable()
    }

    async fn project(&self, seq: u64, rows: Vec<RowChange>) -> Result<Projected, StoreError> {
        self.store.project(seq, rows).await
    }

    async fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Bytes)>, StoreError> {
        self.store.scan(prefix, after, limit).await
    }

    async fn scan_back(
        &self,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Bytes)>, StoreError> {
        self.store.scan_back(prefix, before, limit).await
    }

    async fn rows(&self, keys: Vec<String>) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.store.rows(keys).await
    }

    async fn projected(&self) -> Result<u64, StoreError> {
        self.store.projected().await
    }

    async fn commits(&self, after: u64, limit: usize) -> Result<Vec<Commit>, StoreError> {
        self.store.commits(after, limit).await
    }

    async fn timeline(
        &self,
        incident: IncidentId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        self.store.timeline(incident, after, limit).await
    }
}
