//! What only a folder can promise: its lock, its format, its proofs.

use std::collections::BTreeMap;

use super::{OnDisk, commit, open, row, write};
use crate::engine::ports::{Store, StoreError};
use crate::model::entry::{Commit, DeploymentCreated, Entry};
use crate::model::id::DeploymentId;
use crate::model::time::Time;
use crate::store::folder::Folder;
use crate::store::verify::{audit, compare_rows, fold_journal};

fn refusal<T>(result: Result<T, StoreError>) -> String {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_folder_in_use_is_refused() {
    let bench = OnDisk::new();

    assert!(refusal(open(bench.dir.path(), false)).contains("in use by another process"));
}

#[test]
fn a_folder_of_another_kind_is_refused_and_none_is_made_over() {
    let bench = OnDisk::new();
    let path = bench.dir.path().to_owned();
    drop(bench.store);
    assert!(refusal(Folder::create(&path)).contains("already"));

    std::fs::write(path.join("format"), "quell folder 2\n").unwrap();
    assert!(refusal(open(&path, false)).contains("quell folder 2"));
    std::fs::remove_file(path.join("format")).unwrap();
    assert!(refusal(open(&path, false)).contains("not a data folder"));
}

/// Commits a first line that names the key, some notes and a checkpoint.
async fn signed(bench: &OnDisk) {
    let created = DeploymentCreated {
        deployment: DeploymentId::mint(Time::UNIX_EPOCH, [0; 10]),
        lab: false,
        key: bench.store.key(),
    };
    let first = Entry::DeploymentCreated(created);
    let first = Commit { seq: 1, at: Time::UNIX_EPOCH, entries: vec![first] };
    bench.store.submit(first).await.unwrap();
    for seq in 2..=9 {
        bench.store.submit(commit(seq, &[1])).await.unwrap();
    }
    let checkpoint = bench.store.checkpoint();
    let checkpoint = Commit { seq: 10, at: Time::UNIX_EPOCH, entries: vec![checkpoint] };
    bench.store.submit(checkpoint).await.unwrap();
}

#[tokio::test]
async fn an_audit_proves_a_good_journal_and_names_the_first_bad_line() {
    let bench = OnDisk::new();
    signed(&bench).await;
    let path = bench.dir.path();
    let (head, hash) = bench.store.head();
    let key = bench.store.key();

    let good = audit(path, std::slice::from_ref(&key), &mut |_| Ok(())).unwrap();
    assert_eq!((good.lines, good.entries, good.checkpoints), (10, 10, 1));
    assert_eq!((good.head, good.head_hash, good.signed_up_to), (head, hash, 9));
    assert_eq!((good.first_bad, good.torn), (None, None));
    assert_eq!(audit(path, &[], &mut |_| Ok(())).unwrap().key, Some(key));

    let elsewhere = OnDisk::new();
    let bad = audit(path, &[elsewhere.store.key()], &mut |_| Ok(())).unwrap().first_bad.unwrap();
    assert_eq!((bad.place.seq, bad.why.contains("another key")), (10, true));

    drop(bench.store);
    let file = path.join("journal/000000000001.ndjson");
    let changed = std::fs::read_to_string(&file).unwrap().replace("note 4", "note 5");
    std::fs::write(&file, changed).unwrap();
    let bad = audit(path, &[], &mut |_| Ok(())).unwrap().first_bad.unwrap();
    assert_eq!((bad.place.seq, bad.place.line), (4, 4));
    assert!(refusal(open(path, false)).contains("sequence 4"));
}

#[tokio::test]
async fn rows_are_held_against_the_fold_of_the_journal() {
    let bench = OnDisk::new();
    let store = &bench.store;
    write(store, 1, 3).await;
    let rows = vec![row("same", "1"), row("other", "1"), row("extra", "1")];
    store.project(2, rows).await.unwrap();
    let mut folded = Vec::new();
    let expected = [row("same", "1"), row("other", "2"), row("gone", "1")];
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|(key, value)| (key, value.unwrap())).collect();

    let projected = fold_journal(store, |commit| folded.push(commit.seq)).await.unwrap();
    let report = compare_rows(store, expected).await.unwrap();

    assert_eq!((projected, folded), (2, vec![1, 2]));
    assert_eq!((report.rows, report.differences, report.projected), (3, 3, 2));
    assert_eq!(report.missing, ["gone"]);
    assert_eq!(report.unexpected, ["extra"]);
    assert_eq!(report.different, ["other"]);
}

#[tokio::test]
async fn a_fresh_index_is_filled_with_rows_made_elsewhere() {
    let bench = OnDisk::new();
    write(&bench.store, 1, 3).await;
    let OnDisk { dir, store } = bench;
    store.close().await.unwrap();
    drop(store);

    let store = open(dir.path(), true).unwrap();
    let rows = vec![("k".to_owned(), bytes::Bytes::from("v"))];
    store.fill(3, rows).await.unwrap();

    let stats = store.stats().await.unwrap();
    assert_eq!((stats.rows, stats.projected, stats.head, stats.segments), (1, 3, 3, 1));
    assert_eq!(store.row("k").await.unwrap(), Some(bytes::Bytes::from("v")));
}
