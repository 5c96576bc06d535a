//! Reads a journal from its first line to its last and decides whether it can be trusted.
//!
//! A *torn tail* is what a power cut leaves: bytes after the last good line that were
//! never acknowledged. It is cut and reported. Anything else that is wrong is *damage*:
//! acknowledged lines were changed or lost. Over damage nothing is opened, because every
//! way of going on silently would drop history.
//!
//! The two are told apart by what follows: a line that begins a write of its own was
//! written after everything before it had been synced, so a bad line before it is damage.

use serde::Serialize;
use std::io;

use super::line::{self, BadLine, Checked, NO_PREV};
use super::lines::{Lines, Raw};
use super::medium::Medium;
use super::segment::{self, Segment};
use super::shared::{Head, Map};
use crate::engine::ports::StoreError;

/// Where a line is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    pub(crate) segment: String,
    /// Counted from 1, empty lines aside.
    pub(crate) line: u64,
    /// The sequence that belongs there.
    pub(crate) seq: u64,
    /// Bytes from the segment's start.
    pub(crate) offset: u64,
}

/// What was behind the last good line and is not part of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TornTail {
    pub(crate) place: Place,
    pub(crate) bytes: u64,
    /// Lines of the same unfinished write that were whole.
    pub(crate) whole_lines: u64,
    pub(crate) why: String,
}

/// Why a journal is not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(
        "the journal is damaged: {why} (journal/{}, line {}, sequence {}, byte {})",
        .place.segment, .place.line, .place.seq, .place.offset
    )]
    Damaged { place: Place, why: String },
    #[error("the journal's `{file}` could not be read or written")]
    Io { file: String, source: io::Error },
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Damaged { .. } => Self::Read(error.to_string()),
            OpenError::Io { file, source } => {
                Self::Read(format!("the journal's `{file}` could not be read or written: {source}"))
            }
        }
    }
}

/// Sees every good line in order.
pub(crate) type Visitor<'v> = dyn FnMut(&Place, &Raw, &Checked) + 'v;

/// What a journal holds.
pub(crate) struct Scan {
    pub(crate) map: Map,
    pub(crate) torn: Option<TornTail>,
}

impl Scan {
    /// The segment to go on writing in, its torn tail cut; a new one in an empty journal.
    pub(crate) fn into_segment(self, medium: &dyn Medium) -> Result<(Map, Segment), OpenError> {
        let last = self.map.segments.last_key_value().map(|(first, end)| (*first, *end));
        let (file, segment) = match last {
            Some((first, end)) => (segment::name(first), Segment::resume(medium, first, end)),
            None => (segment::name(1), Segment::create(medium, 1)),
        };
        let cut = segment.and_then(|mut segment| {
            if self.torn.is_some() {
                segment.cut(medium)?;
            }
            Ok(segment)
        });
        let segment = cut.map_err(|source| OpenError::Io { file, source })?;
        Ok((self.map, segment))
    }
}

/// Reads everything, changes nothing.
pub(crate) fn scan(medium: &dyn Medium, visit: &mut Visitor<'_>) -> Result<Scan, OpenError> {
    let files =
        medium.list().map_err(|source| OpenError::Io { file: "folder".to_owned(), source })?;
    let mut firsts: Vec<u64> = files.iter().filter_map(|file| segment::first_of(file)).collect();
    firsts.sort_unstable();
    let mut walk = Walk { medium, map: Map::new(), torn: None };
    for (n, first) in firsts.iter().enumerate() {
        walk.segment(*first, n + 1 == firsts.len(), visit)?;
    }
    Ok(Scan { map: walk.map, torn: walk.torn })
}

/// Reads one file of lines, such as an export. In it nothing may be torn. Gives what it begins behind.
pub(crate) fn scan_file(
    medium: &dyn Medium,
    file: &str,
    visit: &mut Visitor<'_>,
) -> Result<Head, OpenError> {
    let mut walk = Walk { medium, map: Map::new(), torn: None };
    // No first line of an export is told by its name.
    walk.may_begin(file, u64::MAX)?;
    walk.lines(file, 1, false, visit)?;
    Ok(walk.map.start)
}

/// Goes over lines, each of which must follow the one before.
pub(super) struct Walk<'m> {
    pub(super) medium: &'m dyn Medium,
    pub(super) map: Map,
    pub(super) torn: Option<TornTail>,
}

impl Walk<'_> {
    pub(super) fn segment(
        &mut self,
        first: u64,
        last: bool,
        visit: &mut Visitor<'_>,
    ) -> Result<(), OpenError> {
        let file = segment::name(first);
        self.may_begin(&file, first)?;
        let next = self.map.head.seq + 1;
        if first != next {
            let place = Place { segment: file, line: 0, seq: next, offset: 0 };
            let why = format!("the segment begins with line {first} where {next} belongs");
            return Err(OpenError::Damaged { place, why });
        }
        self.map.segments.insert(first, 0);
        self.lines(&file, first, last, visit)
    }

    /// The first file need not begin with the first line: older ones may have been dropped. Whoever
    /// walks holds [`Map::start`] against what says so.
    fn may_begin(&mut self, file: &str, first: u64) -> Result<(), OpenError> {
        if first <= 1 || self.map.head.seq > 0 || !self.map.segments.is_empty() {
            return Ok(());
        }
        let raw = read(&mut Lines::new(self.medium, file, 0), file)?;
        if let Some(checked) = raw.and_then(|raw| line::check(&raw.bytes).ok()) {
            self.map.begin(Head { seq: checked.seq.saturating_sub(1), hash: checked.prev });
        }
        Ok(())
    }

    /// Walks the lines of a file; `last` = bytes at its end may be those of an unfinished write.
    fn lines(
        &mut self,
        file: &str,
        first: u64,
        last: bool,
        visit: &mut Visitor<'_>,
    ) -> Result<(), OpenError> {
        let mut place =
            Place { segment: file.to_owned(), line: 0, seq: self.map.head.seq + 1, offset: 0 };
        let mut lines = Lines::new(self.medium, file, 0);
        while let Some(raw) = read(&mut lines, file)? {
            place.line += 1;
            place.seq = self.map.head.seq + 1;
            place.offset = raw.offset;
            match self.follows(&raw) {
                Ok(checked) => {
                    visit(&place, &raw, &checked);
                    let head = Head { seq: checked.seq, hash: checked.hash };
                    self.map.push(head, first, raw.offset, raw.next_offset());
                }
                Err(why) if last => {
                    self.torn = Some(tail(&mut lines, &raw, place, why)?);
                    return Ok(());
                }
                Err(why) => return Err(OpenError::Damaged { place, why }),
            }
        }
        Ok(())
    }

    /// The line's own hash holds and it is the one that comes next.
    fn follows(&self, raw: &Raw) -> Result<Checked, String> {
        let checked = line::check(&raw.bytes).map_err(|bad| bad.to_string())?;
        let head = &self.map.head;
        if checked.seq != head.seq + 1 {
            return Err(format!("line {} stands where {} belongs", checked.seq, head.seq + 1));
        }
        if checked.prev != head.hash {
            let before = if head.hash == NO_PREV { "the start" } else { "the line before" };
            return Err(format!("line {} does not name the hash of {before}", checked.seq));
        }
        Ok(checked)
    }
}

/// Reads what follows a bad line in the last segment: only the rest of one unfinished write
/// may.
fn tail(
    lines: &mut Lines<'_>,
    bad: &Raw,
    place: Place,
    why: String,
) -> Result<TornTail, OpenError> {
    let mut torn = TornTail { place, bytes: 0, whole_lines: 0, why };
    let mut next = Some((line::check(&bad.bytes), bad.next_offset()));
    while let Some((checked, end)) = next {
        match checked {
            Ok(checked) if !checked.joined => {
                let why = format!("{}; line {} after it is whole", torn.why, checked.seq);
                return Err(OpenError::Damaged { place: torn.place, why });
            }
            Ok(_) => torn.whole_lines += 1,
            // Written so, by a newer program perhaps: not ours to cut.
            Err(bad @ (BadLine::Version(_) | BadLine::Json(_))) => {
                return Err(OpenError::Damaged { place: torn.place, why: bad.to_string() });
            }
            Err(BadLine::Incomplete | BadLine::Hash) => {}
        }
        torn.bytes = end - torn.place.offset;
        next = read(lines, &torn.place.segment)?
            .map(|raw| (line::check(&raw.bytes), raw.next_offset()));
    }
    Ok(torn)
}

fn read(lines: &mut Lines<'_>, file: &str) -> Result<Option<Raw>, OpenError> {
    lines.next_line().map_err(|source| OpenError::Io { file: file.to_owned(), source })
}
