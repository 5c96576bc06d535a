//! The store without a disk, for simulation: the same order, the same refusals, no threads.
//!
//! A commit becomes durable when its future is polled, or when the simulation says so. A
//! crash keeps the durable prefix and nothing else of the journal.

#![expect(
    dead_code,
    reason = "controls of the fault simulations; a trial uses only what any store does"
)]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use super::hold::hold;
use super::journal::incidents;
use crate::engine::ports::{
    Clock, Durable, Evidence, Projected, RowChange, Store, StoreError, after_key, before_key,
};
use crate::model::entry::Commit;
use crate::model::id::IncidentId;
use crate::model::time::Span;

/// Called with each sequence that becomes durable, before anybody is told.
type OnCommit = Box<dyn FnMut(u64) + Send>;

/// When a commit becomes durable.
#[derive(Clone)]
enum Pace {
    /// When somebody waits for it.
    AtOnce,
    /// So long after it was submitted.
    After(Arc<dyn Clock>, Span),
    /// When [`MemoryStore::sync`] is called.
    Held,
}

#[derive(Default)]
struct State {
    commits: Vec<Commit>,
    rows: BTreeMap<String, Bytes>,
    position: u64,
    evidence: Vec<Value>,
    crash_after: Option<u64>,
    /// Refuses the next commits as a full disk would.
    full: bool,
}

#[derive(Clone, Copy, PartialEq)]
struct Progress {
    durable: u64,
    crashed: bool,
}

struct Inner {
    state: Mutex<State>,
    progress: watch::Sender<Progress>,
    on_commit: Mutex<Option<OnCommit>>,
    pace: Pace,
}

/// A store in memory. Clones are the same store.
#[derive(Clone)]
pub(crate) struct MemoryStore(Arc<Inner>);

impl MemoryStore {
    /// Commits are durable as soon as somebody waits for them.
    pub(crate) fn new() -> Self {
        Self::with(State::default(), Pace::AtOnce)
    }

    /// Commits are durable `delay` after they were submitted, if somebody waits that long.
    pub(crate) fn delayed(clock: Arc<dyn Clock>, delay: Span) -> Self {
        Self::with(State::default(), Pace::After(clock, delay))
    }

    /// Commits are durable when [`sync`](Self::sync) is called.
    pub(crate) fn held() -> Self {
        Self::with(State::default(), Pace::Held)
    }

    fn with(state: State, pace: Pace) -> Self {
        let durable = seq_of(&state.commits);
        let progress = watch::Sender::new(Progress { durable, crashed: false });
        let on_commit = Mutex::new(None);
        Self(Arc::new(Inner { state: Mutex::new(state), progress, on_commit, pace }))
    }

    /// Makes everything durable that was submitted.
    pub(crate) fn sync(&self) {
        let seq = seq_of(&hold(&self.0.state).commits);
        self.0.settle(seq);
    }

    /// The process dies right after commit `seq` is durable: nothing is taken or told any more.
    pub(crate) fn crash_after(&self, seq: u64) {
        hold(&self.0.state).crash_after = Some(seq);
    }

    /// Calls `hook` with each sequence that becomes durable. It must not call the store.
    pub(crate) fn on_commit(&self, hook: impl FnMut(u64) + Send + 'static) {
        *hold(&self.0.on_commit) = Some(Box::new(hook));
    }

    /// While `full`, commits are refused as on a full disk.
    pub(crate) fn set_full(&self, full: bool) {
        hold(&self.0.state).full = full;
    }

    pub(crate) fn crashed(&self) -> bool {
        self.0.progress.borrow().crashed
    }

    /// Ends this store and gives what a restart finds: the durable commits, the rows as they
    /// were last written, the evidence.
    pub(crate) fn crash(&self) -> Self {
        self.0.progress.send_modify(|progress| progress.crashed = true);
        let durable = self.0.durable();
        let state = hold(&self.0.state);
        let kept = State {
            commits: state.commits.iter().take_while(|c| c.seq <= durable).cloned().collect(),
            rows: state.rows.clone(),
            position: state.position,
            evidence: state.evidence.clone(),
            crash_after: None,
            full: false,
        };
        drop(state);
        Self::with(kept, self.0.pace.clone())
    }

    /// Forgets all rows, as a disk's index may.
    pub(crate) fn lose_rows(&self) {
        let mut state = hold(&self.0.state);
        state.rows.clear();
        state.position = 0;
    }

    /// All commits, durable or not: for an oracle, not for the engine.
    pub(crate) fn submitted(&self) -> Vec<Commit> {
        hold(&self.0.state).commits.clone()
    }

    /// The evidence log's lines, oldest first.
    pub(crate) fn evidence(&self) -> Vec<Value> {
        hold(&self.0.state).evidence.clone()
    }
}

impl Inner {
    fn durable(&self) -> u64 {
        self.progress.borrow().durable
    }

    /// Makes everything up to `seq` durable, one commit at a time.
    fn settle(&self, seq: u64) {
        let crash_after = hold(&self.state).crash_after.unwrap_or(u64::MAX);
        loop {
            let Progress { durable, crashed } = *self.progress.borrow();
            if crashed || durable >= seq {
                return;
            }
            let next = durable + 1;
            if let Some(hook) = hold(&self.on_commit).as_mut() {
                hook(next);
            }
            let crashed = next >= crash_after;
            self.progress.send_replace(Progress { durable: next, crashed });
        }
    }

    fn ready(&self) -> Result<(), StoreError> {
        if self.progress.borrow().crashed {
            return Err(crash());
        }
        if hold(&self.state).full {
            return Err(StoreError::Busy("there is no room on its disk".to_owned()));
        }
        Ok(())
    }

    fn take(&self, commit: Commit) -> Result<u64, StoreError> {
        if self.progress.borrow().crashed {
            return Err(crash());
        }
        let mut state = hold(&self.state);
        if state.full {
            return Err(StoreError::Busy("there is no room on its disk".to_owned()));
        }
        let (head, got) = (seq_of(&state.commits), commit.seq);
        if got != head + 1 {
            return Err(StoreError::OutOfOrder { head, got });
        }
        state.commits.push(commit);
        Ok(got)
    }

    /// Returns once `seq` is durable, making it so where that is this store's pace.
    async fn until_durable(&self, seq: u64) -> Result<(), StoreError> {
        if matches!(self.pace, Pace::AtOnce) {
            let submitted = seq_of(&hold(&self.state).commits);
            self.settle(seq.min(submitted));
        }
        let mut progress = self.progress.subscribe();
        let reached = progress
            .wait_for(|progress| progress.crashed || progress.durable >= seq)
            .await
            .map(|progress| *progress);
        match reached {
            Ok(Progress { crashed: false, .. }) => Ok(()),
            _ => Err(crash()),
        }
    }

    fn pick(&self, limit: usize, wanted: impl Fn(&Commit) -> bool) -> Vec<Commit> {
        let durable = self.durable();
        let state = hold(&self.state);
        let durable = state.commits.iter().take_while(|commit| commit.seq <= durable);
        durable.filter(|commit| wanted(commit)).take(limit).cloned().collect()
    }
}

fn seq_of(commits: &[Commit]) -> u64 {
    commits.last().map_or(0, |commit| commit.seq)
}

fn crash() -> StoreError {
    StoreError::Failed("the process has crashed".to_owned())
}

/// Waits as the store's pace says, then tells.
async fn durable(
    inner: Arc<Inner>,
    seq: u64,
    delay: Option<impl Future<Output = ()> + Send>,
) -> Result<(), StoreError> {
    if let Some(delay) = delay {
        delay.await;
        inner.settle(seq);
    }
    inner.until_durable(seq).await
}

#[async_trait]
impl Store for MemoryStore {
    fn submit(&self, commit: Commit) -> Durable {
        let seq = match self.0.take(commit) {
            Ok(seq) => seq,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let delay = match self.0.pace.clone() {
            Pace::AtOnce | Pace::Held => None,
            Pace::After(clock, span) => {
                let at = clock.now() + span.delta();
                Some(async move { clock.sleep_until(at).await })
            }
        };
        Box::pin(durable(self.0.clone(), seq, delay))
    }

    fn ready(&self) -> Result<(), StoreError> {
        self.0.ready()
    }

    fn durable(&self) -> u64 {
        self.0.durable()
    }

    async fn project(&self, seq: u64, rows: Vec<RowChange>) -> Result<Projected, StoreError> {
        self.0.until_durable(seq).await?;
        let mut state = hold(&self.0.state);
        if seq < state.position {
            return Err(StoreError::OutOfOrder { head: state.position, got: seq });
        }
        for (key, value) in rows {
            match value {
                Some(value) => state.rows.insert(key, value),
                None => state.rows.remove(&key),
            };
        }
        state.position = seq;
        Ok(Projected::Written)
    }

    async fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Bytes)>, StoreError> {
        Ok(after_key(&hold(&self.0.state).rows, prefix, after, limit))
    }

    async fn scan_back(
        &self,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Bytes)>, StoreError> {
        Ok(before_key(&hold(&self.0.state).rows, prefix, before, limit))
    }

    async fn rows(&self, keys: Vec<String>) -> Result<Vec<Option<Bytes>>, StoreError> {
        let state = hold(&self.0.state);
        Ok(keys.iter().map(|key| state.rows.get(key).cloned()).collect())
    }

    async fn projected(&self) -> Result<u64, StoreError> {
        Ok(hold(&self.0.state).position)
    }

    async fn commits(&self, after: u64, limit: usize) -> Result<Vec<Commit>, StoreError> {
        Ok(self.0.pick(limit, |commit| commit.seq > after))
    }

    async fn timeline(
        &self,
        incident: IncidentId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        Ok(self.0.pick(limit, |commit| commit.seq > after && incidents(commit).contains(&incident)))
    }
}

#[async_trait]
impl Evidence for MemoryStore {
    async fn append(&self, lines: Vec<Value>) -> Result<(), StoreError> {
        if self.crashed() {
            return Err(crash());
        }
        hold(&self.0.state).evidence.extend(lines);
        Ok(())
    }
}
