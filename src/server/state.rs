//! What every handler is handed: the engine, the sources, and what is known of playbooks.

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::admission::Admission;
use super::again::Again;
use super::files::Files;
use super::metrics::Metrics;
use super::problem::{Kind, Problem};
use super::received::Received;
use super::roster::Roster;
use super::settings::Rereads;
use super::token::Used;
use crate::delivery::Origin;
use crate::engine::driver::Engine;
use crate::engine::ingest::Answer;
use crate::engine::state::DeliveryKey;
use crate::intake::{Parsed, Verifier};
use crate::jwks::Renewals;
use crate::model::action::Signatures;
use crate::model::id::{PlaybookName, SourceId};
use crate::model::time::Time;
use crate::notify::Meters as Notices;
use crate::playbook::Checked;
use crate::poll::Meters;

/// Deliveries whose answers are remembered beside the journal.
const ANSWERS: usize = 50_000;
/// Streams of the journal that may be open at once.
const STREAMS: usize = 64;

/// One source, ready to receive.
pub(crate) struct Source {
    pub(crate) origin: Origin,
    /// Without one, only tokens deliver.
    pub(crate) verifier: Option<Verifier>,
    pub(crate) bucket: Bucket,
}

/// How fast a source may send. All clones are filled by the same deliveries.
#[derive(Clone)]
pub(crate) struct Bucket {
    per_minute: NonZeroU32,
    limiter: Arc<DefaultDirectRateLimiter>,
}

impl Bucket {
    pub(crate) fn per_minute(deliveries: u32) -> Self {
        let per_minute = NonZeroU32::new(deliveries).unwrap_or(NonZeroU32::MIN);
        let limiter = Arc::new(RateLimiter::direct(Quota::per_minute(per_minute)));
        Self { per_minute, limiter }
    }

    pub(super) fn is_as_fast_as(&self, other: &Self) -> bool {
        self.per_minute == other.per_minute
    }

    /// Takes one; told apart from everything else so that a sender can slow down.
    pub(super) fn take(&self) -> Result<(), Problem> {
        self.limiter.check().map_err(|early| {
            let wait = early.wait_time_from(DefaultClock::default().now());
            Problem::new(Kind::TooManyRequests)
                .detail("this address takes no more deliveries for now; nothing was read")
                .retry_after(wait.as_secs() + 1)
        })
    }
}

/// A playbook that was submitted and waits for a person to publish it.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) checked: Checked,
    pub(crate) by: String,
    pub(crate) at: Time,
    /// Unified diff to the published version.
    pub(crate) diff: String,
}

/// Submitted playbooks by name. The console publishes them.
pub(crate) type Candidates = Arc<Mutex<BTreeMap<PlaybookName, Candidate>>>;

/// What the server is made of.
pub(crate) struct Parts {
    pub(crate) engine: Engine,
    pub(crate) sources: Roster,
    pub(crate) signatures: Arc<Signatures>,
    pub(crate) metrics: Metrics,
    pub(crate) polls: Meters,
    /// The keys of transmitters that are read again and again.
    pub(crate) keys: Renewals,
    /// What came of telling people.
    pub(crate) notices: Notices,
    pub(crate) candidates: Candidates,
    pub(crate) lab: bool,
    /// Becomes true when the process is about to end.
    pub(crate) closing: watch::Receiver<bool>,
    /// Answers to deliveries that left no trace in the journal, as the evidence log has them.
    pub(crate) answers: Answers,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) rereads: Arc<dyn Rereads>,
    pub(crate) received: Received,
    pub(crate) again: Again,
    pub(crate) used: Used,
}

/// The server's state. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api(Arc<Inner>);

struct Inner {
    parts: Parts,
    /// Stands in for sources that do not exist, so that they are answered alike.
    nobody: Bucket,
    admission: Admission,
    streams: Arc<Semaphore>,
}

impl Api {
    pub(crate) fn new(parts: Parts) -> Self {
        let (nobody, admission) = (Bucket::per_minute(600), Admission::default());
        let streams = Arc::new(Semaphore::new(STREAMS));
        Self(Arc::new(Inner { parts, nobody, admission, streams }))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.parts.engine
    }

    /// A source as it is now.
    pub(super) fn source(&self, id: &str) -> Option<Arc<Source>> {
        self.0.parts.sources.get(&SourceId::new(id))
    }

    /// The bucket of a source, or the one of all that do not exist.
    pub(super) fn bucket(&self, source: Option<&Source>) -> Result<(), Problem> {
        source.map_or(&self.0.nobody, |source| &source.bucket).take()
    }

    pub(super) fn admission(&self) -> &Admission {
        &self.0.admission
    }

    /// A place among the streams that may be open, if one is left.
    pub(super) fn stream_place(&self) -> Option<OwnedSemaphorePermit> {
        self.0.streams.clone().try_acquire_owned().ok()
    }

    pub(super) fn signatures(&self) -> &Signatures {
        &self.0.parts.signatures
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.parts.metrics
    }

    pub(super) fn received(&self) -> &Received {
        &self.0.parts.received
    }

    pub(super) fn again(&self) -> &Again {
        &self.0.parts.again
    }

    pub(super) fn used(&self) -> &Used {
        &self.0.parts.used
    }

    pub(super) fn polls(&self) -> &Meters {
        &self.0.parts.polls
    }

    pub(super) fn keys(&self) -> &Renewals {
        &self.0.parts.keys
    }

    pub(super) fn notices(&self) -> &Notices {
        &self.0.parts.notices
    }

    pub(super) fn is_lab(&self) -> bool {
        self.0.parts.lab
    }

    pub(super) fn closing(&self) -> watch::Receiver<bool> {
        self.0.parts.closing.clone()
    }

    pub(super) fn candidates(
        &self,
    ) -> std::sync::MutexGuard<'_, BTreeMap<PlaybookName, Candidate>> {
        self.0.parts.candidates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn files(&self) -> &dyn Files {
        &*self.0.parts.files
    }

    pub(super) fn rereads(&self) -> &dyn Rereads {
        &*self.0.parts.rereads
    }

    pub(super) fn answers(&self) -> &Answers {
        &self.0.parts.answers
    }
}

/// What deliveries of plain events were answered: the journal has only those that changed something.
#[derive(Clone, Default)]
pub(crate) struct Answers(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    by_key: HashMap<DeliveryKey, Answer>,
    order: VecDeque<DeliveryKey>,
}

impl Answers {
    pub(crate) fn get(&self, source: &SourceId, delivery: &str) -> Option<Answer> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut answer = known.by_key.get(&DeliveryKey::new(source.as_str(), delivery))?.clone();
        answer.duplicate = true;
        Some(answer)
    }

    /// Takes a delivery in, once: under a name that was answered before the same is answered again.
    pub(super) async fn take(
        &self,
        engine: &Engine,
        origin: &Origin,
        (delivery, replayed): (String, bool),
        parsed: impl FnOnce() -> Result<Parsed, Problem>,
    ) -> Result<Answer, Problem> {
        let id = &origin.view.id;
        if let Some(answer) = self.get(id, &delivery) {
            return Ok(answer);
        }
        let answer = origin.take(engine, parsed()?, delivery.clone(), replayed).await?;
        // What is in the journal is remembered there.
        if !engine.has_answered(id.as_str(), &delivery) {
            self.put(id, &delivery, answer.remembered());
        }
        Ok(answer)
    }

    /// Remembers an answer, and forgets the oldest where there are too many.
    pub(crate) fn put(&self, source: &SourceId, delivery: &str, answer: Answer) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = DeliveryKey::new(source.as_str(), delivery);
        if known.by_key.insert(key, answer).is_none() {
            known.order.push_back(key);
        }
        if known.order.len() > ANSWERS
            && let Some(oldest) = known.order.pop_front()
        {
            known.by_key.remove(&oldest);
        }
    }
}
