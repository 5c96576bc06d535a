//! Signed statements of the chain's head: whoever holds one can tell that nothing before it
//! was rewritten.
//!
//! The key is made with the folder and never leaves it. Its public half stands in the
//! journal's first line.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::model::entry::Entry;

/// The key's file, in the folder's `keys`.
const FILE: &str = "checkpoint.pk8";

/// Why a key could not be made or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("the checkpoint key `{file}` could not be read or written")]
    Io { file: String, source: io::Error },
    #[error("the checkpoint key `{file}` is not an Ed25519 key in PKCS #8")]
    NotAKey { file: String },
    #[error("no checkpoint key could be made")]
    NotMade,
}

/// Why a checkpoint proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadCheckpoint {
    #[error("it is signed with another key than the deployment's")]
    OtherKey,
    #[error("its signature does not hold")]
    Signature,
}

/// The key that signs.
pub(crate) struct CheckpointKey(Ed25519KeyPair);

impl CheckpointKey {
    /// Makes a key in `dir`, readable by its owner only. Refuses to replace one.
    pub(crate) fn create(dir: &Path) -> Result<Self, KeyError> {
        let file = dir.join(FILE).display().to_string();
        let document =
            Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::NotMade)?;
        write_secret(&dir.join(FILE), document.as_ref())
            .map_err(|source| KeyError::Io { file: file.clone(), source })?;
        Self::from_bytes(document.as_ref(), file)
    }

    pub(crate) fn load(dir: &Path) -> Result<Self, KeyError> {
        let file = dir.join(FILE).display().to_string();
        let bytes = std::fs::read(dir.join(FILE))
            .map_err(|source| KeyError::Io { file: file.clone(), source })?;
        Self::from_bytes(&bytes, file)
    }

    fn from_bytes(bytes: &[u8], file: String) -> Result<Self, KeyError> {
        Ed25519KeyPair::from_pkcs8(bytes).map(Self).map_err(|_| KeyError::NotAKey { file })
    }

    /// The public half, base64: what `DeploymentCreated` carries.
    pub(crate) fn public(&self) -> String {
        STANDARD.encode(self.0.public_key().as_ref())
    }

    /// States that the chain's line `seq` has the hash `head`.
    pub(crate) fn entry(&self, seq: u64, head: &str) -> Entry {
        let signature = self.sign(seq, head);
        Entry::Checkpoint { head: head.to_owned(), seq, key: self.public(), signature }
    }

    /// The same of the last line that may be dropped.
    pub(crate) fn pruned(&self, through: u64, head: &str) -> Entry {
        let signature = self.sign(through, head);
        Entry::JournalPruned { through, head: head.to_owned(), key: self.public(), signature }
    }

    fn sign(&self, seq: u64, head: &str) -> String {
        STANDARD.encode(self.0.sign(statement(seq, head).as_bytes()).as_ref())
    }
}

/// Whether the holder of `trusted` signed that line `seq` has the hash `head`.
pub(crate) fn verify(
    trusted: &str,
    key: &str,
    seq: u64,
    head: &str,
    signature: &str,
) -> Result<(), BadCheckpoint> {
    if key != trusted {
        return Err(BadCheckpoint::OtherKey);
    }
    let public = STANDARD.decode(trusted).map_err(|_| BadCheckpoint::OtherKey)?;
    let signature = STANDARD.decode(signature).map_err(|_| BadCheckpoint::Signature)?;
    UnparsedPublicKey::new(&ED25519, public)
        .verify(statement(seq, head).as_bytes(), &signature)
        .map_err(|_| BadCheckpoint::Signature)
}

/// The bytes that are signed; the first line keeps them apart from anything else signed.
fn statement(seq: u64, head: &str) -> String {
    format!("quell checkpoint 1\n{seq}\n{head}\n")
}

fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_checkpoint_holds_for_its_line_and_key_only() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let made = CheckpointKey::create(one.path()).unwrap();
        let key = CheckpointKey::load(one.path()).unwrap().public();
        let other = CheckpointKey::create(two.path()).unwrap().public();
        assert_eq!(key, made.public());

        let Entry::Checkpoint { signature, .. } = made.entry(7, "abc") else { panic!() };

        assert_eq!(verify(&key, &key, 7, "abc", &signature), Ok(()));
        assert_eq!(verify(&key, &key, 8, "abc", &signature), Err(BadCheckpoint::Signature));
        assert_eq!(verify(&key, &key, 7, "abd", &signature), Err(BadCheckpoint::Signature));
        assert_eq!(verify(&other, &key, 7, "abc", &signature), Err(BadCheckpoint::OtherKey));
        assert_eq!(verify(&other, &other, 7, "abc", &signature), Err(BadCheckpoint::Signature));
    }

    #[test]
    fn a_key_is_its_owners_alone_and_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        CheckpointKey::create(dir.path()).unwrap();

        let mode = std::fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();

        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(CheckpointKey::create(dir.path()), Err(KeyError::Io { .. })));
    }
}
