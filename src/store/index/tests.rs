//! What sled is asked to do, and what happens when it cannot.

use super::*;

const CACHE: u64 = 8 << 20;

fn bytes(len: usize, seed: u8) -> Bytes {
    (0..len).map(|n| u8::try_from(n % 251).unwrap().wrapping_add(seed)).collect()
}

fn set(key: &str, value: &Bytes) -> RowChange {
    (key.to_owned(), Some(value.clone()))
}

#[test]
fn a_value_of_any_length_reads_back_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (index, state) = open(folder.path(), 9, CACHE).unwrap();
    assert_eq!(state, IndexState::New);
    let (long, longer) = (bytes(3585, 1), bytes(20_000, 2));

    index
        .project(1, vec![set("a", &longer), set("b", &long), set("c", &bytes(0, 0))], &[])
        .unwrap();
    assert_eq!(index.row("a").unwrap(), Some(longer.clone()));
    index
        .project(2, vec![set("a", &longer), set("a", &long), ("b".to_owned(), None)], &[])
        .unwrap();

    assert_eq!(index.row("a").unwrap(), Some(long.clone()));
    assert_eq!(index.row("b").unwrap(), None);
    let rows = index.scan("", None, 9).unwrap();
    assert_eq!(rows, [("a".to_owned(), long), ("c".to_owned(), Bytes::new())]);
    let left = there(index.reading().as_ref()).unwrap().scan_prefix(keys::ROWS).count();
    assert_eq!(left, 2 + 2, "rows `a` and `c`, and the two parts of `a`");
}

#[test]
fn rows_never_go_back_to_an_older_sequence() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = open(folder.path(), 9, CACHE).unwrap();
    index.project(5, vec![set("a", &bytes(1, 5))], &[]).unwrap();

    let late = index.project(4, vec![set("a", &bytes(1, 4))], &[]);

    assert!(matches!(late, Err(StoreError::OutOfOrder { head: 5, got: 4 })));
    assert_eq!(index.row("a").unwrap(), Some(bytes(1, 5)));
}

#[test]
fn an_index_ahead_of_its_journal_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = open(folder.path(), 9, CACHE).unwrap();
    index.project(9, vec![set("a", &bytes(1, 0))], &[]).unwrap();
    drop(index);

    let (index, state) = open(folder.path(), 8, CACHE).unwrap();

    assert!(matches!(state, IndexState::SetAside { ref to, .. } if to == "index.damaged"));
    assert_eq!(index.position().unwrap(), 0);
    assert!(folder.path().join("index.damaged").exists());
}

#[test]
fn an_index_that_cannot_be_read_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("index")).unwrap();
    std::fs::write(folder.path().join("index/conf"), "segment_size: seven, and so on").unwrap();

    let (index, state) = open(folder.path(), 0, CACHE).unwrap();

    assert!(matches!(state, IndexState::SetAside { .. }));
    index.project(0, vec![set("a", &bytes(1, 0))], &[]).unwrap();
}

/// sled would take the file for damage; the rows are all there.
#[test]
fn a_snapshot_that_was_not_finished_does_not_cost_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = open(folder.path(), 9, CACHE).unwrap();
    index.project(3, vec![set("a", &bytes(9, 0))], &[]).unwrap();
    drop(index);
    std::fs::write(folder.path().join("index/snap.0000000000000BAD.generating"), "x").unwrap();

    let (index, state) = open(folder.path(), 9, CACHE).unwrap();

    assert_eq!(state, IndexState::Kept { position: 3 });
    assert_eq!(index.row("a").unwrap(), Some(bytes(9, 0)));
}

#[test]
fn filling_leaves_no_position_until_all_rows_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = open(folder.path(), 9, CACHE).unwrap();
    let rows = (0..=(2 * BATCH)).map(|n| (format!("k/{n:06}"), bytes(8, 0)));
    let watched = rows.inspect(|_| {
        assert_eq!(index.position().unwrap(), 0);
    });

    index.fill(7, watched).unwrap();

    assert_eq!(index.position().unwrap(), 7);
    assert_eq!(index.count().unwrap().0, super::super::journal::to_u64(2 * BATCH + 1));
}

#[test]
fn an_index_that_failed_is_empty_and_takes_rows_after_it_was_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = open(dir.path(), 9, 1 << 20).unwrap();
    index.project(5, vec![("gone".to_owned(), Some(Bytes::from("1")))], &[]).unwrap();
    assert!(index.project(4, Vec::new(), &[]).is_err());
    assert!(index.has_failed());

    index.renew().unwrap();
    index.renewed();
    index.project(6, vec![("new".to_owned(), Some(Bytes::from("2")))], &[]).unwrap();

    assert!(!index.has_failed());
    assert_eq!(index.scan("", None, 9).unwrap(), [("new".to_owned(), Bytes::from("2"))]);
    drop(index);
    let (index, state) = open(dir.path(), 9, 1 << 20).unwrap();
    assert_eq!(state, IndexState::Kept { position: 6 });
    assert_eq!(index.row("gone").unwrap(), None);
}
