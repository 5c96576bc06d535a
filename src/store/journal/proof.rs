//! Opens a long journal quickly, and proves the rest of it behind the scenes.
//!
//! The last segment is read whole, as ever. Of an older one only the first and the last line are, which
//! shows that the segments follow each other; what lies between is walked by a thread of its
//! own while everything goes on. Damage that it finds is told, and marked, so that the next start reads
//! everything and refuses.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tracing::{error, info};

use super::line::{self, Checked};
use super::lines::{Lines, to_u64};
use super::medium::Medium;
use super::open::{OpenError, Scan, Walk, scan};
use super::segment;
use super::shared::{Head, Map, Shared};

/// In the journal's folder: damage was found while it was in use.
const MARK: &str = "damaged";

/// Bytes read at once from the end of a segment.
const CHUNK: usize = 64 * 1024;

/// After so many lines the thread rests a little: nobody waits for it.
const REST_EVERY: u64 = 2_000;
const REST: Duration = Duration::from_millis(2);

/// How far the proof of older segments is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    Pending,
    Whole,
    Damaged(String),
}

/// Reads as little as will do; everything where that is not enough, or where damage was marked.
/// Also says where the part begins that was read whole.
pub(super) fn quick(medium: &dyn Medium) -> Result<(Scan, u64), OpenError> {
    let io = |source| OpenError::Io { file: "folder".to_owned(), source };
    let files = medium.list().map_err(io)?;
    let marked = files.iter().any(|file| file == MARK);
    let mut firsts: Vec<u64> = files.iter().filter_map(|file| segment::first_of(file)).collect();
    firsts.sort_unstable();
    if let Some((last, sealed)) = firsts.split_last()
        && !marked
        && let Some(map) = joined(medium, sealed, *last)
    {
        let mut walk = Walk { medium, map, torn: None };
        walk.segment(*last, true, &mut |_, _, _| {})?;
        return Ok((Scan { map: walk.map, torn: walk.torn }, *last));
    }
    // Whatever is wrong, this says it best.
    let scanned = scan(medium, &mut |_, _, _| {})?;
    if marked {
        medium.remove(MARK).and_then(|()| medium.sync_dir()).map_err(io)?;
    }
    Ok((scanned, 1))
}

/// The map of the sealed segments, if each follows the one before; `None` otherwise.
fn joined(medium: &dyn Medium, sealed: &[u64], last: u64) -> Option<Map> {
    let mut map = Map::new();
    if let Some(first) = sealed.first().filter(|first| **first > 1) {
        let begins = Lines::new(medium, &segment::name(*first), 0).next_line().ok()??;
        let start = line::check(&begins.bytes).ok()?;
        map.begin(Head { seq: first - 1, hash: start.prev });
    }
    let nexts = sealed.iter().skip(1).chain([&last]);
    for (first, next) in sealed.iter().zip(nexts) {
        let file = segment::name(*first);
        let begins = Lines::new(medium, &file, 0).next_line().ok()??;
        let start = line::check(&begins.bytes).ok()?;
        let (end, Checked { seq, hash, .. }) = last_line(medium, &file).ok()??;
        let follows = start.seq == *first
            && start.seq == map.head.seq + 1
            && start.prev == map.head.hash
            && seq + 1 == *next;
        if !follows {
            return None;
        }
        map.push(Head { seq: start.seq, hash: start.hash }, *first, begins.offset, end);
        map.head = Head { seq, hash };
    }
    Some(map)
}

/// The last line of a segment, and where it ends.
fn last_line(medium: &dyn Medium, file: &str) -> io::Result<Option<(u64, Checked)>> {
    let mut at = medium.size(file)?;
    // What was read so far, from `at` on, without the room behind the last line.
    let mut tail: Vec<u8> = Vec::new();
    while at > 0 {
        let size = usize::try_from(at).unwrap_or(usize::MAX).min(CHUNK);
        let mut chunk = vec![0; size];
        at -= to_u64(size);
        let mut got = 0;
        while got < size {
            match medium.read_at(file, at + to_u64(got), &mut chunk[got..])? {
                0 => return Ok(None),
                n => got += n,
            }
        }
        chunk.append(&mut tail);
        tail = chunk;
        while tail.last() == Some(&b'\n') {
            tail.pop();
        }
        let begin = tail.iter().rposition(|byte| *byte == b'\n').map(|n| n + 1);
        let begin = begin.or_else(|| (at == 0 && !tail.is_empty()).then_some(0));
        if let Some(begin) = begin {
            let end = at + to_u64(tail.len()) + 1;
            return Ok(line::check(&tail[begin..]).ok().map(|checked| (end, checked)));
        }
    }
    Ok(None)
}

/// Walks the lines before `until`, which were not read at the start.
pub(super) fn prove(medium: &Arc<dyn Medium>, shared: &Shared, until: u64) {
    match walk(medium.as_ref(), shared, until) {
        Ok(true) => {
            info!("Proved the journal's {} older lines", until - 1);
            shared.set_proof(Proof::Whole);
        }
        // The process ends.
        Ok(false) => {}
        Err(damage) => {
            error!(
                "{damage}; what is under way goes on, and the next start will refuse: restore a backup, or import the lines before the damage"
            );
            shared.set_proof(Proof::Damaged(damage.to_string()));
            if let Err(error) = medium.create(MARK).and_then(|()| medium.sync_dir()) {
                error!("Could not mark the journal as damaged: {error}");
            }
        }
    }
}

fn walk(medium: &dyn Medium, shared: &Shared, until: u64) -> Result<bool, OpenError> {
    let mut walk = Walk { medium, map: Map::new(), torn: None };
    let firsts: Vec<u64> =
        crate::store::hold::hold(&shared.map).segments.range(..until).map(|(f, _)| *f).collect();
    for first in firsts {
        walk.segment(first, false, &mut |place, _, checked| {
            shared.mark(checked.seq, first, place.offset);
            if checked.seq.is_multiple_of(REST_EVERY) && !shared.is_closing() {
                thread::sleep(REST);
            }
        })?;
        if shared.is_closing() {
            return Ok(false);
        }
    }
    Ok(true)
}
