//! Backups: journal and evidence as one archive, packed while the folder is in use.
//!
//! A gzipped tar. Its last member, `manifest.json`, names every other with its digest and says
//! where the journal ended, so that an archive is either whole or seen not to be.
//!
//! The signing key stays where it is: a folder that is restored makes a key of its own and says so
//! in its journal, so that a copy never speaks with the original's voice. The index is not packed
//! either: it is made again.

mod pack;
mod unpack;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{self, Read};

pub(crate) use unpack::{check, unpack};

use super::journal::to_u64;
use super::{evidence, journal};
use crate::model::time::Time;

const MANIFEST: &str = "manifest.json";
const FORMAT: &str = "format";
const VERSION: u64 = 1;

/// What is in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) v: u64,
    pub(crate) made_at: Time,
    /// The last line of the journal, and its hash.
    pub(crate) head: u64,
    pub(crate) head_hash: String,
    pub(crate) members: Vec<Member>,
}

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// Whether a file of this name belongs in an archive.
fn belongs(path: &str) -> bool {
    match path.split_once('/') {
        None => path == FORMAT,
        Some(("journal", file)) => journal::is_segment(file) || journal::is_start(file),
        Some(("evidence", file)) => evidence::is_hour(file),
        Some(_) => false,
    }
}

/// Passes bytes on and takes their digest.
struct Digesting<R> {
    from: R,
    hash: Sha256,
    bytes: u64,
}

impl<R> Digesting<R> {
    fn new(from: R) -> Self {
        Self { from, hash: Sha256::new(), bytes: 0 }
    }

    fn member(self, path: String) -> Member {
        Member { path, bytes: self.bytes, sha256: hex::encode(self.hash.finalize()) }
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.from.read(into)?;
        self.hash.update(&into[..got]);
        self.bytes += to_u64(got);
        Ok(got)
    }
}

#[cfg(test)]
mod tests;
