//! Reads a file line by line without ever holding more than one line and a bit.
//!
//! Empty lines are the room that was laid out in advance, and are skipped.

use std::io;

use super::medium::Medium;

const CHUNK: usize = 64 * 1024;

/// Bytes between two line ends.
pub(crate) struct Raw {
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Raw {
    /// Where the next line may begin.
    pub(crate) fn next_offset(&self) -> u64 {
        self.offset + to_u64(self.bytes.len()) + 1
    }
}

/// Lines of one file, from an offset on.
pub(crate) struct Lines<'m> {
    medium: &'m dyn Medium,
    file: String,
    /// The file's offset of `buffer[0]`.
    base: u64,
    buffer: Vec<u8>,
    start: usize,
    /// Up to here there is no line end after `start`.
    searched: usize,
    at_end: bool,
}

impl<'m> Lines<'m> {
    pub(crate) fn new(medium: &'m dyn Medium, file: &str, offset: u64) -> Self {
        Self {
            medium,
            file: file.to_owned(),
            base: offset,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            at_end: false,
        }
    }

    /// The next line that is not empty.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<Raw>> {
        loop {
            while self.buffer.get(self.start) == Some(&b'\n') {
                self.start += 1;
            }
            let from = self.searched.max(self.start);
            if let Some(found) = self.buffer[from..].iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.take(from + found)));
            }
            self.searched = self.buffer.len();
            if self.at_end {
                let rest = self.start < self.buffer.len();
                return Ok(rest.then(|| self.take(self.buffer.len())));
            }
            self.fill()?;
        }
    }

    fn take(&mut self, end: usize) -> Raw {
        let offset = self.base + to_u64(self.start);
        let bytes = self.buffer[self.start..end].to_vec();
        self.start = end;
        Raw { offset, bytes }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.base += to_u64(self.start);
        self.searched -= self.start;
        self.start = 0;

        let had = self.buffer.len();
        self.buffer.resize(had + CHUNK, 0);
        let got =
            self.medium.read_at(&self.file, self.base + to_u64(had), &mut self.buffer[had..])?;
        self.buffer.truncate(had + got);
        self.at_end = got == 0;
        Ok(())
    }
}

/// A length in memory always fits.
pub(crate) fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::torn::TornMedium;
    use super::*;

    #[test]
    fn lines_longer_than_a_chunk_and_runs_of_empty_ones_are_read_through() {
        let medium = TornMedium::default();
        let long = "x".repeat(3 * CHUNK + 5);
        let text = format!("one\n{}two\n{long}\n{}rest", "\n".repeat(2 * CHUNK), "\n".repeat(7));
        medium.create("f").unwrap();
        medium.write_at("f", 0, text.as_bytes()).unwrap();

        let mut lines = Lines::new(&medium, "f", 0);
        let mut found = Vec::new();
        while let Some(raw) = lines.next_line().unwrap() {
            let start = usize::try_from(raw.offset).unwrap();
            assert_eq!(text.as_bytes()[start..start + raw.bytes.len()], raw.bytes[..]);
            found.push(raw.bytes.len());
        }

        assert_eq!(found, [3, 3, long.len(), 4]);
    }
}
