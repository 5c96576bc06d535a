//! A data folder that was filled by a real server, taken apart by hand: its lines, its copies, its forger.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// One line of a journal, and where it is.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) segment: PathBuf,
    pub(super) offset: usize,
    pub(super) seq: u64,
    pub(super) text: String,
}

/// A copy that a test may ruin.
pub(super) struct Copy {
    pub(super) dir: tempfile::TempDir,
}

impl Copy {
    pub(super) fn of(data: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(data, &dir.path().join("data"));
        Self { dir }
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        lines(&self.data())
    }

    /// Puts these texts in the place of the lines, in as many segments as there were.
    pub(super) fn rewrite(&self, texts: &[String]) {
        let journal = self.data().join("journal");
        let mut firsts: Vec<u64> =
            self.lines().iter().filter(|l| l.offset == 0).map(|l| l.seq).collect();
        std::fs::remove_dir_all(&journal).unwrap();
        std::fs::create_dir(&journal).unwrap();
        firsts.retain(|first| *first <= u64::try_from(texts.len()).unwrap());
        split(&journal, texts, &firsts);
    }
}

/// Writes lines that count from 1 into segments that begin at `firsts`.
pub(super) fn split(journal: &Path, texts: &[String], firsts: &[u64]) {
    for (n, first) in firsts.iter().enumerate() {
        let end = firsts.get(n + 1).map_or(texts.len(), |next| usize::try_from(*next).unwrap() - 1);
        let own = &texts[usize::try_from(*first).unwrap() - 1..end];
        let file = journal.join(format!("{first:012}.ndjson"));
        std::fs::write(file, format!("{}\n\n\n\n", own.join("\n"))).unwrap();
    }
}

pub(super) fn lines(data: &Path) -> Vec<Line> {
    let mut found = Vec::new();
    for segment in files(&data.join("journal")) {
        let text = std::fs::read_to_string(&segment).unwrap();
        let mut offset = 0;
        for line in text.split('\n') {
            if !line.is_empty() {
                let seq = serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap();
                let (segment, text) = (segment.clone(), line.to_owned());
                found.push(Line { segment, offset, seq, text });
            }
            offset += line.len() + 1;
        }
    }
    found
}

/// A folder's files, sorted.
pub(super) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_file())
        .collect();
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

/// Changes bytes of a file behind everybody's back.
pub(super) fn edit(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(file).unwrap();
    change(&mut bytes);
    std::fs::write(file, bytes).unwrap();
}

/// Chains the lines anew from 1 on, as somebody would who can write the folder; who has the signing key
/// signs every checkpoint anew as well.
pub(super) fn forge(texts: &[String], key: Option<&Path>) -> Vec<String> {
    let key = key.map(|file| Ed25519KeyPair::from_pkcs8(&std::fs::read(file).unwrap()).unwrap());
    let (mut hashes, mut forged) = (vec!["0".repeat(64)], Vec::new());
    for (n, text) in texts.iter().enumerate() {
        let old: Value = serde_json::from_str(text).unwrap();
        let mut line = text.clone();
        let seq = n + 1;
        line = line.replacen(&format!("\"seq\":{},", old["seq"]), &format!("\"seq\":{seq},"), 1);
        line = line.replacen(old["prev"].as_str().unwrap(), &hashes[n], 1);
        for entry in old["entries"].as_array().unwrap().iter().filter(|e| e["type"] == "checkpoint")
        {
            let Some(key) = &key else { continue };
            let about = usize::try_from(entry["seq"].as_u64().unwrap()).unwrap();
            let statement = format!("quell checkpoint 1\n{about}\n{}\n", hashes[about]);
            let signature = STANDARD.encode(key.sign(statement.as_bytes()).as_ref());
            let head = format!("\"head\":\"{}\"", hashes[about]);
            let was = format!("\"head\":{}", entry["head"]);
            line = line.replacen(&was, &head, 1);
            line = line.replacen(entry["signature"].as_str().unwrap(), &signature, 1);
            assert_eq!(STANDARD.encode(key.public_key().as_ref()), entry["key"].as_str().unwrap());
        }
        let end = line.rfind(",\"hash\":\"").unwrap();
        let hash = hex::encode(Sha256::digest(&line.as_bytes()[..end]));
        line.truncate(end);
        forged.push(format!("{line},\"hash\":\"{hash}\"}}"));
        hashes.push(hash);
    }
    forged
}
