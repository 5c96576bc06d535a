//! The journal against a disk that forgets, tears, fills up and lies.

use super::torn::{Dice, TornMedium};
use super::*;
use crate::model::entry::Entry;
use crate::model::time::Time;

const SEGMENT: &str = "000000000001.ndjson";

pub(super) fn options() -> JournalOptions {
    JournalOptions {
        segment_bytes: 4096,
        growth: 1024,
        retry_every: Duration::from_millis(1),
        ..JournalOptions::default()
    }
}

pub(super) fn commit(seq: u64) -> Commit {
    let long = "x".repeat(usize::try_from(seq % 7).unwrap() * 60);
    let entry = Entry::PauseChanged { paused: true, by: format!("by {seq}"), reason: long };
    Commit { seq, at: Time::from_timestamp_millis(1_000).unwrap(), entries: vec![entry] }
}

pub(super) fn open(medium: &TornMedium) -> (Journal, Option<TornTail>) {
    Journal::open(Arc::new(medium.clone()), options()).unwrap()
}

fn damage(medium: &TornMedium) -> (Place, String) {
    match Journal::open(Arc::new(medium.clone()), options()) {
        Err(OpenError::Damaged { place, why }) => (place, why),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it opened"),
    }
}

/// Submits `from..=to` and waits for all; the last one that was acknowledged.
async fn write(journal: &Journal, from: u64, to: u64) -> u64 {
    let waiting: Vec<Durable> = (from..=to).map(|seq| journal.submit(&commit(seq))).collect();
    let mut acknowledged = from - 1;
    for (seq, durable) in (from..=to).zip(waiting) {
        if durable.await.is_ok() {
            acknowledged = seq;
        }
    }
    acknowledged
}

/// One line a write.
pub(super) async fn write_singly(journal: &Journal, from: u64, to: u64) {
    for seq in from..=to {
        journal.submit(&commit(seq)).await.unwrap();
    }
}

/// Offset and length of the line `n` (from 0) of a segment.
fn line_at(bytes: &[u8], n: usize) -> (usize, usize) {
    let mut at = 0;
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| {
        let found = (at, line.len());
        at += line.len() + 1;
        found
    });
    lines.filter(|(_, len)| *len > 0).nth(n).unwrap()
}

#[tokio::test]
async fn a_journal_reads_back_over_segments_and_restarts() {
    let medium = TornMedium::default();
    let (journal, _) = open(&medium);
    write_singly(&journal, 1, 200).await;
    drop(journal);
    let (journal, torn) = open(&medium);
    assert_eq!(write(&journal, 201, 230).await, 230);

    let all = journal.reader.commits(0, 999).unwrap();

    assert!(torn.is_none());
    assert_eq!(all, (1..=230).map(commit).collect::<Vec<_>>());
    assert!(medium.list().unwrap().len() > 3);
    assert_eq!(journal.reader.commits(128, 2).unwrap(), [commit(129), commit(130)]);
    assert_eq!(journal.reader.pick(&[63, 64, 230]).unwrap(), [commit(63), commit(64), commit(230)]);
    assert!(journal.reader.commits(230, 9).unwrap().is_empty());
}

#[tokio::test]
async fn a_commit_that_does_not_follow_the_head_is_refused() {
    let (journal, _) = open(&TornMedium::default());
    assert_eq!(write(&journal, 1, 3).await, 3);

    for wrong in [1, 3, 5] {
        let refused = journal.submit(&commit(wrong)).await;
        assert!(matches!(refused, Err(StoreError::OutOfOrder { head: 3, got }) if got == wrong));
    }
    assert_eq!(write(&journal, 4, 4).await, 4);
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_said() {
    let medium = TornMedium::default();
    let (journal, _) = open(&medium);
    write_singly(&journal, 1, 3).await;
    drop(journal);
    let (at, len) = line_at(&medium.bytes(SEGMENT), 2);
    medium.edit(SEGMENT, |bytes| bytes[at + len / 2..at + len].fill(b'\n'));

    let (journal, torn) = open(&medium);

    let torn = torn.unwrap();
    assert_eq!((torn.place.seq, torn.place.offset, torn.whole_lines), (3, to_u64(at), 0));
    assert_eq!(journal.shared.durable(), 2);
    assert_eq!(write(&journal, 3, 9).await, 9);
    drop(journal);
    let (journal, torn) = open(&medium);
    assert!(torn.is_none());
    assert_eq!(journal.reader.commits(0, 99).unwrap().len(), 9);
}

/// Lines after the bad one were acknowledged after it: opening would lose history silently.
#[tokio::test]
async fn damage_before_whole_lines_is_refused_and_named() {
    let medium = TornMedium::default();
    let (journal, _) = open(&medium);
    write_singly(&journal, 1, 5).await;
    drop(journal);
    let (at, _) = line_at(&medium.bytes(SEGMENT), 1);
    medium.edit(SEGMENT, |bytes| bytes[at + 30] ^= 1);

    let (place, why) = damage(&medium);

    assert_eq!((place.segment.as_str(), place.line, place.seq), (SEGMENT, 2, 2));
    assert_eq!(place.offset, to_u64(at));
    assert!(why.contains("does not") || why.contains("do not"), "{why}");
}

#[tokio::test]
async fn a_line_or_a_segment_that_is_gone_is_damage() {
    let medium = TornMedium::default();
    let (journal, _) = open(&medium);
    write_singly(&journal, 1, 60).await;
    drop(journal);
    let files = medium.list().unwrap();
    let without_line = medium.power_cut(0);
    let (at, len) = line_at(&medium.bytes(SEGMENT), 1);
    without_line.edit(SEGMENT, |bytes| bytes[at..at + len].fill(b'\n'));
    let without_segment = medium.power_cut(0);
    without_segment.remove(&files[1]).unwrap();

    assert_eq!(damage(&without_line).0.seq, 3 - 1);
    assert_eq!(damage(&without_segment).0.segment, files[2]);
}

/// A torn end of an earlier segment was synced before the next one began.
#[tokio::test]
async fn a_bad_end_of_an_earlier_segment_is_damage() {
    let medium = TornMedium::default();
    let (journal, _) = open(&medium);
    write_singly(&journal, 1, 60).await;
    drop(journal);
    medium.edit(SEGMENT, |bytes| {
        let end = bytes.iter().rposition(|byte| *byte != b'\n').unwrap();
        bytes[end] = b'x';
    });

    assert_eq!(damage(&medium).0.segment, SEGMENT);
}

#[tokio::test]
async fn a_full_disk_acknowledges_nothing_and_resumes_when_there_is_room() {
    let medium = TornMedium::default();
    let (journal, _) = open(&medium);
    write_singly(&journal, 1, 2).await;
    medium.set_room(Some(100));
    let mut acknowledged = 2;
    let mut held = Vec::new();
    // Goes on over what is laid out already, then hits the end.
    while journal.shared.refusal().is_none() {
        acknowledged += 1;
        held.push(journal.submit(&commit(acknowledged)));
        tokio::task::yield_now().await;
    }

    assert!(matches!(journal.ready(), Err(StoreError::Busy(_))));
    medium.set_room(None);
    for durable in held {
        durable.await.unwrap();
    }
    let stands = acknowledged;

    assert_eq!(write(&journal, stands + 1, stands + 5).await, stands + 5);
    drop(journal);
    let (journal, torn) = open(&medium);
    assert!(torn.is_none());
    assert_eq!(journal.shared.durable(), stands + 5);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_taken_until_a_restart() {
    let medium = TornMedium::default();
    let (journal, _) = open(&medium);
    write_singly(&journal, 1, 2).await;
    medium.cut_after(1);

    assert!(matches!(journal.submit(&commit(3)).await, Err(StoreError::Failed(_))));
    assert!(matches!(journal.submit(&commit(3)).await, Err(StoreError::Failed(_))));
    assert!(matches!(journal.shared.until_durable(3).await, Err(StoreError::Failed(_))));
}

#[tokio::test]
async fn closing_writes_what_is_queued() {
    let medium = TornMedium::default();
    let (journal, _) = open(&medium);
    for seq in 1..=50 {
        drop(journal.submit(&commit(seq)));
    }

    journal.close();

    assert!(matches!(journal.submit(&commit(51)).await, Err(StoreError::Failed(_))));
    assert_eq!(open(&medium).0.shared.durable(), 50);
}

/// Every acknowledged commit survives, whatever the power cut leaves of the rest, and what is
/// there is a whole prefix of what was submitted.
#[tokio::test]
async fn no_power_cut_loses_an_acknowledged_commit() {
    for seed in 0..400 {
        let mut dice = Dice::new(seed);
        let mut medium = TornMedium::default();
        let mut head = 0;
        for life in 0..3 {
            let (journal, _) = open(&medium);
            let found = journal.reader.commits(0, 9_999).unwrap();
            assert!(to_u64(found.len()) >= head, "seed {seed}, life {life}: lost some of {head}");
            assert_eq!(found, (1..=to_u64(found.len())).map(commit).collect::<Vec<_>>());
            let start = to_u64(found.len());

            medium.cut_after(dice.roll(24));
            head = start;
            while journal.shared.refusal().is_none() && head == journal.shared.durable() {
                let group = 1 + to_u64(dice.roll(9));
                let last = write(&journal, head + 1, head + group).await;
                let all = last == head + group;
                head = last;
                if !all {
                    break;
                }
            }
            drop(journal);
            medium = medium.power_cut(seed * 3 + life);
        }
        let (journal, _) = open(&medium);
        assert!(journal.shared.durable() >= head, "seed {seed}: lost some of {head}");
    }
}
