//! The append-only, hash-chained record: the state and the audit log at once.
//!
//! * `line`: one commit as bytes, and back.
//! * `segment`: files of lines. `medium`: what is asked of the disk.
//! * `open`: reads everything once and refuses damage. `proof`: reads the end of it, and the rest later.
//! * `writer`: the thread that writes. `read`: everything that reads.
//!
//! Durable means that the line and all lines before it survive a power cut.

pub(crate) mod line;
mod lines;
pub(crate) mod medium;
mod open;
mod proof;
#[cfg(test)]
mod proof_tests;
mod read;
mod segment;
mod shared;
mod start;
#[cfg(test)]
mod tests;
#[cfg(any(test, fuzzing))]
#[cfg_attr(not(test), expect(dead_code, reason = "only tests pull the plug"))]
#[expect(clippy::unwrap_used, reason = "a disk that only tests have")]
pub(crate) mod torn;
mod writer;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;

pub(crate) use line::{Checked, parse};
pub(crate) use lines::{Lines, Raw, to_u64};
pub(crate) use medium::{Medium, RealMedium};
pub(crate) use open::{OpenError, Place, TornTail, Visitor, scan, scan_file};
pub(crate) use proof::Proof;
pub(crate) use read::Reader;
pub(crate) use segment::name as segment_name;
pub(crate) use shared::{Head, Shared};
pub(crate) use start::{is_start, name as start_name, write as say_start};

use super::hold::hold;
use crate::engine::ports::{Durable, StoreError};
use crate::model::entry::Commit;
use crate::model::id::IncidentId;
use line::Body;
use writer::{Queued, Writer};

/// How the journal is laid out and how much it takes in.
#[derive(Debug, Clone)]
pub(crate) struct JournalOptions {
    /// A segment that is this long is followed by a new one.
    pub(crate) segment_bytes: u64,
    /// Segments grow by this much at a time.
    pub(crate) growth: u64,
    /// Commits that may wait before deliveries are told that the journal is busy.
    pub(crate) queue: usize,
    /// Most commits of one write.
    pub(crate) group: usize,
    /// How long a full disk is left alone between two attempts.
    pub(crate) retry_every: Duration,
    /// Reads the last segment at the start, and proves the older ones while everything goes on.
    pub(crate) quick: bool,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            growth: 1 << 20,
            queue: 4096,
            group: 256,
            retry_every: Duration::from_secs(1),
            quick: false,
        }
    }
}

/// An open journal.
pub(crate) struct Journal {
    pub(crate) shared: Arc<Shared>,
    pub(crate) reader: Reader,
    queue: Mutex<Option<Sender<Queued>>>,
    queue_max: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
    proving: Mutex<Option<JoinHandle<()>>>,
}

impl Journal {
    /// Checks every line, or at first the last ones only, cuts a torn tail, and starts the writer.
    pub(crate) fn open(
        medium: Arc<dyn Medium>,
        options: JournalOptions,
    ) -> Result<(Self, Option<TornTail>), OpenError> {
        let (scanned, read_from) = if options.quick {
            proof::quick(medium.as_ref())?
        } else {
            (scan(medium.as_ref(), &mut |_, _, _| {})?, 1)
        };
        let torn = scanned.torn.clone();
        let said = start::check(medium.as_ref(), &scanned.map)?;
        let (mut map, segment) = scanned.into_segment(medium.as_ref())?;
        if let Some(said) = said {
            // A process may have died over it.
            let dropped = start::drop_segments(medium.as_ref(), &mut map, &said);
            dropped.map_err(|source| OpenError::Io { file: "folder".to_owned(), source })?;
        }
        let shared = Arc::new(Shared::new(map));
        let (sender, receiver) = channel();
        let queue_max = options.queue;
        let writer = Writer::new(medium.clone(), shared.clone(), options, receiver, segment);
        let thread = Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::Io { file: "writer".to_owned(), source })?;
        let proving = (read_from > 1).then(|| {
            shared.set_proof(Proof::Pending);
            let (medium, shared) = (medium.clone(), shared.clone());
            Builder::new()
                .name("journal-proof".to_owned())
                .spawn(move || proof::prove(&medium, &shared, read_from))
        });
        let proving = proving
            .transpose()
            .map_err(|source| OpenError::Io { file: "proof".to_owned(), source })?;
        let journal = Self {
            proving: Mutex::new(proving),
            shared: shared.clone(),
            reader: Reader { medium, shared },
            queue: Mutex::new(Some(sender)),
            queue_max,
            thread: Mutex::new(Some(thread)),
        };
        Ok((journal, torn))
    }

    /// Returns once the older lines are proved, or damage was found among them.
    #[cfg(test)]
    pub(crate) fn proved(&self) -> Proof {
        let proving = hold(&self.proving).take();
        if let Some(proving) = proving {
            proving.join().unwrap();
        }
        self.shared.proof()
    }

    /// The last line before the newest segment whose first line is old enough, as `is_old` says, if there
    /// is anything to drop before it. Blocks.
    pub(crate) fn droppable(
        &self,
        is_old: impl Fn(&Commit) -> bool,
    ) -> Result<Option<Head>, StoreError> {
        if self.shared.proof() != Proof::Whole {
            return Ok(None);
        }
        let firsts: Vec<u64> = hold(&self.shared.map).segments.keys().skip(1).copied().collect();
        let mut last = None;
        for first in firsts {
            let Some(checked) = self.reader.check(first)? else { break };
            if !self.reader.pick(&[first])?.first().is_some_and(&is_old) {
                break;
            }
            last = Some(Head { seq: first - 1, hash: checked.prev });
        }
        Ok(last)
    }

    /// Drops every segment that holds nothing behind `last`, which the chain must have been told. Says
    /// how many bytes that gave back. Blocks.
    pub(crate) fn prune(&self, last: &Head) -> Result<u64, StoreError> {
        let medium = self.reader.medium.as_ref();
        let failed =
            |e: std::io::Error| StoreError::Read(format!("old lines were not dropped: {e}"));
        start::write(medium, last).map_err(failed)?;
        let mut map = hold(&self.shared.map);
        start::drop_segments(medium, &mut map, last).map_err(failed)
    }

    /// Has the next commit begin a new segment, so that the lines up to here can be dropped some day.
    pub(crate) fn roll(&self) {
        self.shared.roll.store(true, Ordering::Release);
    }

    /// Whether deliveries may be taken in: not while the disk is full or the queue is long.
    pub(crate) fn ready(&self) -> Result<(), StoreError> {
        if let Some(refusal) = self.shared.refusal() {
            return Err(refusal);
        }
        if self.shared.waiting() >= self.queue_max {
            return Err(StoreError::Busy("its queue is long".to_owned()));
        }
        Ok(())
    }

    /// Queues a commit; the order of calls is the order of lines.
    ///
    /// Never refused for want of room: the state has moved already, so the line waits for
    /// the disk instead. Deliveries are kept out by [`Journal::ready`].
    pub(crate) fn submit(&self, commit: &Commit) -> Durable {
        match self.enqueue(commit) {
            Ok(answer) => Box::pin(async move {
                answer.await.unwrap_or_else(|_| {
                    Err(StoreError::Failed("the journal's writer ended".to_owned()))
                })
            }),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn enqueue(
        &self,
        commit: &Commit,
    ) -> Result<oneshot::Receiver<Result<(), StoreError>>, StoreError> {
        if let Some(ended) = self.shared.ended() {
            return Err(ended);
        }
        let body = Body::of(commit).map_err(|e| {
            StoreError::Read(format!("commit {} cannot be written as JSON: {e}", commit.seq))
        })?;
        let (answer, answered) = oneshot::channel();
        let queued = Queued { body, incidents: incidents(commit), answer };
        let queue = hold(&self.queue);
        let sender = queue.as_ref().ok_or_else(|| StoreError::Failed("it is closed".to_owned()))?;
        self.shared.arrived();
        sender
            .send(queued)
            .map(|()| answered)
            .map_err(|_| StoreError::Failed("its writer ended".to_owned()))
    }

    /// Writes what is queued, then ends the writer. Blocks.
    pub(crate) fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        drop(hold(&self.queue).take());
        let proving = hold(&self.proving).take();
        if let Some(proving) = proving {
            drop(proving.join());
        }
        let thread = hold(&self.thread).take();
        if let Some(thread) = thread {
            thread.thread().unpark();
            // A writer that panicked has told everybody by ending the journal.
            drop(thread.join());
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

/// Whether a file of this name is a segment.
pub(crate) fn is_segment(file: &str) -> bool {
    segment::first_of(file).is_some()
}

/// The cases that a commit belongs to, each once.
pub(crate) fn incidents(commit: &Commit) -> Vec<IncidentId> {
    let distinct: BTreeSet<IncidentId> =
        commit.entries.iter().filter_map(crate::model::entry::Entry::incident).collect();
    distinct.into_iter().collect()
}
