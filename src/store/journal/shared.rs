//! What the writer's thread and its callers both look at.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::watch;

use super::line::NO_PREV;
use super::proof::Proof;
use crate::engine::ports::StoreError;
use crate::model::id::IncidentId;
use crate::store::hold::hold;

/// Every so many lines, the place of one is kept in memory.
const MARK_EVERY: u64 = 64;

/// How far the writer is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    pub(crate) durable: u64,
    /// Why it will not get any further.
    pub(crate) ended: Option<String>,
}

/// The end of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) hash: String,
}

/// Where lines are.
#[derive(Debug)]
pub(crate) struct Map {
    /// The last line that was dropped; 0 in a whole journal.
    pub(crate) start: Head,
    pub(crate) head: Head,
    /// Segments by first sequence, with the bytes of their lines.
    pub(crate) segments: BTreeMap<u64, u64>,
    /// Sequence → segment and offset, for a segment's first line and for some others.
    marks: BTreeMap<u64, (u64, u64)>,
}

impl Map {
    pub(crate) fn new() -> Self {
        let none = Head { seq: 0, hash: NO_PREV.to_owned() };
        Self { start: none.clone(), head: none, segments: BTreeMap::new(), marks: BTreeMap::new() }
    }

    /// The journal begins behind `last`.
    pub(crate) fn begin(&mut self, last: Head) {
        self.head = last.clone();
        self.start = last;
    }

    /// The segment that begins with `first` was dropped, all those before it too.
    pub(crate) fn forget(&mut self, first: u64) {
        self.segments.remove(&first);
        if let Some(next) = self.segments.keys().next() {
            self.marks = self.marks.split_off(next);
        }
    }

    /// The first line that is there.
    pub(crate) fn first(&self) -> u64 {
        self.segments.keys().next().copied().unwrap_or(1)
    }

    /// Notes one more line, `end` being where its segment's lines end now.
    pub(crate) fn push(&mut self, head: Head, segment: u64, offset: u64, end: u64) {
        if head.seq.is_multiple_of(MARK_EVERY) || head.seq == segment {
            self.marks.insert(head.seq, (segment, offset));
        }
        self.segments.insert(segment, end);
        self.head = head;
    }

    /// Notes where a line of an older segment is.
    fn mark(&mut self, seq: u64, segment: u64, offset: u64) {
        if seq.is_multiple_of(MARK_EVERY) {
            self.marks.insert(seq, (segment, offset));
        }
    }

    /// The nearest known place at or before `seq`: its sequence, segment and offset.
    pub(crate) fn near(&self, seq: u64) -> Option<(u64, u64, u64)> {
        let (seq, (segment, offset)) = self.marks.range(..=seq).next_back()?;
        Some((*seq, *segment, *offset))
    }
}

/// The state that both sides share.
pub(crate) struct Shared {
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) map: Mutex<Map>,
    /// Incidents of durable commits whose rows are not written yet.
    touched: Mutex<BTreeMap<u64, Vec<IncidentId>>>,
    stalled: Mutex<Option<String>>,
    proof: Mutex<Proof>,
    waiting: AtomicUsize,
    pub(crate) closing: AtomicBool,
    /// The next write begins a new segment.
    pub(crate) roll: AtomicBool,
}

impl Shared {
    pub(crate) fn new(map: Map) -> Self {
        let progress = Progress { durable: map.head.seq, ended: None };
        Self {
            progress: watch::Sender::new(progress),
            map: Mutex::new(map),
            touched: Mutex::new(BTreeMap::new()),
            stalled: Mutex::new(None),
            proof: Mutex::new(Proof::Whole),
            waiting: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            roll: AtomicBool::new(false),
        }
    }

    pub(crate) fn durable(&self) -> u64 {
        self.progress.borrow().durable
    }

    pub(crate) fn head(&self) -> Head {
        hold(&self.map).head.clone()
    }

    /// Why nothing can be taken now, if so.
    pub(crate) fn refusal(&self) -> Option<StoreError> {
        self.ended().or_else(|| hold(&self.stalled).clone().map(StoreError::Busy))
    }

    /// Why nothing will be written any more, if so.
    pub(crate) fn ended(&self) -> Option<StoreError> {
        self.progress.borrow().ended.clone().map(StoreError::Failed)
    }

    /// Commits that wait for the writer.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(crate) fn arrived(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn taken(&self, n: usize) {
        self.waiting.fetch_sub(n, Ordering::Relaxed);
    }

    pub(crate) fn set_stalled(&self, why: Option<String>) {
        *hold(&self.stalled) = why;
    }

    /// How far the proof of older lines is.
    pub(crate) fn proof(&self) -> Proof {
        hold(&self.proof).clone()
    }

    pub(super) fn set_proof(&self, proof: Proof) {
        *hold(&self.proof) = proof;
    }

    pub(super) fn mark(&self, seq: u64, segment: u64, offset: u64) {
        hold(&self.map).mark(seq, segment, offset);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Ends the journal until a restart; the first reason stays.
    pub(crate) fn end(&self, why: &str) {
        self.progress.send_modify(|progress| {
            progress.ended.get_or_insert_with(|| why.to_owned());
        });
    }

    pub(crate) fn touch(&self, seq: u64, incidents: Vec<IncidentId>) {
        if !incidents.is_empty() {
            hold(&self.touched).insert(seq, incidents);
        }
    }

    /// The incidents that commits up to `seq` touched and no rows were written for yet.
    pub(crate) fn touched(&self, seq: u64) -> Vec<(u64, Vec<IncidentId>)> {
        hold(&self.touched).range(..=seq).map(|(seq, ids)| (*seq, ids.clone())).collect()
    }

    pub(crate) fn forget_touched(&self, seq: u64) {
        hold(&self.touched).retain(|touched, _| *touched > seq);
    }

    /// Returns once `seq` is on disk.
    pub(crate) async fn until_durable(&self, seq: u64) -> Result<(), StoreError> {
        let mut progress = self.progress.subscribe();
        let reached = progress
            .wait_for(|progress| progress.durable >= seq || progress.ended.is_some())
            .await
            .map(|progress| progress.clone());
        match reached {
            Ok(progress) if progress.durable >= seq => Ok(()),
            Ok(progress) => Err(StoreError::Failed(progress.ended.unwrap_or_default())),
            Err(_) => Err(StoreError::Failed("the journal is closed".to_owned())),
        }
    }
}
