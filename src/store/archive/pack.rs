//! Packs an archive out of an open folder.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Read, Write};
use tar::{Builder, Header};

use super::{Digesting, FORMAT, MANIFEST, Manifest, Member, VERSION};
use crate::model::time::Time;
use crate::store::disk::DiskStore;
use crate::store::folder;
use crate::store::hold::hold;
use crate::store::journal::{self, Medium, to_u64};

impl DiskStore {
    /// Writes everything up to the last durable line into `out`. Blocks, for as long as `out` does;
    /// commits go on meanwhile.
    pub(crate) fn pack(&self, out: impl Write, made_at: Time) -> io::Result<Manifest> {
        let (start, head, segments) = {
            let map = hold(&self.journal.shared.map);
            (map.start.clone(), map.head.clone(), map.segments.clone())
        };
        let mut pack = Pack {
            tar: Builder::new(GzEncoder::new(out, Compression::fast())),
            members: Vec::new(),
            made_at,
        };
        let format = folder::FORMAT.as_bytes();
        pack.add(FORMAT.to_owned(), format, to_u64(format.len()))?;
        if start.seq > 0 {
            let file = format!("journal/{}", journal::start_name(start.seq));
            let text = format!("{}\n", start.hash);
            pack.add(file, text.as_bytes(), to_u64(text.len()))?;
        }
        for (first, bytes) in segments.into_iter().filter(|(_, bytes)| *bytes > 0) {
            let file = journal::segment_name(first);
            let part = Part { medium: &*self.journal.reader.medium, file: &file, at: 0, bytes };
            pack.add(format!("journal/{file}"), part, bytes)?;
        }
        // After the journal's end was taken: events are on disk before the commit they lead to.
        for (file, bytes) in self.evidence.files().map_err(io::Error::other)? {
            let part = Part { medium: self.evidence.medium(), file: &file, at: 0, bytes };
            pack.add(format!("evidence/{file}"), part, bytes)?;
        }
        pack.finish(head.seq, head.hash)
    }
}

struct Pack<W: Write> {
    tar: Builder<GzEncoder<W>>,
    members: Vec<Member>,
    made_at: Time,
}

impl<W: Write> Pack<W> {
    fn add(&mut self, path: String, from: impl Read, bytes: u64) -> io::Result<()> {
        let mut from = Digesting::new(from);
        self.append(&path, &mut from, bytes)?;
        self.members.push(from.member(path));
        Ok(())
    }

    fn append(&mut self, path: &str, from: impl Read, bytes: u64) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_size(bytes);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.made_at.timestamp()).unwrap_or(0));
        self.tar.append_data(&mut header, path, from)
    }

    fn finish(mut self, head: u64, head_hash: String) -> io::Result<Manifest> {
        let members = std::mem::take(&mut self.members);
        let manifest = Manifest { v: VERSION, made_at: self.made_at, head, head_hash, members };
        let text = serde_json::to_vec_pretty(&manifest)?;
        self.append(MANIFEST, text.as_slice(), to_u64(text.len()))?;
        self.tar.into_inner()?.finish()?.flush()?;
        Ok(manifest)
    }
}

/// The first `bytes` of a file. What a failed write took away again since is made up with line ends.
struct Part<'m> {
    medium: &'m dyn Medium,
    file: &'m str,
    at: u64,
    bytes: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.bytes - self.at).unwrap_or(usize::MAX).min(into.len());
        let into = &mut into[..left];
        let mut got = self.medium.read_at(self.file, self.at, into)?;
        if got == 0 {
            into.fill(b'\n');
            got = left;
        }
        self.at += to_u64(got);
        Ok(got)
    }
}
