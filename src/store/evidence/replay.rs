//! Reads records back, passing over what is not one.

use serde_json::Value;

use super::unread;
use crate::engine::ports::StoreError;
use crate::store::journal::{Lines, Medium};

/// Records, oldest file first.
pub(crate) struct Replay<'m> {
    medium: &'m dyn Medium,
    /// The next one last.
    files: Vec<String>,
    lines: Option<Lines<'m>>,
    /// Lines that were not whole: writes that a power cut or a full disk ended.
    pub(crate) torn: u64,
}

impl<'m> Replay<'m> {
    /// `files` oldest first.
    pub(super) fn new(medium: &'m dyn Medium, mut files: Vec<String>) -> Self {
        files.reverse();
        Self { medium, files, lines: None, torn: 0 }
    }
}

impl Iterator for Replay<'_> {
    type Item = Result<Value, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(lines) = self.lines.as_mut() else {
                let file = self.files.pop()?;
                self.lines = Some(Lines::new(self.medium, &file, 0));
                continue;
            };
            match lines.next_line() {
                Ok(Some(raw)) => match serde_json::from_slice(&raw.bytes) {
                    Ok(value) => return Some(Ok(value)),
                    Err(_) => self.torn += 1,
                },
                Ok(None) => self.lines = None,
                Err(error) => {
                    self.lines = None;
                    return Some(Err(unread(&error)));
                }
            }
        }
    }
}
