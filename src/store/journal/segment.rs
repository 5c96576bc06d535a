//! Segment files: named by the first sequence they hold, laid out with line ends in advance.
//!
//! Writing over bytes that exist does not change the file's size, so a sync has less to do.

use std::io;

use super::lines::to_u64;
use super::medium::Medium;

static BLANK: [u8; 8192] = [b'\n'; 8192];

/// `000000000001.ndjson`
pub(crate) fn name(first: u64) -> String {
    format!("{first:012}.ndjson")
}

/// The first sequence of a segment of this name; `None` for other files.
pub(crate) fn first_of(file: &str) -> Option<u64> {
    let digits = file.strip_suffix(".ndjson")?;
    let first = digits.parse().ok()?;
    (name(first) == file).then_some(first)
}

/// The segment that is written to.
pub(crate) struct Segment {
    pub(crate) first: u64,
    pub(crate) file: String,
    /// Where the next line goes: everything before it is kept.
    pub(crate) end: u64,
    size: u64,
}

impl Segment {
    /// Makes an empty segment for the lines from `first` on. A file of that name is a remainder
    /// of a failed attempt: it cannot hold anything that was acknowledged.
    pub(crate) fn create(medium: &dyn Medium, first: u64) -> io::Result<Self> {
        let file = name(first);
        if medium.list()?.contains(&file) {
            medium.remove(&file)?;
        }
        medium.create(&file)?;
        medium.sync_dir()?;
        Ok(Self { first, file, end: 0, size: 0 })
    }

    /// Takes up a segment whose last good line ends before `end`.
    pub(crate) fn resume(medium: &dyn Medium, first: u64, end: u64) -> io::Result<Self> {
        let file = name(first);
        let size = medium.size(&file)?;
        Ok(Self { first, file, end, size })
    }

    /// Writes behind the kept lines, and syncs. Nothing is kept until [`keep`](Self::keep).
    pub(crate) fn write(
        &mut self,
        medium: &dyn Medium,
        bytes: &[u8],
        growth: u64,
    ) -> io::Result<()> {
        let needed = self.end + to_u64(bytes.len());
        if needed > self.size {
            let size = needed.next_multiple_of(growth.max(1));
            blank(medium, &self.file, self.size, size)?;
            self.size = size;
        }
        medium.write_at(&self.file, self.end, bytes)?;
        medium.sync(&self.file)
    }

    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        self.end += to_u64(bytes.len());
    }

    /// Makes everything behind the kept lines empty again, and syncs.
    pub(crate) fn cut(&mut self, medium: &dyn Medium) -> io::Result<()> {
        self.size = medium.size(&self.file)?;
        blank(medium, &self.file, self.end, self.size)?;
        medium.sync(&self.file)
    }
}

fn blank(medium: &dyn Medium, file: &str, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let left = usize::try_from(to - at).unwrap_or(usize::MAX).min(BLANK.len());
        medium.write_at(file, at, &BLANK[..left])?;
        at += to_u64(left);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_segments_own_name_is_read_as_one() {
        assert_eq!(first_of("000000000042.ndjson"), Some(42));
        assert_eq!(first_of(&name(u64::MAX)), Some(u64::MAX));
        for other in ["42.ndjson", "000000000042.ndjson.bak", "+00000000042.ndjson", "x.ndjson"] {
            assert_eq!(first_of(other), None, "{other}");
        }
    }
}
