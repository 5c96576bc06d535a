//! Where a journal begins whose older lines were dropped.
//!
//! The lines before are gone for good, so the first that is left names a hash which nothing bears out.
//! A file beside the segments says which line it is the hash of. It is there before any segment
//! goes, so that a journal whose beginning is merely lost is told from one that was cut on
//! purpose. For those who trust no folder, the chain says the same under a signature (`journal.pruned`).

use std::io;

use super::medium::Medium;
use super::open::{OpenError, Place};
use super::segment;
use super::shared::{Head, Map};

/// The file's name begins so; the last dropped line follows.
const PREFIX: &str = "start.";
/// Longest content that is read: a hash and a line end.
const LONGEST: usize = 80;

/// Whether a file of this name says where a journal begins.
pub(crate) fn is_start(file: &str) -> bool {
    through(file).is_some()
}

pub(crate) fn name(through: u64) -> String {
    format!("{PREFIX}{through:012}")
}

fn through(file: &str) -> Option<u64> {
    let through = file.strip_prefix(PREFIX)?.parse().ok()?;
    (name(through) == file).then_some(through)
}

/// The last dropped line, as the folder says it.
pub(super) fn read(medium: &dyn Medium) -> io::Result<Option<Head>> {
    let mut named: Vec<u64> = medium.list()?.iter().filter_map(|file| through(file)).collect();
    named.sort_unstable();
    while let Some(seq) = named.pop() {
        let mut bytes = [0; LONGEST];
        let got = medium.read_at(&name(seq), 0, &mut bytes)?;
        let hash = std::str::from_utf8(&bytes[..got]).ok().and_then(|text| text.strip_suffix('\n'));
        // One that was never finished: nothing was dropped for it.
        if let Some(hash) = hash.filter(|hash| hash.len() == 64) {
            return Ok(Some(Head { seq, hash: hash.to_owned() }));
        }
    }
    Ok(None)
}

/// Says, durably, that lines up to `last` may be dropped.
pub(crate) fn write(medium: &dyn Medium, last: &Head) -> io::Result<()> {
    let file = name(last.seq);
    let files = medium.list()?;
    if files.contains(&file) {
        medium.remove(&file)?;
    }
    medium.create(&file)?;
    medium.write_at(&file, 0, format!("{}\n", last.hash).as_bytes())?;
    medium.sync(&file)?;
    medium.sync_dir()?;
    for old in files.iter().filter(|old| is_start(old) && **old != file) {
        medium.remove(old)?;
    }
    Ok(())
}

/// Holds the beginning of what was read against what the folder says.
pub(super) fn check(medium: &dyn Medium, map: &Map) -> Result<Option<Head>, OpenError> {
    let io = |source| OpenError::Io { file: "folder".to_owned(), source };
    let said = read(medium).map_err(io)?;
    let begins = &map.start;
    if begins.seq == 0 {
        return Ok(said);
    }
    let why = match &said {
        None => "the lines before it are not there",
        Some(said) if said.seq < begins.seq => {
            "of the lines before it, some were not dropped but lost"
        }
        Some(said) if said.seq == begins.seq && said.hash != begins.hash => {
            "it does not name the hash of the last line that was dropped"
        }
        Some(_) => return Ok(said),
    };
    let first = begins.seq + 1;
    let place = Place { segment: segment::name(first), line: 1, seq: first, offset: 0 };
    Err(OpenError::Damaged { place, why: format!("it begins with line {first}, and {why}") })
}

/// Drops the segments that hold nothing behind `through`. The last one always stays.
pub(super) fn drop_segments(medium: &dyn Medium, map: &mut Map, last: &Head) -> io::Result<u64> {
    let through = last.seq;
    let firsts: Vec<u64> = map.segments.keys().copied().collect();
    let goes = firsts.windows(2).take_while(|pair| pair[1] <= through + 1).map(|pair| pair[0]);
    let mut bytes = 0;
    for first in goes.collect::<Vec<_>>() {
        let file = segment::name(first);
        bytes += medium.size(&file).unwrap_or_default();
        medium.remove(&file)?;
        map.forget(first);
    }
    if map.first() == through + 1 {
        map.start = last.clone();
    }
    medium.sync_dir()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::tests::{commit, open, options, write_singly};
    use super::super::torn::TornMedium;
    use super::super::{Journal, is_segment};
    use super::*;

    /// A journal of several segments, and the last line before its third one.
    async fn written() -> (TornMedium, Journal, Head) {
        let medium = TornMedium::default();
        let (journal, _) = open(&medium);
        write_singly(&journal, 1, 60).await;
        let third = *journal.shared.map.lock().unwrap().segments.keys().nth(2).unwrap();
        let last = journal.droppable(|commit| commit.seq <= third).unwrap().unwrap();
        assert_eq!(last.seq, third - 1);
        (medium, journal, last)
    }

    fn segments(medium: &TornMedium) -> usize {
        medium.list().unwrap().iter().filter(|file| is_segment(file)).count()
    }

    fn why_not(medium: &TornMedium) -> String {
        let opened = Journal::open(Arc::new(medium.clone()), options());
        opened.err().expect("it opened").to_string()
    }

    #[tokio::test]
    async fn what_is_left_of_a_journal_opens_reads_and_goes_on() {
        let (medium, journal, last) = written().await;
        let before = segments(&medium);

        assert!(journal.prune(&last).unwrap() > 0);

        assert_eq!(segments(&medium), before - 2);
        for quick in [false, true] {
            journal.close();
            let options = super::super::JournalOptions { quick, ..options() };
            let (journal, torn) = Journal::open(Arc::new(medium.clone()), options).unwrap();
            assert_eq!(torn, None);
            assert_eq!(journal.proved(), super::super::Proof::Whole);
            let next = journal.shared.durable() + 1;
            write_singly(&journal, next, next + 4).await;
            let read = journal.reader.commits(0, 999).unwrap();
            assert_eq!(read.first(), Some(&commit(last.seq + 1)), "older ones are gone");
            assert_eq!(read.last(), Some(&commit(next + 4)));
            assert_eq!(journal.reader.pick(&[1, last.seq, 60]).unwrap(), [commit(60)]);
        }
    }

    #[tokio::test]
    async fn a_beginning_that_was_lost_is_told_from_one_that_was_dropped() {
        let (medium, journal, last) = written().await;
        journal.close();
        let firsts: Vec<u64> =
            journal.shared.map.lock().unwrap().segments.keys().copied().collect();

        medium.remove(&segment::name(firsts[0])).unwrap();
        assert!(why_not(&medium).contains("the lines before it are not there"));
        // Said to be dropped up to there, but more is gone.
        write(&medium, &last).unwrap();
        medium.remove(&segment::name(firsts[1])).unwrap();
        medium.remove(&segment::name(firsts[2])).unwrap();
        assert!(why_not(&medium).contains("not dropped but lost"));
    }

    #[tokio::test]
    async fn a_first_line_that_follows_another_than_was_dropped_is_damage() {
        let (medium, journal, last) = written().await;
        journal.prune(&last).unwrap();
        journal.close();

        write(&medium, &Head { hash: "0".repeat(64), ..last }).unwrap();

        assert!(why_not(&medium).contains("does not name the hash of the last line"));
    }

    /// The process dies after it said so, and after each file that it removed.
    #[tokio::test]
    async fn dropping_that_was_cut_short_is_finished_by_the_next_start() {
        for removed in 0..2 {
            let (medium, journal, last) = written().await;
            journal.close();
            write(&medium, &last).unwrap();
            let firsts = journal.shared.map.lock().unwrap().segments.clone();
            for first in firsts.keys().take(removed) {
                medium.remove(&segment::name(*first)).unwrap();
            }

            let (journal, _) = open(&medium);

            assert_eq!(segments(&medium), firsts.len() - 2);
            assert_eq!(journal.reader.commits(0, 1).unwrap(), [commit(last.seq + 1)]);
        }
    }

    #[tokio::test]
    async fn a_statement_that_was_never_finished_drops_nothing() {
        let (medium, journal, last) = written().await;
        journal.close();
        medium.create(&name(last.seq)).unwrap();
        medium.write_at(&name(last.seq), 0, b"abc").unwrap();

        let (journal, _) = open(&medium);

        assert_eq!(journal.reader.commits(0, 1).unwrap(), [commit(1)]);
    }

    #[tokio::test]
    async fn a_new_segment_is_begun_when_asked_for() {
        let medium = TornMedium::default();
        let (journal, _) = open(&medium);
        write_singly(&journal, 1, 3).await;

        journal.roll();
        write_singly(&journal, 4, 6).await;

        let firsts: Vec<u64> =
            journal.shared.map.lock().unwrap().segments.keys().copied().collect();
        assert_eq!(firsts, [1, 4]);
    }
}
