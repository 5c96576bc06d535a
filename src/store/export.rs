//! The journal's lines as one file, and a journal made of such a file again.
//!
//! An export is the lines as they are, so that the chain in it can be proved by whoever has it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::disk::DiskStore;
use super::hold::hold;
use super::journal::{
    self, Head, Lines, OpenError, Raw, RealMedium, TornTail, Visitor, scan, scan_file,
};
use crate::engine::ports::StoreError;

/// A segment of an imported journal that is this long is followed by the next.
const SEGMENT_BYTES: u64 = 64 << 20;

impl DiskStore {
    /// Writes every durable line into `out`. Blocks; commits go on meanwhile.
    pub(crate) fn export(&self, out: impl Write) -> io::Result<Head> {
        let (head, segments) = {
            let map = hold(&self.journal.shared.map);
            (map.head.clone(), map.segments.clone())
        };
        let mut out = BufWriter::new(out);
        for (first, bytes) in segments {
            let file = journal::segment_name(first);
            let mut lines = Lines::new(&*self.journal.reader.medium, &file, 0);
            while let Some(raw) = lines.next_line()?
                && raw.next_offset() <= bytes
            {
                out.write_all(&raw.bytes)?;
                out.write_all(b"\n")?;
            }
        }
        out.flush()?;
        Ok(head)
    }
}

/// Makes a journal in the empty folder `to` of an export, or of a data folder's own journal, up to
/// the line `until`. Says where it ends. An error may leave files in `to`. Blocks.
pub(crate) fn import(from: &Path, to: &Path, until: Option<u64>) -> Result<Head, StoreError> {
    let mut copy = Copy { dir: to.to_owned(), open: None, head: None };
    let mut failed: Option<io::Error> = None;
    let mut begins = None;
    let walked = walk(from, &mut |_, raw, checked| {
        begins.get_or_insert_with(|| Head { seq: checked.seq - 1, hash: checked.prev.clone() });
        if failed.is_none() && until.is_none_or(|until| checked.seq <= until) {
            let head = Head { seq: checked.seq, hash: checked.hash.clone() };
            failed = copy.line(raw, head).err();
        }
    });
    match walked {
        Err(OpenError::Damaged { place, .. }) if until.is_some_and(|until| place.seq > until) => {}
        Err(OpenError::Damaged { place, why }) => {
            let way = match place.seq.checked_sub(1) {
                None | Some(0) => String::new(),
                Some(last) => format!("; `--until {last}` takes the lines before it"),
            };
            return Err(StoreError::Read(format!(
                "`{}` cannot be imported: {why} (line {}, sequence {}, byte {}){way}",
                from.join(&place.segment).display(),
                place.line,
                place.seq,
                place.offset,
            )));
        }
        other => drop(other?),
    }
    let head = failed.map_or_else(|| copy.finish(), Err).map_err(|e| unwritten(to, &e))?;
    if let Some(start) = begins.filter(|start| start.seq > 0) {
        journal::say_start(&RealMedium::new(to), &start).map_err(|e| unwritten(to, &e))?;
    }
    let none = || StoreError::Read(format!("`{}` holds no line of a journal", from.display()));
    let head = head.ok_or_else(none)?;
    match until {
        Some(until) if head.seq < until => Err(StoreError::Read(format!(
            "`{}` ends at {}, before {until}",
            from.display(),
            head.seq
        ))),
        _ => Ok(head),
    }
}

/// Visits the lines of an export or of a data folder.
pub(super) fn walk(from: &Path, visit: &mut Visitor<'_>) -> Result<Option<TornTail>, OpenError> {
    if from.is_dir() {
        return Ok(scan(&RealMedium::new(&from.join("journal")), visit)?.torn);
    }
    let folder = from.parent().unwrap_or_else(|| Path::new(""));
    let file = from.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    scan_file(&RealMedium::new(folder), &file, visit)?;
    Ok(None)
}

struct Copy {
    dir: PathBuf,
    open: Option<(BufWriter<File>, u64)>,
    head: Option<Head>,
}

impl Copy {
    fn line(&mut self, raw: &Raw, head: Head) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|(_, bytes)| *bytes >= SEGMENT_BYTES) {
            self.close()?;
        }
        if self.open.is_none() {
            std::fs::create_dir_all(&self.dir)?;
            let file = File::create_new(self.dir.join(journal::segment_name(head.seq)))?;
            self.open = Some((BufWriter::new(file), 0));
        }
        if let Some((file, bytes)) = &mut self.open {
            file.write_all(&raw.bytes)?;
            file.write_all(b"\n")?;
            *bytes += raw.next_offset() - raw.offset;
        }
        self.head = Some(head);
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        match self.open.take() {
            Some((file, _)) => file.into_inner()?.sync_all(),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> io::Result<Option<Head>> {
        self.close()?;
        Ok(self.head)
    }
}

fn unwritten(to: &Path, why: &io::Error) -> StoreError {
    StoreError::Read(format!("`{}` could not be written: {why}", to.display()))
}
