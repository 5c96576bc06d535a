//! An archive is whole or is seen not to be.

use std::path::PathBuf;

use std::sync::Arc;

use super::*;
use crate::engine::ports::{Evidence as _, Store as _};
use crate::model::entry::{Commit, Entry};
use crate::store::conformance::StillClock;
use crate::store::disk::DiskStore;
use crate::store::folder::{Folder, Options};
use crate::store::verify::audit;

/// A folder with some lines and some evidence, and an archive of it.
struct Bench {
    dir: tempfile::TempDir,
    store: DiskStore,
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        Folder::create(&data).unwrap();
        let (store, _) = Folder::open(&data, Options::new(Arc::new(StillClock))).unwrap();
        let bench = Self { dir, store };
        bench.write(1, 20).await;
        bench.store.evidence().append(vec![serde_json::json!({"n": 1})]).await.unwrap();
        bench
    }

    async fn write(&self, from: u64, to: u64) {
        for seq in from..=to {
            let paused = Entry::PauseChanged {
                paused: true,
                by: "a test".to_owned(),
                reason: format!("note {seq}"),
            };
            let commit = Commit { seq, at: Time::UNIX_EPOCH, entries: vec![paused] };
            self.store.submit(commit).await.unwrap();
        }
    }

    fn pack(&self) -> PathBuf {
        let file = self.dir.path().join("backup.tar.gz");
        let manifest =
            self.store.pack(std::fs::File::create(&file).unwrap(), Time::UNIX_EPOCH).unwrap();
        assert_eq!(check(&file).unwrap(), manifest);
        file
    }

    fn unpacked(&self, file: &std::path::Path) -> Result<(PathBuf, Manifest), String> {
        let to = self.dir.path().join("unpacked");
        let manifest = unpack(file, &to).map_err(|e| e.to_string())?;
        Ok((to, manifest))
    }
}

#[tokio::test]
async fn an_archive_comes_back_as_it_was_and_without_the_key() {
    let bench = Bench::new().await;
    let (head, hash) = bench.store.head();

    let file = bench.pack();
    bench.write(21, 30).await;
    let (to, manifest) = bench.unpacked(&file).unwrap();

    assert_eq!((manifest.head, &manifest.head_hash), (head, &hash));
    let audited = audit(&to, &[], &mut |_| Ok(())).unwrap();
    assert_eq!((audited.head, audited.head_hash, audited.torn), (20, hash, None));
    let evidence = std::fs::read_to_string(to.join("evidence/1970-01-01T00.ndjson")).unwrap();
    assert_eq!(evidence, "{\"n\":1}\n");
    assert!(!to.join("keys").exists());
    assert_eq!(
        manifest.members.iter().map(|m| m.path.as_str()).collect::<Vec<_>>(),
        ["format", "journal/000000000001.ndjson", "evidence/1970-01-01T00.ndjson"]
    );
}

#[tokio::test]
async fn an_archive_cut_anywhere_is_refused() {
    let bench = Bench::new().await;
    let file = bench.pack();
    let whole = std::fs::read(&file).unwrap();

    for kept in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        std::fs::write(&file, &whole[..kept]).unwrap();
        let error = check(&file).unwrap_err().to_string();
        assert!(error.contains("is not a whole backup"), "{kept}: {error}");
    }
}

#[tokio::test]
async fn an_archive_with_any_byte_changed_is_refused_or_says_the_same() {
    let bench = Bench::new().await;
    let file = bench.pack();
    let whole = std::fs::read(&file).unwrap();
    let manifest = check(&file).unwrap();

    for at in (0..whole.len()).step_by(5) {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        std::fs::write(&file, &changed).unwrap();
        // Some bits of a gzip file mean nothing; whatever is let through is what was packed.
        if let Ok(found) = check(&file) {
            assert_eq!(found, manifest, "byte {at}");
        }
    }
}

#[test]
fn only_our_own_names_are_let_out_of_an_archive() {
    for name in ["format", "journal/000000000001.ndjson", "evidence/2026-11-22T04.ndjson"] {
        assert!(belongs(name), "{name}");
    }
    for name in [
        "/etc/passwd",
        "../format",
        "journal/../000000000001.ndjson",
        "journal/x.ndjson",
        "evidence/../../x",
        "evidence/a/2026-11-22T04.ndjson",
        "keys/checkpoint.pk8",
        "lock",
    ] {
        assert!(!belongs(name), "{name}");
    }
}
