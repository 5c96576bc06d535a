//! The last key set of each transmitter, a file each, so that a restart does not depend on the transmitter.
//!
//! What is kept is public. No backup has it: a copy reads it anew.

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use tokio::task::spawn_blocking;

use crate::jwks::{Kept, Shelf};
use crate::model::id::SourceId;

/// The folder. Cheap to clone.
#[derive(Clone)]
pub(crate) struct KeySets(PathBuf);

impl KeySets {
    pub(crate) fn at(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    /// A source's name is a person's, and may be no file's.
    fn path(&self, source: &SourceId) -> PathBuf {
        self.0.join(format!("{}.json", hex::encode(&Sha256::digest(source.as_str())[..16])))
    }

    fn write(&self, kept: &Kept) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.0)?;
        let path = self.path(&kept.source);
        let part = path.with_extension("part");
        let mut file = File::create(&part)?;
        file.write_all(&serde_json::to_vec(kept)?)?;
        file.sync_all()?;
        std::fs::rename(part, path)?;
        File::open(&self.0)?.sync_all()
    }

    fn remove(&self, source: &SourceId) -> std::io::Result<()> {
        match std::fs::remove_file(self.path(source)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            other => other?,
        }
        File::open(&self.0)?.sync_all()
    }
}

#[async_trait]
impl Shelf for KeySets {
    async fn keep(&self, kept: Kept) -> Result<(), String> {
        let own = self.clone();
        let written = spawn_blocking(move || {
            own.write(&kept).map_err(|error| {
                // An older set may hold a key that this one lacks: rather none than that.
                let gone = own.remove(&kept.source);
                let more = gone.err().map(|e| format!("; and the older set is still there: {e}"));
                format!("{error}{}", more.unwrap_or_default())
            })
        });
        written.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    async fn kept(&self, source: &SourceId) -> Option<Kept> {
        let path = self.path(source);
        let read = spawn_blocking(move || std::fs::read(path).ok()).await.ok()??;
        serde_json::from_slice(&read).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;
    use serde_json::json;

    fn kept(source: &str, keys: usize) -> Kept {
        Kept {
            source: source.into(),
            jwks_uri: "https://idp.example.com/keys".to_owned(),
            read_at: Time::UNIX_EPOCH,
            set: json!({"keys": vec![json!({}); keys]}),
        }
    }

    #[tokio::test]
    async fn the_newest_set_of_each_source_is_kept_whatever_the_source_is_called() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = KeySets::at(&dir.path().join("jwks"));
        assert_eq!(shelf.kept(&"idp".into()).await, None);

        for set in [kept("idp", 1), kept("../../idp", 2), kept("idp", 3)] {
            shelf.keep(set).await.unwrap();
        }

        assert_eq!(shelf.kept(&"idp".into()).await, Some(kept("idp", 3)));
        assert_eq!(shelf.kept(&"../../idp".into()).await, Some(kept("../../idp", 2)));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_set_that_cannot_be_kept_leaves_no_older_one() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = KeySets::at(dir.path());
        shelf.keep(kept("idp", 2)).await.unwrap();
        // Nothing can be written where a folder is in the way.
        std::fs::create_dir(shelf.path(&"idp".into()).with_extension("part")).unwrap();

        let refused = shelf.keep(kept("idp", 1)).await;

        assert!(refused.is_err());
        assert_eq!(shelf.kept(&"idp".into()).await, None);
    }
}
