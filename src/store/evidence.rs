//! The evidence log: raw records, one a line, in a file an hour.
//!
//! Not chained and not kept for good. It is what windows and baselines are made of again
//! after a restart, and what a repeated delivery is recognised by, so a line is on disk
//! before its delivery is acknowledged. A torn last line was not, and is passed over.

mod replay;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use async_trait::async_trait;
use chrono::{NaiveDateTime, TimeDelta};
use serde_json::Value;
use tokio::sync::oneshot;

pub(crate) use replay::Replay;

use super::hold::hold;
use super::journal::{Medium, to_u64};
use crate::engine::ports::{Clock, Evidence, StoreError};
use crate::model::time::Time;
use writer::{Queued, Writer};

/// Appends that may wait; more are told that the log is busy.
const QUEUE: usize = 4096;

/// The file of the hour that `at` is in.
fn file_of(at: Time) -> String {
    at.format("%Y-%m-%dT%H.ndjson").to_string()
}

/// When a file's hour is over; `None` for other files.
fn end_of(file: &str) -> Option<Time> {
    let hour = file.strip_suffix(".ndjson")?;
    let start = NaiveDateTime::parse_from_str(&format!("{hour}:00"), "%Y-%m-%dT%H:%M").ok()?;
    Some(start.and_utc() + TimeDelta::hours(1))
}

/// Whether a file of this name holds an hour of evidence.
pub(crate) fn is_hour(file: &str) -> bool {
    end_of(file).is_some()
}

/// An open evidence log.
pub(crate) struct EvidenceLog {
    medium: Arc<dyn Medium>,
    queue: Mutex<Option<SyncSender<Queued>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl EvidenceLog {
    pub(crate) fn open(medium: Arc<dyn Medium>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let (sender, receiver) = sync_channel(QUEUE);
        let writer = Writer::new(medium.clone(), clock, receiver);
        let thread = Builder::new()
            .name("evidence".to_owned())
            .spawn(move || writer.run())
            .map_err(|e| unread(&e))?;
        Ok(Self { medium, queue: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    /// Records of the hours that are not over at `since`, oldest first. Blocks.
    pub(crate) fn replay(&self, since: Time) -> Result<Replay<'_>, StoreError> {
        let mut files = self.medium.list().map_err(|e| unread(&e))?;
        files.retain(|file| end_of(file).is_some_and(|end| end > since));
        Ok(Replay::new(self.medium.as_ref(), files))
    }

    /// Removes the hours that were over at `before`, and says how many. Blocks.
    pub(crate) fn drop_before(&self, before: Time) -> Result<usize, StoreError> {
        let mut files = self.medium.list().map_err(|e| unread(&e))?;
        files.retain(|file| end_of(file).is_some_and(|end| end <= before));
        for file in &files {
            self.medium.remove(file).map_err(|e| unread(&e))?;
        }
        if !files.is_empty() {
            self.medium.sync_dir().map_err(|e| unread(&e))?;
        }
        Ok(files.len())
    }

    /// The files with their bytes, oldest first. Blocks.
    pub(crate) fn files(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let mut files = self.medium.list().map_err(|e| unread(&e))?;
        files.retain(|file| is_hour(file));
        let sized = |file: String| Ok((file.clone(), self.medium.size(&file)?));
        files.into_iter().map(sized).collect::<Result<_, _>>().map_err(|e: io::Error| unread(&e))
    }

    /// How many files there are, and their bytes. Blocks.
    pub(crate) fn size(&self) -> Result<(u64, u64), StoreError> {
        let files = self.files()?;
        Ok((to_u64(files.len()), files.iter().map(|(_, bytes)| bytes).sum()))
    }

    pub(super) fn medium(&self) -> &dyn Medium {
        self.medium.as_ref()
    }

    /// Writes what is queued, then ends. Blocks.
    pub(crate) fn close(&self) {
        drop(hold(&self.queue).take());
        let thread = hold(&self.thread).take();
        if let Some(thread) = thread {
            drop(thread.join());
        }
    }

    fn enqueue(
        &self,
        lines: &[Value],
    ) -> Result<oneshot::Receiver<Result<(), StoreError>>, StoreError> {
        let mut bytes = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut bytes, line).map_err(|e| unread(&e))?;
            bytes.push(b'\n');
        }
        let (answer, answered) = oneshot::channel();
        let queue = hold(&self.queue);
        let sender = queue.as_ref().ok_or_else(ended)?;
        match sender.try_send(Queued { bytes, answer }) {
            Ok(()) => Ok(answered),
            Err(TrySendError::Full(_)) => {
                Err(StoreError::Busy("the evidence log's queue is full".to_owned()))
            }
            Err(TrySendError::Disconnected(_)) => Err(ended()),
        }
    }
}

impl Drop for EvidenceLog {
    fn drop(&mut self) {
        self.close();
    }
}

#[async_trait]
impl Evidence for EvidenceLog {
    async fn append(&self, lines: Vec<Value>) -> Result<(), StoreError> {
        if lines.is_empty() {
            return Ok(());
        }
        let answered = self.enqueue(&lines)?;
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

fn ended() -> StoreError {
    StoreError::Failed("the evidence log is closed".to_owned())
}

fn unread(why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Read(format!("the evidence log could not be read or written: {why}"))
}
