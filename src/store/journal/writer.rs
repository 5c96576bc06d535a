//! The one thread that writes. It takes whatever is queued, writes it in one go, syncs once,
//! and only then answers. It never waits for more to come.
//!
//! * Disk full: nothing of the write is acknowledged. The lines are held, newcomers are
//!   told to come back, and the write is tried again on a fresh segment until there is room.
//! * Any other error: the journal ends until a restart. What a failed sync did to the
//!   pages is unknown, so trying again on them would be guessing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::thread;

use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::JournalOptions;
use super::line::{self, Body};
use super::lines::to_u64;
use super::medium::{Medium, is_full};
use super::segment::Segment;
use super::shared::{Head, Shared};
use crate::engine::ports::StoreError;
use crate::model::id::IncidentId;
use crate::store::hold::hold;

/// A write is not made longer than this by taking more commits in.
const GROUP_BYTES: usize = 4 << 20;

type Answer = oneshot::Sender<Result<(), StoreError>>;

/// A commit on its way to the disk.
pub(crate) struct Queued {
    pub(crate) body: Body,
    pub(crate) incidents: Vec<IncidentId>,
    pub(crate) answer: Answer,
}

/// A line of the write under way.
struct Pending {
    head: Head,
    /// From the start of the write.
    offset: u64,
    end: u64,
    incidents: Vec<IncidentId>,
    answer: Answer,
}

pub(crate) struct Writer {
    medium: Arc<dyn Medium>,
    shared: Arc<Shared>,
    options: JournalOptions,
    queue: Receiver<Queued>,
    segment: Segment,
    head: Head,
    /// A write failed in the segment: it must be cut and left before the next.
    spoiled: bool,
}

impl Writer {
    pub(crate) fn new(
        medium: Arc<dyn Medium>,
        shared: Arc<Shared>,
        options: JournalOptions,
        queue: Receiver<Queued>,
        segment: Segment,
    ) -> Self {
        let head = shared.head();
        Self { medium, shared, options, queue, segment, head, spoiled: false }
    }

    /// Runs until all senders are gone and the queue is empty.
    pub(crate) fn run(mut self) {
        while let Some(group) = self.take() {
            self.commit(group);
        }
    }

    fn take(&self) -> Option<Vec<Queued>> {
        let first = self.queue.recv().ok()?;
        let mut bytes = first.body.size();
        let mut group = vec![first];
        while group.len() < self.options.group && bytes < GROUP_BYTES {
            let Ok(next) = self.queue.try_recv() else { break };
            bytes += next.body.size();
            group.push(next);
        }
        self.shared.taken(group.len());
        Some(group)
    }

    fn commit(&mut self, group: Vec<Queued>) {
        let (bytes, lines) = self.prepare(group);
        if lines.is_empty() {
            return;
        }
        let result = if let Some(error) = self.ended() {
            Err(error)
        } else {
            self.write_until_done(bytes.as_bytes())
        };
        match result {
            Ok(()) => self.keep(bytes.as_bytes(), lines),
            Err(error) => {
                for line in lines {
                    answer(line.answer, Err(error.clone()));
                }
            }
        }
    }

    /// The bytes to write for those commits that follow the head; the others are refused.
    fn prepare(&self, group: Vec<Queued>) -> (String, Vec<Pending>) {
        let mut bytes = String::new();
        let mut lines: Vec<Pending> = Vec::with_capacity(group.len());
        let mut head = self.head.clone();
        for Queued { body, incidents, answer: waiting } in group {
            if body.seq != head.seq + 1 {
                let error = StoreError::OutOfOrder { head: head.seq, got: body.seq };
                answer(waiting, Err(error));
                continue;
            }
            let offset = to_u64(bytes.len());
            let (text, hash) = line::encode(&body, &head.hash, !lines.is_empty());
            bytes.push_str(&text);
            bytes.push('\n');
            head = Head { seq: body.seq, hash };
            let end = to_u64(bytes.len());
            lines.push(Pending { head: head.clone(), offset, end, incidents, answer: waiting });
        }
        (bytes, lines)
    }

    fn ended(&self) -> Option<StoreError> {
        self.shared.progress.borrow().ended.clone().map(StoreError::Failed)
    }

    fn write_until_done(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let mut stalled = false;
        loop {
            match self.write(bytes) {
                Ok(()) => break,
                Err(error) if is_full(&error) => {
                    self.spoiled = true;
                    if !stalled {
                        warn!(error = %error, "Stopped taking commits: the journal's disk is full");
                    }
                    stalled = true;
                    self.wait_for_room()?;
                }
                Err(error) => {
                    error!(error = %error, "Ended the journal: a write or sync failed");
                    self.shared.end(&error.to_string());
                    return Err(StoreError::Failed(error.to_string()));
                }
            }
        }
        if stalled {
            self.shared.set_stalled(None);
            info!("Took up the journal again: there is room on its disk");
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let medium = self.medium.as_ref();
        if self.spoiled {
            self.segment.cut(medium)?;
        }
        let full = self.segment.end >= self.options.segment_bytes;
        let old = self.segment.end > 0 && self.shared.roll.swap(false, Ordering::AcqRel);
        if self.spoiled || full || old {
            self.segment = Segment::create(medium, self.head.seq + 1)?;
            self.spoiled = false;
        }
        self.segment.write(medium, bytes, self.options.growth)
    }

    fn wait_for_room(&self) -> Result<(), StoreError> {
        let why = "there is no room on its disk".to_owned();
        self.shared.set_stalled(Some(why.clone()));
        if !self.shared.is_closing() {
            // Closing wakes it.
            thread::park_timeout(self.options.retry_every);
        }
        if self.shared.is_closing() { Err(StoreError::Busy(why)) } else { Ok(()) }
    }

    /// The write is on disk: tells everybody.
    fn keep(&mut self, bytes: &[u8], lines: Vec<Pending>) {
        let start = self.segment.end;
        self.segment.keep(bytes);
        let mut answers = Vec::with_capacity(lines.len());
        let mut map = hold(&self.shared.map);
        for line in lines {
            self.shared.touch(line.head.seq, line.incidents);
            self.head = line.head;
            let end = start + line.end;
            map.push(self.head.clone(), self.segment.first, start + line.offset, end);
            answers.push(line.answer);
        }
        drop(map);
        self.shared.progress.send_modify(|progress| progress.durable = self.head.seq);
        for waiting in answers {
            answer(waiting, Ok(()));
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.end("it is closed");
    }
}

fn answer(waiting: Answer, result: Result<(), StoreError>) {
    // Nobody may be waiting any more; the commit stands all the same.
    drop(waiting.send(result));
}
