//! A long journal opens at its end, and nothing about the rest is believed for long.

use std::sync::Arc;

use super::tests::{commit, open, options, write_singly};
use super::torn::TornMedium;
use super::*;
use crate::model::entry::Entry;
use crate::model::time::Time;

const LINES: u64 = 120;

fn quickly(medium: &TornMedium) -> Result<Journal, OpenError> {
    let options = JournalOptions { quick: true, ..options() };
    Journal::open(Arc::new(medium.clone()), options).map(|(journal, _)| journal)
}

/// Several segments.
async fn long() -> TornMedium {
    let medium = TornMedium::default();
    let (journal, _) = open(&medium);
    write_singly(&journal, 1, LINES).await;
    assert!(hold(&journal.shared.map).segments.len() > 4);
    medium
}

#[tokio::test]
async fn a_journal_opened_quickly_says_the_same_and_goes_on() {
    let medium = long().await;
    let (whole, _) = open(&medium);
    let (head, segments) = (whole.shared.head(), hold(&whole.shared.map).segments.clone());
    drop(whole);

    let journal = quickly(&medium).unwrap();

    assert_eq!((journal.shared.head(), &hold(&journal.shared.map).segments), (head, &segments));
    let expected: Vec<Commit> = (1..=LINES).map(commit).collect();
    assert_eq!(journal.reader.commits(0, 9_999).unwrap(), expected);
    assert_eq!(journal.reader.pick(&[3, 77]).unwrap(), [commit(3), commit(77)]);
    write_singly(&journal, LINES + 1, LINES + 9).await;
    assert_eq!(journal.proved(), Proof::Whole);
    assert_eq!(journal.reader.pick(&[3, 77]).unwrap(), [commit(3), commit(77)]);
    drop(journal);
    assert_eq!(open(&medium).0.shared.durable(), LINES + 9);
}

/// Whatever byte of an older segment is changed, and wherever it is cut: it is named at the start or
/// soon after, and the next start refuses.
#[tokio::test]
async fn damage_in_an_older_segment_is_found_and_the_next_start_refuses() {
    let pristine = long().await;
    let files = pristine.list().unwrap();
    let older = &files[1];
    let lines = pristine.bytes(older).iter().rposition(|b| *b != b'\n').unwrap();

    for at in (0..lines).step_by(97).chain([lines - 1]) {
        for cut in [false, true] {
            let medium = pristine.power_cut(0);
            medium.edit(older, |bytes| {
                if cut {
                    bytes.truncate(at);
                } else {
                    bytes[at] ^= 1;
                }
            });

            if let Ok(journal) = quickly(&medium) {
                let proof = journal.proved();
                let Proof::Damaged(why) = proof else { panic!("byte {at}, cut {cut}: {proof:?}") };
                assert!(why.contains(older.as_str()), "byte {at}: {why}");
                drop(journal);
            }
            let Err(OpenError::Damaged { place, .. }) = quickly(&medium) else {
                panic!("byte {at}, cut {cut}: it opened")
            };
            assert!(place.segment == *older || cut, "byte {at}: {place:?}");
        }
    }
}

#[tokio::test]
async fn a_journal_that_was_marked_and_is_whole_again_opens() {
    let medium = long().await;
    medium.create("damaged").unwrap();

    let journal = quickly(&medium).unwrap();

    assert_eq!(journal.proved(), Proof::Whole);
    assert!(!medium.list().unwrap().contains(&"damaged".to_owned()));
}

/// Prints how long a journal of a million lines takes to open, in release:
/// `cargo test --release --lib a_million_lines -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement: it writes 700 MB"]
#[expect(clippy::print_stdout, reason = "figures are what it is for")]
fn a_million_lines_are_opened_at_their_end() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 1_000_000);
    let medium: Arc<dyn Medium> = Arc::new(RealMedium::new(dir.path()));

    for quick in [true, false] {
        let began = std::time::Instant::now();
        let options = JournalOptions { quick, ..JournalOptions::default() };
        let (journal, torn) = Journal::open(medium.clone(), options).unwrap();
        let opened = began.elapsed();
        let proof = journal.proved();
        println!("quick: {quick}; open after {opened:?}, proved after {:?}", began.elapsed());
        assert_eq!((journal.shared.durable(), torn, proof), (1_000_000, None, Proof::Whole));
    }
}

/// Writes a journal without its writer, which would sync.
fn written(dir: &std::path::Path, lines: u64) {
    use std::io::Write as _;
    let mut prev = line::NO_PREV.to_owned();
    let (mut file, mut bytes) = (None, 0);
    for seq in 1..=lines {
        let reason = "x".repeat(400);
        let entry = Entry::PauseChanged { paused: true, by: format!("by {seq}"), reason };
        let commit = Commit { seq, at: Time::UNIX_EPOCH, entries: vec![entry] };
        let (text, hash) = line::encode(&Body::of(&commit).unwrap(), &prev, false);
        prev = hash;
        if bytes == 0 || bytes > 64 << 20 {
            let path = dir.join(segment_name(seq));
            file = Some(std::io::BufWriter::new(std::fs::File::create(path).unwrap()));
            bytes = 0;
        }
        let out = file.as_mut().unwrap();
        out.write_all(text.as_bytes()).unwrap();
        out.write_all(b"\n").unwrap();
        bytes += text.len() + 1;
    }
    file.unwrap().flush().unwrap();
}
