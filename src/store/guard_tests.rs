//! What breaks or hangs in the index stays there, and a disk that is nearly full is left alone.

use std::sync::Arc;
use std::time::Duration;

use super::conformance::StillClock;
use super::disk::DiskStore;
use super::folder::{Folder, OpenReport, Options};
use super::index::IndexState;
use crate::engine::ports::{RowChange, Store as _, StoreError};
use crate::model::entry::{Commit, Entry};
use crate::model::id::IncidentId;
use crate::model::time::Time;

fn open(path: &std::path::Path) -> (DiskStore, OpenReport) {
    let options = Options {
        reserve: 1000,
        index_patience: Duration::from_millis(200),
        ..Options::new(Arc::new(StillClock))
    };
    Folder::open(path, options).unwrap()
}

fn incident() -> IncidentId {
    IncidentId::mint(Time::UNIX_EPOCH, [1; 10])
}

async fn note(store: &DiskStore, seq: u64) {
    let entry =
        Entry::IncidentNote { incident: incident(), by: "a test".to_owned(), note: String::new() };
    let commit = Commit { seq, at: Time::UNIX_EPOCH, entries: vec![entry] };
    store.submit(commit).await.unwrap();
}

fn row(key: &str) -> RowChange {
    (key.to_owned(), Some(bytes::Bytes::from("value")))
}

/// Commits and timelines go on, and the next start begins a new index.
async fn goes_on_without(store: DiskStore, path: &std::path::Path) {
    assert!(store.index_behind().is_some());
    note(&store, 3).await;
    store.project(3, vec![row("later")]).await.unwrap();
    let seqs: Vec<u64> =
        store.timeline(incident(), 0, 9).await.unwrap().iter().map(|c| c.seq).collect();
    assert_eq!(seqs, [1, 2, 3]);
    assert!(store.ready().is_ok());
    store.close().await.unwrap();
    drop(store);

    let (store, report) = open(path);
    assert_eq!((report.index, report.projected), (IndexState::New, 0));
    assert_eq!(store.timeline(incident(), 0, 9).await.unwrap().len(), 3);
    let (_, again) = {
        store.project(3, vec![row("all")]).await.unwrap();
        store.close().await.unwrap();
        drop(store);
        open(path)
    };
    assert_eq!(again.index, IndexState::Kept { position: 3 });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_hangs_is_given_up_and_made_again() {
    let dir = tempfile::tempdir().unwrap();
    Folder::create(dir.path()).unwrap();
    let (store, _) = open(dir.path());
    note(&store, 1).await;
    store.project(1, vec![row("first")]).await.unwrap();
    note(&store, 2).await;

    let index = store.index.clone();
    let (held, is_held) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let hanging = std::thread::spawn(move || {
        let _gate = index.db.write().unwrap();
        held.send(()).unwrap();
        released.recv().unwrap();
    });
    is_held.recv().unwrap();
    assert!(store.project(2, vec![row("second")]).await.is_err());

    assert!(store.index_behind().unwrap().contains("no answer within"));
    release.send(()).unwrap();
    hanging.join().unwrap();
    goes_on_without(store, dir.path()).await;
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_takes_nothing_in_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    Folder::create(dir.path()).unwrap();
    let (store, _) = open(dir.path());
    note(&store, 1).await;
    store.look_at_room().unwrap();
    assert!(store.ready().is_ok());

    store.guard.room_is(999);
    assert!(matches!(store.ready(), Err(StoreError::Busy(_))));
    // What was accepted goes on: its lines are written, its rows are held.
    note(&store, 2).await;
    store.project(2, vec![row("held")]).await.unwrap();
    assert_eq!((store.projected().await.unwrap(), store.row("held").await.unwrap()), (0, None));
    store.guard.room_is(1100);
    assert!(store.ready().is_err(), "it would flap");

    store.guard.room_is(1250);
    assert!(store.ready().is_ok());
    note(&store, 3).await;
    store.project(3, vec![row("next")]).await.unwrap();
    assert_eq!(store.projected().await.unwrap(), 3);
    assert!(store.row("held").await.unwrap().is_some());
}
