//! A journal's bytes: as a disk may give them back, and as lines whose hashes hold.

use super::led;
use crate::store::journal::line::{Body, NO_PREV, check, encode};
use crate::store::journal::torn::TornMedium;
use crate::store::journal::{Medium as _, parse, scan, scan_file, segment_name, to_u64};

/// Odd first byte: each line is put between a sound beginning and its hash, so that what reads
/// entries is reached. Otherwise the bytes are a segment as they are.
///
/// Reading never panics; what is not damage is counted to the last byte; a line that can be read
/// is written again as a line that says the same.
pub fn journal(data: &[u8]) {
    let (first, rest) = led(data);
    if first % 2 == 0 {
        walk(rest);
        return;
    }
    let mut prev = NO_PREV.to_owned();
    let mut segment = Vec::new();
    for (n, entries) in rest.split(|byte| *byte == b'\n').enumerate() {
        let Ok(entries) = std::str::from_utf8(entries) else { continue };
        let (line, hash) = encode(&Body::raw(to_u64(n) + 1, entries), &prev, first & 2 != 0);
        segment.extend_from_slice(line.as_bytes());
        segment.push(b'\n');
        prev = hash;
    }
    walk(&segment);
}

fn walk(segment: &[u8]) {
    let medium = TornMedium::default();
    let file = segment_name(1);
    let laid = medium.create(&file).and_then(|()| medium.write_at(&file, 0, segment));
    laid.expect("memory takes what it is given");
    let size = to_u64(segment.len());

    let mut lines = 0;
    let scanned = scan(&medium, &mut |place, raw, checked| {
        lines += 1;
        assert_eq!((place.seq, checked.seq), (lines, lines));
        assert!(raw.next_offset() <= size + 1);
        again(&raw.bytes);
    });
    if let Ok(scanned) = &scanned {
        assert_eq!(scanned.map.head.seq, lines, "a line was counted and not shown");
        if let Some(torn) = &scanned.torn {
            assert!(torn.place.offset + torn.bytes <= size + 1, "more is torn than there is");
        }
    }

    let mut exported = 0;
    let whole = scan_file(&medium, &file, &mut |_, _, _| exported += 1);
    let mut lines_of = segment.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let begins = lines_of.next().and_then(|line| check(line).ok()).map_or(1, |line| line.seq);
    if begins != 1 {
        // An export may begin behind dropped lines; a segment that is named after its first may not.
        return;
    }
    assert_eq!(exported, lines, "an export and a journal of the same bytes differ");
    let torn = scanned.map_or(true, |scanned| scanned.torn.is_some());
    assert_eq!(whole.is_err(), torn, "what is torn in a journal is damage in an export");
    for line in segment.split(|byte| *byte == b'\n') {
        again(line);
    }
}

/// What can be read is written as a line that says the same.
fn again(line: &[u8]) {
    let Ok(commit) = parse(line) else { return };
    let body = Body::of(&commit).expect("what was read can be written");
    let (line, _) = encode(&body, NO_PREV, false);
    assert_eq!(parse(line.as_bytes()), Ok(commit), "written again, it says something else");
}
