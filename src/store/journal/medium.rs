//! The few things that the journal asks of a disk, so that tests can pull the plug.
//!
//! One folder of plain files. Writes may tear and vanish until `sync` returned; a new
//! file may vanish until `sync_dir` did.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::store::hold::hold;

/// Read handles kept open; more than a busy reader needs, less than a process may have.
const OPEN_MAX: usize = 32;

/// A folder of files.
pub(crate) trait Medium: Send + Sync {
    /// Makes an empty file; fails if there is one of that name.
    fn create(&self, file: &str) -> io::Result<()>;
    /// Writes all of `bytes`, over what is there or beyond the end.
    fn write_at(&self, file: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;
    fn truncate(&self, file: &str, size: u64) -> io::Result<()>;
    /// Returns when the file's bytes and size are on the device.
    fn sync(&self, file: &str) -> io::Result<()>;
    /// Reads up to `into.len()` bytes; 0 = the end.
    fn read_at(&self, file: &str, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    fn size(&self, file: &str) -> io::Result<u64>;
    /// The files' names, sorted.
    fn list(&self) -> io::Result<Vec<String>>;
    fn remove(&self, file: &str) -> io::Result<()>;
    /// Returns when creations and removals are on the device.
    fn sync_dir(&self) -> io::Result<()>;
}

/// Whether the error says that there is no room, which passes, unlike other errors.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A real folder.
pub(crate) struct RealMedium {
    dir: PathBuf,
    reading: Mutex<HashMap<String, Arc<File>>>,
    /// The one file that is written to. A handle whose sync failed is never used again.
    writing: Mutex<Option<(String, Arc<File>)>>,
}

impl RealMedium {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), reading: Mutex::new(HashMap::new()), writing: Mutex::new(None) }
    }

    fn reader(&self, file: &str) -> io::Result<Arc<File>> {
        let mut reading = hold(&self.reading);
        if let Some(open) = reading.get(file) {
            return Ok(open.clone());
        }
        let open = Arc::new(File::open(self.dir.join(file))?);
        if reading.len() >= OPEN_MAX {
            reading.clear();
        }
        reading.insert(file.to_owned(), open.clone());
        Ok(open)
    }

    fn writer(&self, file: &str) -> io::Result<Arc<File>> {
        let mut writing = hold(&self.writing);
        if let Some((name, open)) = writing.as_ref()
            && name == file
        {
            return Ok(open.clone());
        }
        let open = Arc::new(OpenOptions::new().write(true).open(self.dir.join(file))?);
        *writing = Some((file.to_owned(), open.clone()));
        Ok(open)
    }

    /// Passes a result on, and forgets the handle that gave an error.
    fn checked<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            *hold(&self.writing) = None;
        }
        result
    }
}

impl Medium for RealMedium {
    fn create(&self, file: &str) -> io::Result<()> {
        OpenOptions::new().write(true).create_new(true).open(self.dir.join(file)).map(drop)
    }

    fn write_at(&self, file: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let open = self.writer(file)?;
        self.checked(open.write_all_at(bytes, offset))
    }

    fn truncate(&self, file: &str, size: u64) -> io::Result<()> {
        let open = self.writer(file)?;
        self.checked(open.set_len(size))
    }

    fn sync(&self, file: &str) -> io::Result<()> {
        let open = self.writer(file)?;
        self.checked(open.sync_data())
    }

    fn read_at(&self, file: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.reader(file)?.read_at(into, offset)
    }

    fn size(&self, file: &str) -> io::Result<u64> {
        Ok(std::fs::metadata(self.dir.join(file))?.len())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn remove(&self, file: &str) -> io::Result<()> {
        hold(&self.reading).remove(file);
        *hold(&self.writing) = None;
        std::fs::remove_file(self.dir.join(file))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}
