//! What the engine needs of the world. `app` plugs in the real ones, the simulation its own.

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Bound;
use std::pin::Pin;

use crate::model::action::{
    ActionSpec, Applied, Call, CallResult, ReadBack, Signature, Target, Unavailable,
};
use crate::model::connected::Connected;
use crate::model::entry::Commit;
use crate::model::id::{Capability, ConnectionId, IncidentId};
use crate::model::subject::{Account, Alias};
use crate::model::time::Time;

/// The time, and waiting for it.
#[async_trait]
pub(crate) trait Clock: Send + Sync {
    fn now(&self) -> Time;
    /// Returns at `at` or later; at once if that has passed.
    async fn sleep_until(&self, at: Time);
}

/// Randomness, so that a simulation can hand in its own.
pub(crate) trait Entropy: Send + Sync {
    fn fill(&self, bytes: &mut [u8]);

    /// Ten bytes for an id.
    fn id(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        self.fill(&mut bytes);
        bytes
    }

    /// A number in `0.0..1.0`, for jitter.
    fn fraction(&self) -> f64 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}

/// Resolves when the commit is on disk. Dropping it does not undo the commit.
pub(crate) type Durable = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

/// Why the store did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StoreError {
    /// No room, or the queue is full: nothing was written; try later.
    #[error("the journal takes no commits now: {0}")]
    Busy(String),
    /// The commit's sequence is not the next one.
    #[error("commit {got} does not follow {head}")]
    OutOfOrder { head: u64, got: u64 },
    /// The journal failed and stays failed until a restart.
    #[error("the journal failed: {0}")]
    Failed(String),
    /// Damage, or a read that failed.
    #[error("{0}")]
    Read(String),
}

/// One row of a projection: its key, and its value (`None` = deleted).
pub(crate) type RowChange = (String, Option<Bytes>);

/// What became of rows that were handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Projected {
    /// They can be read back, and so can all that came before.
    Written,
    /// They wait for room.
    Held,
    /// There is no index until the next start.
    GivenUp,
}

/// The journal with its index. Commits are whole, ordered and durable; rows are rebuildable.
///
/// One active node writes; the commit's own sequence is the expected one, so a
/// commit that was prepared on an older head is refused.
#[async_trait]
pub(crate) trait Store: Send + Sync {
    /// Queues a commit behind all earlier ones, without waiting. The order of calls is the order of the journal.
    fn submit(&self, commit: Commit) -> Durable;

    /// Whether deliveries may be taken in now; `Busy` while the disk is full or the queue is long.
    fn ready(&self) -> Result<(), StoreError>;

    /// The sequence of the last commit that is on disk; 0 in an empty journal.
    fn durable(&self) -> u64;

    /// Writes rows as they stand after `seq`, once `seq` is durable. Lost rows are rebuilt from the journal.
    ///
    /// After an error the rows written before may be gone: the next call brings all of them.
    async fn project(&self, seq: u64, rows: Vec<RowChange>) -> Result<Projected, StoreError>;

    /// Rows whose key starts with `prefix`, in key order, after the key `after`.
    async fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Bytes)>, StoreError>;

    /// The same backwards: keys before the key `before`, the last one first.
    async fn scan_back(
        &self,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Bytes)>, StoreError>;

    /// The rows under these keys, in their order.
    async fn rows(&self, keys: Vec<String>) -> Result<Vec<Option<Bytes>>, StoreError>;

    /// One row.
    async fn row(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.rows(vec![key.to_owned()]).await?.pop().flatten())
    }

    /// The sequence that the rows stand at.
    async fn projected(&self) -> Result<u64, StoreError>;

    /// Commits after `after`, oldest first.
    async fn commits(&self, after: u64, limit: usize) -> Result<Vec<Commit>, StoreError>;

    /// Commits that hold an entry of `incident`, oldest first, after the sequence `after`.
    async fn timeline(
        &self,
        incident: IncidentId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError>;
}

/// What [`Store::scan`] means, over rows in memory.
pub(crate) fn after_key(
    rows: &BTreeMap<String, Bytes>,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Vec<(String, Bytes)> {
    let from = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let rows = rows.range::<str, _>((from, Bound::Unbounded));
    let fitting = rows.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
    fitting.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// What [`Store::scan_back`] means.
pub(crate) fn before_key(
    rows: &BTreeMap<String, Bytes>,
    prefix: &str,
    before: Option<&str>,
    limit: usize,
) -> Vec<(String, Bytes)> {
    let to = before.map_or(Bound::Unbounded, Bound::Excluded);
    let rows = rows.range::<str, _>((Bound::Unbounded, to)).rev();
    let rows = rows.skip_while(|(key, _)| !key.starts_with(prefix) && key.as_str() > prefix);
    let fitting = rows.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
    fitting.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The evidence log: raw events, kept for a time.
#[async_trait]
pub(crate) trait Evidence: Send + Sync {
    /// Durable when it returns: one line a record.
    async fn append(&self, lines: Vec<Value>) -> Result<(), StoreError>;
}

/// What can be called where. Pure look-ups, so that `decide` may use them.
pub(crate) trait Catalogue: Send + Sync {
    /// The action that implements `capability` (or is named so) on a connection, for a target if it has one.
    fn resolve(
        &self,
        name: &str,
        connection: &ConnectionId,
        target: Option<&Target>,
    ) -> Result<ActionSpec, Unavailable>;

    /// The connections, in configured order, that implement a capability or own the named action.
    fn connections_for(&self, name: &str) -> Vec<ConnectionId>;

    /// The capability behind a `use:` name, which may be a capability or a `connector/action`.
    fn capability_of(&self, name: &str) -> Option<Capability>;

    /// What a `use:` name takes and gives.
    fn signature(&self, name: &str) -> Option<&Signature>;

    /// The name of the input that takes the account or factor, if there is one.
    fn item_input(&self, name: &str) -> Option<String> {
        self.signature(name)?.item_input().map(|(input, _)| input.to_owned())
    }

    /// How many calls a connection may have under way at once.
    fn concurrency(&self, connection: &ConnectionId) -> usize;

    /// Every connection, for people to look at.
    fn connected(&self) -> Vec<Connected> {
        Vec::new()
    }
}

/// Makes calls. Every method returns within the action's timeout.
#[async_trait]
pub(crate) trait Actions: Send + Sync {
    async fn call(&self, call: &Call) -> CallResult;

    /// Reads back whether `applied` is so. For `repeat: verify` in doubt, it looks for what the call would have made.
    async fn read_back(&self, applied: &Applied) -> ReadBack;

    /// Whether what the call would bring about already is so: asked before a reversible change, so
    /// that only what Quell itself changed is ever undone. `None`: cannot be told.
    async fn already_so(&self, call: &Call) -> Option<bool>;
}

/// What looking a subject up gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Found {
    pub(crate) name: Option<String>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) aliases: Vec<Alias>,
    /// Connections that could not be asked, with why.
    pub(crate) unread: Vec<(ConnectionId, String)>,
}

/// Finds out whose accounts are whose.
#[async_trait]
pub(crate) trait Directory: Send + Sync {
    async fn look_up(&self, aliases: &[Alias], connections: &[ConnectionId]) -> Found;

    /// The same, without waiting for a connection that is slow: it is told as unread.
    async fn look_up_soon(&self, aliases: &[Alias], connections: &[ConnectionId]) -> Found {
        self.look_up(aliases, connections).await
    }
}
