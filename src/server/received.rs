//! What has come in since the start, by source, and what was refused lately: for people who wonder why
//! nothing arrives. In memory; the metrics count the same.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::problem::Problem;
use crate::engine::ingest::Answer;
use crate::intake::OfStream;
use crate::model::text::tame;
use crate::model::time::Time;

/// Refusals that are remembered of each source.
const REFUSALS: usize = 20;

/// One source's deliveries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// What kind of records it sends.
    pub(crate) kind: String,
    pub(crate) last_accepted: Option<Time>,
    pub(crate) accepted: u64,
    pub(crate) repeated: u64,
    pub(crate) refused: u64,
    pub(crate) records: u64,
    /// Records that were left out of deliveries that were taken.
    pub(crate) records_rejected: u64,
    /// The newest first.
    pub(crate) refusals: VecDeque<Refusal>,
    pub(crate) stream: Stream,
}

/// What a transmitter of event tokens has said of its stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Stream {
    /// When a verification came last, and the state that it brought.
    pub(crate) verified: Option<(Time, String)>,
    pub(crate) status: Option<StreamStatus>,
}

/// That a stream was enabled, paused or disabled.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StreamStatus {
    pub(crate) at: Time,
    pub(crate) status: String,
    pub(crate) reason: String,
}

/// A delivery that was not taken, or a record of one.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) at: Time,
    /// The problem's type.
    pub(crate) problem: String,
    pub(crate) detail: String,
}

/// Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Received(Arc<Mutex<BTreeMap<String, Seen>>>);

impl Received {
    /// Knows configured sources before anything has come from them.
    pub(crate) fn of(sources: impl IntoIterator<Item = (String, String)>) -> Self {
        let seen = |kind| Seen { kind, ..Seen::default() };
        let all = sources.into_iter().map(|(name, kind)| (name, seen(kind))).collect();
        Self(Arc::new(Mutex::new(all)))
    }

    /// Knows the sources of settings that were read again. What came from them before stays known.
    pub(crate) fn expect(&self, sources: impl IntoIterator<Item = (String, String)>) {
        let mut all = self.lock();
        for (name, kind) in sources {
            all.entry(name).or_default().kind = kind;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A delivery was answered. Names that are no source share one place.
    pub(super) fn note(&self, source: &str, at: Time, answered: &Result<Answer, Problem>) {
        let mut all = self.lock();
        let seen = all.entry(source.to_owned()).or_default();
        match answered {
            Ok(answer) if answer.duplicate => seen.repeated += 1,
            Ok(answer) => {
                seen.accepted += 1;
                seen.last_accepted = Some(at);
                seen.records += answer.accepted as u64;
                seen.records_rejected += answer.rejected.len() as u64;
                if let Some(first) = answer.rejected.first() {
                    let detail = format!("record {} of a delivery that was taken", first.index);
                    seen.refuse(Refusal { at, problem: first.problem.clone(), detail });
                }
            }
            Err(problem) => {
                seen.refused += 1;
                let detail = tame(problem.said(), 300);
                seen.refuse(Refusal { at, problem: problem.slug().to_owned(), detail });
            }
        }
    }

    /// A proved token of a source was about its stream.
    pub(crate) fn of_stream(&self, source: &str, at: Time, said: OfStream) {
        let mut all = self.lock();
        let stream = &mut all.entry(source.to_owned()).or_default().stream;
        match said {
            OfStream::Verification { state } => stream.verified = Some((at, state)),
            OfStream::Updated { status, reason } => {
                stream.status = Some(StreamStatus { at, status, reason });
            }
        }
    }

    /// Every source by name, as it stands.
    pub(crate) fn all(&self) -> BTreeMap<String, Seen> {
        self.lock().clone()
    }
}

impl Seen {
    fn refuse(&mut self, refusal: Refusal) {
        self.refusals.truncate(REFUSALS - 1);
        self.refusals.push_front(refusal);
    }
}
