//! The evidence log's thread: takes what is queued, writes and syncs it once, answers.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tokio::sync::oneshot;
use tracing::error;

use super::file_of;
use crate::engine::ports::{Clock, StoreError};
use crate::store::journal::medium::is_full;
use crate::store::journal::{Medium, to_u64};

const GROUP: usize = 256;

/// Lines on their way to the disk, each with its line end.
pub(super) struct Queued {
    pub(super) bytes: Vec<u8>,
    pub(super) answer: oneshot::Sender<Result<(), StoreError>>,
}

/// The file of the current hour.
struct Current {
    file: String,
    end: u64,
}

pub(super) struct Writer {
    medium: Arc<dyn Medium>,
    clock: Arc<dyn Clock>,
    queue: Receiver<Queued>,
    current: Option<Current>,
    /// Why nothing is taken until a restart.
    ended: Option<StoreError>,
}

impl Writer {
    pub(super) fn new(
        medium: Arc<dyn Medium>,
        clock: Arc<dyn Clock>,
        queue: Receiver<Queued>,
    ) -> Self {
        Self { medium, clock, queue, current: None, ended: None }
    }

    pub(super) fn run(mut self) {
        while let Ok(first) = self.queue.recv() {
            let mut bytes = first.bytes;
            let mut answers = vec![first.answer];
            while answers.len() < GROUP
                && let Ok(next) = self.queue.try_recv()
            {
                bytes.extend_from_slice(&next.bytes);
                answers.push(next.answer);
            }
            let result = self.append(&bytes);
            for answer in answers {
                // Whoever asked may be gone; the lines stand all the same.
                drop(answer.send(result.clone()));
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        let Err(error) = self.write(bytes) else { return Ok(()) };
        if is_full(&error) && self.cut().is_ok() {
            return Err(StoreError::Busy("there is no room on the evidence log's disk".to_owned()));
        }
        error!(error = %error, "Ended the evidence log: a write or sync failed");
        let failed = StoreError::Failed(format!("the evidence log: {error}"));
        self.ended = Some(failed.clone());
        Err(failed)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = file_of(self.clock.now());
        if self.current.as_ref().is_none_or(|current| current.file != file) {
            self.current = Some(take_up(self.medium.as_ref(), file)?);
        }
        let Some(current) = self.current.as_mut() else { return Ok(()) };
        self.medium.write_at(&current.file, current.end, bytes)?;
        self.medium.sync(&current.file)?;
        current.end += to_u64(bytes.len());
        Ok(())
    }

    /// Takes away what a failed write left, so that it is not replayed.
    fn cut(&self) -> io::Result<()> {
        match &self.current {
            Some(current) => self.medium.truncate(&current.file, current.end),
            None => Ok(()),
        }
    }
}

/// Makes the file, or goes on behind what it holds; a torn line there gets its line end.
fn take_up(medium: &dyn Medium, file: String) -> io::Result<Current> {
    if !medium.list()?.contains(&file) {
        medium.create(&file)?;
        medium.sync_dir()?;
        return Ok(Current { file, end: 0 });
    }
    let mut end = medium.size(&file)?;
    let mut last = [b'\n'];
    if end > 0 {
        medium.read_at(&file, end - 1, &mut last)?;
    }
    if last != [b'\n'] {
        medium.write_at(&file, end, b"\n")?;
        end += 1;
    }
    Ok(Current { file, end })
}
