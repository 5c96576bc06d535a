//! Checkpoints that were kept elsewhere: what nobody with access to the folder can have changed.
//!
//! The folder holds the signing key, so whoever has all of it can write another history and sign that. A
//! checkpoint that left the machine before says what the chain was then. May use `model`; reads no file.

use serde::Deserialize;

use super::checkpoint;
use crate::model::entry::Entry;

/// The hash that a line had when it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) seq: u64,
    pub(crate) head: String,
}

/// Why text holds no anchors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadAnchor {
    #[error("line {line} is neither a checkpoint nor a commit")]
    Unreadable { line: usize },
    #[error("line {line}, the checkpoint of line {seq} of the journal: {why}")]
    Signature { line: usize, seq: u64, why: checkpoint::BadCheckpoint },
    #[error("there is no checkpoint in it")]
    None,
}

/// Reads what `quell audit export` printed: commits or single checkpoints, one a line. Commits without a
/// checkpoint are passed over. Each checkpoint's signature must hold, by one of `keys` if any is given.
pub(crate) fn read(text: &str, keys: &[String]) -> Result<Vec<Anchor>, BadAnchor> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Line {
        Commit { entries: Vec<Entry> },
        One(Box<Entry>),
    }

    let mut anchors = Vec::new();
    for (n, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let line = n + 1;
        let entries = match serde_json::from_str(text) {
            Ok(Line::Commit { entries }) => entries,
            Ok(Line::One(entry)) => vec![*entry],
            Err(_) => return Err(BadAnchor::Unreadable { line }),
        };
        for entry in entries {
            let Entry::Checkpoint { head, seq, key: by, signature } = entry else { continue };
            let trusted =
                keys.iter().find(|key| **key == by).or_else(|| keys.first()).unwrap_or(&by);
            checkpoint::verify(trusted, &by, seq, &head, &signature)
                .map_err(|why| BadAnchor::Signature { line, seq, why })?;
            anchors.push(Anchor { seq, head });
        }
    }
    if anchors.is_empty() { Err(BadAnchor::None) } else { Ok(anchors) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::checkpoint::CheckpointKey;

    #[test]
    fn only_signed_checkpoints_are_anchors() {
        let dir = tempfile::tempdir().unwrap();
        let key = CheckpointKey::create(dir.path()).unwrap();
        let one = serde_json::to_string(&key.entry(7, "abc")).unwrap();
        let commit = format!("{{\"seq\":8,\"at\":\"2026-01-01T00:00:00Z\",\"entries\":[{one}]}}");
        let other = CheckpointKey::create(tempfile::tempdir().unwrap().path()).unwrap().public();
        let expected = Anchor { seq: 7, head: "abc".to_owned() };

        let both = read(&format!("{one}\n\n{commit}\n"), &[key.public()]);

        assert_eq!(both, Ok(vec![expected.clone(), expected]));
        assert!(matches!(read(&one, &[other]), Err(BadAnchor::Signature { seq: 7, .. })));
        let forged = one.replace("abc", "abd");
        assert!(matches!(read(&forged, &[]), Err(BadAnchor::Signature { line: 1, .. })));
        assert_eq!(read("{}\n", &[]), Err(BadAnchor::Unreadable { line: 1 }));
        assert_eq!(read("", &[]), Err(BadAnchor::None));
    }
}
