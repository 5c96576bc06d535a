//! The index's keys, and values that are too long for one.

use crate::model::id::IncidentId;

/// How rows and timelines are laid out; an index of another layout is made again.
pub(super) const LAYOUT_KEY: &[u8] = b"m/layout";
pub(super) const LAYOUT: &[u8] = b"6";
pub(super) const POSITION: &[u8] = b"m/position";
pub(super) const ROWS: &[u8] = b"r/";

/// sled copies whole tree nodes, so one long value makes its neighbours slow.
const PART: usize = 3584;

const WHOLE: u8 = 0;
const IN_PARTS: u8 = 1;

/// What is kept under a row's key.
pub(super) enum Stored<'v> {
    Whole(&'v [u8]),
    /// So many parts are behind the key.
    Parts(usize),
    Unknown,
}

pub(super) fn row(key: &str) -> Vec<u8> {
    [ROWS, key.as_bytes()].concat()
}

/// Sorts behind every key that starts with `prefix`: no key holds this byte, since names are UTF-8.
pub(super) fn behind(prefix: &[u8]) -> Vec<u8> {
    [prefix, &[0xff]].concat()
}

/// The row's own name. Only what [`row`] made is in the tree under its prefix.
pub(super) fn name(row: &[u8]) -> String {
    String::from_utf8_lossy(row.strip_prefix(ROWS).unwrap_or(row)).into_owned()
}

/// Sorts right behind its row; rows' own keys hold no NUL.
pub(super) fn part(row: &[u8], n: usize) -> Vec<u8> {
    let n = u16::try_from(n).unwrap_or(u16::MAX);
    [row, &[0], &n.to_be_bytes()].concat()
}

pub(super) fn is_part(key: &[u8]) -> bool {
    key.contains(&0)
}

/// What to keep under the key, and the parts behind it; `None` if there would be too many.
pub(super) fn split(value: &[u8]) -> Option<(Vec<u8>, Vec<&[u8]>)> {
    if value.len() <= PART {
        return Some(([&[WHOLE], value].concat(), Vec::new()));
    }
    let parts: Vec<&[u8]> = value.chunks(PART).collect();
    let [high, low] = u16::try_from(parts.len()).ok()?.to_be_bytes();
    Some((vec![IN_PARTS, high, low], parts))
}

pub(super) fn stored(value: &[u8]) -> Stored<'_> {
    match value {
        [WHOLE, rest @ ..] => Stored::Whole(rest),
        [IN_PARTS, high, low] => Stored::Parts(usize::from(u16::from_be_bytes([*high, *low]))),
        _ => Stored::Unknown,
    }
}

pub(super) fn parts(value: &[u8]) -> usize {
    if let Stored::Parts(count) = stored(value) { count } else { 0 }
}

/// The incident that a row is, if it is one.
pub(super) fn incident(row: &str) -> Option<IncidentId> {
    row.strip_prefix("incident/")?.parse().ok()
}

/// What the keys of an incident's timeline begin with.
pub(super) fn timeline(incident: IncidentId) -> Vec<u8> {
    format!("t/{incident}/").into_bytes()
}

/// A stretch of an incident's timeline, by its first commit; sorts by sequence.
pub(super) fn moment(incident: IncidentId, seq: u64) -> Vec<u8> {
    format!("t/{incident}/{seq:016x}").into_bytes()
}

pub(super) fn moment_seq(key: &[u8]) -> Option<u64> {
    let digits = key.get(key.len().checked_sub(16)?..)?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The sequences behind the first of a stretch.
pub(super) fn numbers(value: &[u8]) -> impl Iterator<Item = u64> + '_ {
    value.chunks_exact(8).filter_map(number)
}

pub(super) fn number(value: &[u8]) -> Option<u64> {
    let bytes: [u8; 8] = value.try_into().ok()?;
    Some(u64::from_be_bytes(bytes))
}
