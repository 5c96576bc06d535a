//! What every store promises, asked of each of them in the same words.
//!
//! Power cuts, torn tails and damage are asked of the journal itself, on a disk that can
//! do such things: see `journal/tests.rs`.

mod disk;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::disk::DiskStore;
use super::folder::{Folder, Options};
use super::memory::MemoryStore;
use crate::engine::ports::{Clock, RowChange, Store, StoreError};
use crate::model::entry::{Commit, Entry};
use crate::model::id::IncidentId;
use crate::model::time::Time;

/// A store that can be left and found again.
trait Bench {
    fn store(&self) -> &dyn Store;
    /// As a restart would.
    fn reopen(self) -> Self;
    /// As a restart after the index broke.
    fn reopen_without_rows(self) -> Self;
}

/// A clock that stands at the beginning of time.
pub(super) struct StillClock;

#[async_trait]
impl Clock for StillClock {
    fn now(&self) -> Time {
        Time::UNIX_EPOCH
    }
    async fn sleep_until(&self, _at: Time) {}
}

/// The store goes before its folder does.
struct OnDisk {
    store: DiskStore,
    dir: tempfile::TempDir,
}

impl OnDisk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Folder::create(dir.path()).unwrap();
        let store = open(dir.path(), false).unwrap();
        Self { store, dir }
    }
}

fn open(path: &std::path::Path, fresh_index: bool) -> Result<DiskStore, StoreError> {
    let options = Options { fresh_index, ..Options::new(Arc::new(StillClock)) };
    Folder::open(path, options).map(|(store, _)| store)
}

impl Bench for OnDisk {
    fn store(&self) -> &dyn Store {
        &self.store
    }
    fn reopen(self) -> Self {
        let Self { dir, store } = self;
        drop(store);
        let store = open(dir.path(), false).unwrap();
        Self { store, dir }
    }
    fn reopen_without_rows(self) -> Self {
        let Self { dir, store } = self;
        drop(store);
        let store = open(dir.path(), true).unwrap();
        Self { store, dir }
    }
}

struct InMemory(MemoryStore);

impl Bench for InMemory {
    fn store(&self) -> &dyn Store {
        &self.0
    }
    fn reopen(self) -> Self {
        Self(self.0.crash())
    }
    fn reopen_without_rows(self) -> Self {
        let again = self.0.crash();
        again.lose_rows();
        Self(again)
    }
}

macro_rules! promises {
    ($($name:ident)*) => {
        mod on_disk {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::OnDisk::new()).await;
            })*
        }
        mod in_memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::InMemory(super::MemoryStore::new())).await;
            })*
        }
    };
}

promises! {
    commits_come_back_in_order_after_a_restart
    a_commit_out_of_order_is_refused
    rows_are_found_by_key_and_prefix_and_page_by_page
    rows_are_found_backwards_and_by_several_keys
    rows_stand_at_the_sequence_they_were_written_for
    long_values_come_back_whole
    a_timeline_holds_its_own_incident_only
    a_timeline_knows_commits_whose_rows_are_not_written_yet
    lost_rows_can_be_made_again_from_the_journal
}

fn incident(n: u8) -> IncidentId {
    IncidentId::mint(Time::UNIX_EPOCH, [n; 10])
}

/// Commit `seq` with a note on each of `incidents`.
fn commit(seq: u64, incidents: &[u8]) -> Commit {
    let note = |n: &u8| Entry::IncidentNote {
        incident: incident(*n),
        by: "a test".to_owned(),
        note: format!("note {seq}"),
    };
    Commit { seq, at: Time::UNIX_EPOCH, entries: incidents.iter().map(note).collect() }
}

fn row(key: &str, value: &str) -> RowChange {
    (key.to_owned(), Some(Bytes::copy_from_slice(value.as_bytes())))
}

async fn write(store: &dyn Store, from: u64, to: u64) {
    for seq in from..=to {
        store.submit(commit(seq, &[])).await.unwrap();
    }
}

async fn keys(store: &dyn Store, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let rows = store.scan(prefix, after, limit).await.unwrap();
    rows.into_iter().map(|(key, _)| key).collect()
}

async fn commits_come_back_in_order_after_a_restart(bench: impl Bench) {
    let waiting: Vec<_> = (1..=150).map(|seq| bench.store().submit(commit(seq, &[1]))).collect();
    for durable in waiting {
        durable.await.unwrap();
    }

    let bench = bench.reopen();

    assert_eq!(bench.store().durable(), 150);
    let all: Vec<Commit> = (1..=150).map(|seq| commit(seq, &[1])).collect();
    assert_eq!(bench.store().commits(0, 999).await.unwrap(), all);
    assert_eq!(bench.store().commits(100, 3).await.unwrap(), all[100..103]);
    write(bench.store(), 151, 151).await;
}

async fn a_commit_out_of_order_is_refused(bench: impl Bench) {
    write(bench.store(), 1, 2).await;

    for wrong in [0, 2, 4] {
        let refused = bench.store().submit(commit(wrong, &[])).await;
        assert!(matches!(refused, Err(StoreError::OutOfOrder { head: 2, got }) if got == wrong));
    }
    assert_eq!(bench.store().durable(), 2);
}

async fn rows_are_found_by_key_and_prefix_and_page_by_page(bench: impl Bench) {
    let store = bench.store();
    write(store, 1, 2).await;
    let rows = ["a/1", "a/2", "a/3", "a0", "b/1"].map(|key| row(key, key));
    store.project(1, rows.to_vec()).await.unwrap();
    store.project(2, vec![("a/2".to_owned(), None), row("b/1", "new")]).await.unwrap();

    assert_eq!(store.row("b/1").await.unwrap(), Some(Bytes::from("new")));
    assert_eq!(store.row("a/2").await.unwrap(), None);
    assert_eq!(store.row("a/").await.unwrap(), None);
    assert_eq!(keys(store, "a/", None, 9).await, ["a/1", "a/3"]);
    assert_eq!(keys(store, "", None, 2).await, ["a/1", "a/3"]);
    assert_eq!(keys(store, "", Some("a/3"), 2).await, ["a0", "b/1"]);
    assert_eq!(keys(store, "a/", Some("a/2"), 9).await, ["a/3"]);
    assert!(keys(store, "a/", Some("b"), 9).await.is_empty());
    assert!(keys(store, "", None, 0).await.is_empty());
}

async fn rows_are_found_backwards_and_by_several_keys(bench: impl Bench) {
    let store = bench.store();
    write(store, 1, 1).await;
    let long = "y".repeat(9_000);
    let rows = [("a/1", "1"), ("a/2", &long), ("a/3", "3"), ("a0", "4"), ("b/1", "5")];
    store.project(1, rows.map(|(key, value)| row(key, value)).to_vec()).await.unwrap();
    let back = async |prefix: &str, before: Option<&str>, limit| -> Vec<String> {
        let rows = store.scan_back(prefix, before, limit).await.unwrap();
        rows.into_iter().map(|(key, _)| key).collect()
    };

    assert_eq!(back("a/", None, 9).await, ["a/3", "a/2", "a/1"]);
    assert_eq!(back("a/", None, 1).await, ["a/3"]);
    assert_eq!(back("a/", Some("a/3"), 9).await, ["a/2", "a/1"]);
    assert_eq!(back("a/", Some("a/25"), 1).await, ["a/2"]);
    assert_eq!(back("a/", Some("b"), 1).await, ["a/3"]);
    assert!(back("a/", Some("a/1"), 9).await.is_empty());
    assert!(back("a/", None, 0).await.is_empty());
    assert!(back("c", None, 9).await.is_empty());
    let keys = ["b/1", "a/9", "a/2"].map(str::to_owned).to_vec();
    let found = store.rows(keys).await.unwrap();
    assert_eq!(found, [Some(Bytes::from("5")), None, Some(Bytes::from(long))]);
}

async fn rows_stand_at_the_sequence_they_were_written_for(bench: impl Bench) {
    write(bench.store(), 1, 5).await;
    bench.store().project(3, vec![row("k", "3")]).await.unwrap();
    let late = bench.store().project(2, vec![row("k", "2")]).await;

    assert!(matches!(late, Err(StoreError::OutOfOrder { head: 3, got: 2 })));
    let bench = bench.reopen();
    assert_eq!(bench.store().projected().await.unwrap(), 3);
    assert_eq!(bench.store().row("k").await.unwrap(), Some(Bytes::from("3")));
}

async fn long_values_come_back_whole(bench: impl Bench) {
    write(bench.store(), 1, 1).await;
    let lengths = [0, 3583, 3584, 3585, 7168, 100_000];
    let rows = lengths.map(|n| row(&format!("len/{n:06}"), &"y".repeat(n)));
    bench.store().project(1, rows.to_vec()).await.unwrap();

    let bench = bench.reopen();

    let found = bench.store().scan("len/", None, 99).await.unwrap();
    let found: Vec<usize> = found.into_iter().map(|(_, value)| value.len()).collect();
    assert_eq!(found, lengths);
    let after = keys(bench.store(), "len/", Some("len/007168"), 9).await;
    assert_eq!(after, ["len/100000"]);
}

async fn a_timeline_holds_its_own_incident_only(bench: impl Bench) {
    let store = bench.store();
    let written: [(u64, &[u8]); 5] = [(1, &[1]), (2, &[2]), (3, &[2, 1, 2]), (4, &[]), (5, &[1])];
    for (seq, incidents) in written {
        store.submit(commit(seq, incidents)).await.unwrap();
    }
    store.project(5, Vec::new()).await.unwrap();

    let seqs = |commits: Vec<Commit>| commits.iter().map(|c| c.seq).collect::<Vec<_>>();
    assert_eq!(seqs(store.timeline(incident(1), 0, 9).await.unwrap()), [1, 3, 5]);
    assert_eq!(seqs(store.timeline(incident(1), 1, 1).await.unwrap()), [3]);
    assert_eq!(seqs(store.timeline(incident(2), 0, 9).await.unwrap()), [2, 3]);
    assert!(store.timeline(incident(3), 0, 9).await.unwrap().is_empty());
}

async fn a_timeline_knows_commits_whose_rows_are_not_written_yet(bench: impl Bench) {
    bench.store().submit(commit(1, &[1])).await.unwrap();
    bench.store().project(1, Vec::new()).await.unwrap();
    bench.store().submit(commit(2, &[1])).await.unwrap();
    let both = [commit(1, &[1]), commit(2, &[1])];
    assert_eq!(bench.store().timeline(incident(1), 0, 9).await.unwrap(), both);

    let bench = bench.reopen();

    assert_eq!(bench.store().timeline(incident(1), 0, 9).await.unwrap(), both);
}

async fn lost_rows_can_be_made_again_from_the_journal(bench: impl Bench) {
    bench.store().submit(commit(1, &[1])).await.unwrap();
    bench.store().project(1, vec![row("k", "1")]).await.unwrap();

    let bench = bench.reopen_without_rows();

    assert_eq!(bench.store().projected().await.unwrap(), 0);
    assert_eq!(bench.store().row("k").await.unwrap(), None);
    assert_eq!(bench.store().timeline(incident(1), 0, 9).await.unwrap(), [commit(1, &[1])]);
    let again = bench.store().commits(0, 9).await.unwrap();
    bench.store().project(again[0].seq, vec![row("k", "1")]).await.unwrap();
    assert_eq!(bench.store().row("k").await.unwrap(), Some(Bytes::from("1")));
}

/// A crash keeps what was durable and nothing that only was submitted.
#[tokio::test]
async fn a_crash_in_memory_keeps_the_durable_prefix() {
    let store = MemoryStore::held();
    drop(store.submit(commit(1, &[])));
    store.sync();
    let lost = store.submit(commit(2, &[]));

    let again = store.crash();

    assert!(matches!(lost.await, Err(StoreError::Failed(_))));
    assert_eq!(again.commits(0, 9).await.unwrap(), [commit(1, &[])]);
    drop(again.submit(commit(2, &[])));
    assert_eq!(again.durable(), 1);
}

#[tokio::test]
async fn a_crash_after_a_commit_leaves_it_durable_and_unanswered() {
    let store = MemoryStore::new();
    store.crash_after(2);
    store.submit(commit(1, &[])).await.unwrap();

    assert!(store.submit(commit(2, &[])).await.is_err());
    assert!(store.submit(commit(3, &[])).await.is_err());
    assert_eq!(store.crash().durable(), 2);
}
