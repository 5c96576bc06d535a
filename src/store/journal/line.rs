//! One line of the journal: what its bytes are, and whether they are what was written.
//!
//! `{"v":1,"seq":…,"at":…,"prev":"…","entries":[…],"hash":"…"}`, where `hash` is the
//! SHA-256 of the exact bytes before `,"hash"`, and `prev` is the hash of the line before.
//!
//! A line that was written in one go with the line above it begins with `{ ` instead of
//! `{`. A power cut may keep the later lines of such a group and lose an earlier one;
//! nothing of the group was acknowledged then. Without the mark, that would look like
//! damage. To a JSON reader it is nothing.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::model::entry::{Commit, Entry};
use crate::model::time::Time;

/// `prev` of the first line.
pub(crate) const NO_PREV: &str = "0000000000000000000000000000000000000000000000000000000000000000";

const HASH_KEY: &str = ",\"hash\":\"";
const HASH_LEN: usize = 64;
const HASH_END: &str = "\"}";
const ALONE: &str = "{\"v\":";
const JOINED: &str = "{ \"v\":";

/// Why bytes are not a line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadLine {
    #[error("the line is incomplete")]
    Incomplete,
    #[error("the line's bytes do not give its hash")]
    Hash,
    #[error("the line has version {0}, which this program does not know")]
    Version(u64),
    #[error("the line's hash holds, but it cannot be read: {0}")]
    Json(String),
}

/// The parts of a commit that do not depend on its place in the chain.
pub(crate) struct Body {
    pub(crate) seq: u64,
    at: String,
    entries: String,
}

impl Body {
    pub(crate) fn of(commit: &Commit) -> Result<Self, serde_json::Error> {
        Ok(Self {
            seq: commit.seq,
            at: serde_json::to_string(&commit.at)?,
            entries: serde_json::to_string(&commit.entries)?,
        })
    }

    /// A body whose entries are any text at all.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn raw(seq: u64, entries: &str) -> Self {
        Self { seq, at: "\"2026-05-05T10:15:30Z\"".to_owned(), entries: entries.to_owned() }
    }

    pub(crate) fn size(&self) -> usize {
        self.entries.len()
    }
}

/// What a line whose hash holds says about its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) seq: u64,
    pub(crate) prev: String,
    pub(crate) hash: String,
    /// Written in one go with the line before.
    pub(crate) joined: bool,
}

/// The line's bytes without a line end, and its hash.
pub(crate) fn encode(body: &Body, prev: &str, joined: bool) -> (String, String) {
    let start = if joined { JOINED } else { ALONE };
    let Body { seq, at, entries } = body;
    let mut line =
        format!("{start}1,\"seq\":{seq},\"at\":{at},\"prev\":\"{prev}\",\"entries\":{entries}");
    let hash = hex::encode(Sha256::digest(line.as_bytes()));
    line.push_str(HASH_KEY);
    line.push_str(&hash);
    line.push_str(HASH_END);
    (line, hash)
}

/// Checks that the bytes are as they were written. Says nothing about what is around them.
pub(crate) fn check(line: &[u8]) -> Result<Checked, BadLine> {
    #[derive(Deserialize)]
    struct Place {
        v: u64,
        seq: u64,
        prev: String,
    }

    let joined = line.starts_with(JOINED.as_bytes());
    if !joined && !line.starts_with(ALONE.as_bytes()) {
        return Err(BadLine::Incomplete);
    }
    let rest = line.strip_suffix(HASH_END.as_bytes()).ok_or(BadLine::Incomplete)?;
    let (rest, hash) =
        rest.split_at_checked(rest.len().saturating_sub(HASH_LEN)).ok_or(BadLine::Incomplete)?;
    let hashed = rest.strip_suffix(HASH_KEY.as_bytes()).ok_or(BadLine::Incomplete)?;
    let found = hex::encode(Sha256::digest(hashed));
    if found.as_bytes() != hash {
        return Err(BadLine::Hash);
    }
    let place: Place = serde_json::from_slice(line).map_err(|e| BadLine::Json(e.to_string()))?;
    if place.v != 1 {
        return Err(BadLine::Version(place.v));
    }
    Ok(Checked { seq: place.seq, prev: place.prev, hash: found, joined })
}

/// Checks a line and reads its commit.
pub(crate) fn parse(line: &[u8]) -> Result<Commit, BadLine> {
    #[derive(Deserialize)]
    struct Whole {
        seq: u64,
        at: Time,
        entries: Vec<Entry>,
    }

    check(line)?;
    let whole: Whole = serde_json::from_slice(line).map_err(|e| BadLine::Json(e.to_string()))?;
    Ok(Commit { seq: whole.seq, at: whole.at, entries: whole.entries })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn commit(seq: u64, millis: i64, notes: &[String]) -> Commit {
        let entries = notes
            .iter()
            .map(|note| Entry::PauseChanged {
                paused: true,
                by: note.clone(),
                reason: note.clone(),
            })
            .collect();
        Commit { seq, at: Time::from_timestamp_millis(millis).unwrap(), entries }
    }

    proptest! {
        #[test]
        fn a_line_reads_back_as_the_commit_it_was_made_of(
            seq in 1_u64..u64::MAX,
            millis in 0_i64..4_000_000_000_000,
            notes in prop::collection::vec(".*", 0..4),
            joined in any::<bool>(),
        ) {
            let commit = commit(seq, millis, &notes);

            let (line, hash) = encode(&Body::of(&commit).unwrap(), NO_PREV, joined);

            prop_assert!(!line.contains('\n'));
            let expected = Checked { seq, prev: NO_PREV.to_owned(), hash, joined };
            prop_assert_eq!(check(line.as_bytes()), Ok(expected));
            prop_assert_eq!(parse(line.as_bytes()), Ok(commit));
        }

        #[test]
        fn a_line_with_any_byte_changed_is_refused(place in any::<prop::sample::Index>(), flip in 1_u8..=255) {
            let commit = commit(7, 0, &["a\"b".to_owned()]);
            let (line, _) = encode(&Body::of(&commit).unwrap(), NO_PREV, false);
            let mut bytes = line.into_bytes();

            let at = place.index(bytes.len());
            bytes[at] ^= flip;

            prop_assert!(check(&bytes).is_err());
        }

        #[test]
        fn a_line_cut_short_is_refused(place in any::<prop::sample::Index>()) {
            let commit = commit(7, 0, &["note".to_owned()]);
            let (line, _) = encode(&Body::of(&commit).unwrap(), NO_PREV, false);

            let kept = place.index(line.len());

            prop_assert!(check(&line.as_bytes()[..kept]).is_err());
        }
    }

    /// Anyone must be able to check the chain with a JSON reader and `sha256sum`.
    #[test]
    fn the_hash_covers_the_exact_bytes_before_it() {
        let (line, hash) = encode(&Body::of(&commit(1, 0, &[])).unwrap(), NO_PREV, false);

        let hashed = format!(
            "{{\"v\":1,\"seq\":1,\"at\":\"1970-01-01T00:00:00Z\",\"prev\":\"{NO_PREV}\",\"entries\":[]"
        );
        assert_eq!(line, format!("{hashed},\"hash\":\"{hash}\"}}"));
        assert_eq!(hash, hex::encode(Sha256::digest(hashed.as_bytes())));
    }
}
