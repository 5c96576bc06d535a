//! Reads the public keys of transmitters of event tokens, again and again, so that nobody has to when they rotate.
//!
//! A [`Renewal`] stands for one source. Its [`Renewer`] reads the set when it has grown old, and at once when a token
//! names a key that is not known, but once a minute at most, whoever asks. What was read is on disk before it counts,
//! so that no restart brings back a key that a newer set lacks. Where the set cannot be read the last one counts
//! on, for [`BELIEVED`] at most.
//!
//! Knows no store and no server; the HTTP client is the connectors' one.

mod meter;
mod renewer;
#[cfg(test)]
pub(crate) mod tests;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};

use crate::connector::outbound::Guard;
use crate::engine::ports::Clock;
use crate::intake::{Place, Ring};
use crate::model::id::SourceId;
use crate::model::time::{Span, Time};

#[cfg(test)]
pub(crate) use meter::Failed;
pub(crate) use meter::Meter;
pub(crate) use renewer::{Parts, Renewer};

/// A set is read no sooner than this after it was read before, whatever is asked for.
const LEAST: Span = Span::minutes(1);
/// How long the last set that could be read is believed: a long weekend. A transmitter that has withdrawn a stolen key
/// must not depend for ever on our reaching it.
const BELIEVED: Span = Span::hours(72);
/// How long a delivery waits for the keys; its sender is then told to come back.
const PATIENCE: Duration = Duration::from_secs(5);
/// When a sender is to come back whose keys are being read.
const SOON: Span = Span::seconds(5);
/// Deliveries of one source that wait for its keys.
const WAITING: usize = 32;

/// Why keys cannot be read there, whoever answers.
pub(crate) fn problem(place: &Place) -> Option<String> {
    let refused = Guard::new(&place.allow_networks).url(&place.jwks_uri).err()?;
    Some(format!("`jwks_uri`: {refused}"))
}

/// A set that was read, as it is kept for the next start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) source: SourceId,
    /// Where it was read. What was read elsewhere says nothing.
    pub(crate) jwks_uri: String,
    pub(crate) read_at: Time,
    pub(crate) set: Value,
}

/// Where sets are kept.
#[async_trait]
pub(crate) trait Shelf: Send + Sync {
    /// On disk when it returns, or nothing is there for the source any more.
    async fn keep(&self, kept: Kept) -> Result<(), String>;
    async fn kept(&self, source: &SourceId) -> Option<Kept>;
}

/// The keys of one source, and the way to have them read again. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Renewal(Arc<Inner>);

struct Inner {
    ring: Ring,
    clock: Arc<dyn Clock>,
    /// Wakes the renewer.
    asked: Notify,
    /// How often somebody has tried to read; changes when it is over.
    tries: watch::Sender<u64>,
    waiting: Semaphore,
    stands: Mutex<Stands>,
}

/// How the reading stands.
#[derive(Default)]
struct Stands {
    /// When the last try began.
    tried_at: Option<Time>,
    under_way: bool,
    /// How many tries have begun, and which of them gave what counts now: none, if an earlier process did.
    begun: u64,
    gave: u64,
    /// Somebody has asked for another.
    wanted: bool,
    meter: Meter,
}

impl Stands {
    /// When the set may be read at the soonest. A clock that was put back holds nothing up.
    fn soonest(&self, now: Time) -> Time {
        let held = self.tried_at.filter(|at| *at <= now).map(|at| at + LEAST.delta());
        held.map_or(now, |at| at.max(now))
    }
}

/// What came of asking for the keys once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// What counts now was read after the token had come: what it lacks is no key of the transmitter's.
    Read,
    /// It was not, and may be so long from now.
    Later(Span),
}

impl Renewal {
    pub(crate) fn new(ring: Ring, clock: Arc<dyn Clock>, place: &Place) -> Self {
        let meter = Meter { jwks_uri: place.jwks_uri.clone(), ..Meter::default() };
        Self(Arc::new(Inner {
            ring,
            clock,
            asked: Notify::new(),
            tries: watch::channel(0).0,
            waiting: Semaphore::new(WAITING),
            stands: Mutex::new(Stands { meter, ..Stands::default() }),
        }))
    }

    fn stands(&self) -> MutexGuard<'_, Stands> {
        self.0.stands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the reading stands, for people.
    pub(crate) fn meter(&self) -> Meter {
        self.stands().meter.clone()
    }

    /// What is to be seen of it.
    #[cfg(test)]
    pub(crate) fn note(&self, change: impl FnOnce(&mut Meter)) {
        change(&mut self.stands().meter);
    }

    /// Has the keys read for a token that has come, and waits for that, but not for long. Where they were read a
    /// moment ago nothing is read now; it is as soon as it may be.
    pub(crate) async fn look_again(&self) -> Asked {
        let before = self.stands().begun;
        let mut tries = self.0.tries.subscribe();
        if self.ask()
            && let Ok(_place) = self.0.waiting.try_acquire()
        {
            // It goes on without us.
            _ = tokio::time::timeout(PATIENCE, tries.changed()).await;
        }
        let now = self.0.clock.now();
        let stands = self.stands();
        // A set without keys is more likely to be mended than meant.
        if stands.meter.keys > 0 && stands.gave > before {
            return Asked::Read;
        }
        if stands.under_way {
            return Asked::Later(SOON);
        }
        let wait = stands.soonest(now) - now;
        Asked::Later(Span::seconds(wait.num_seconds() + 1))
    }

    /// Somebody begins to read.
    fn begins(&self) {
        let now = self.0.clock.now();
        let mut stands = self.stands();
        (stands.tried_at, stands.under_way, stands.wanted) = (Some(now), true, false);
        stands.begun += 1;
    }

    /// And has read, or not.
    fn is_over(&self) {
        self.stands().under_way = false;
        self.0.tries.send_modify(|tries| *tries += 1);
    }

    /// Asks the renewer. Whether the answer is worth waiting for.
    fn ask(&self) -> bool {
        let now = self.0.clock.now();
        let mut stands = self.stands();
        if stands.under_way {
            return true;
        }
        if !stands.wanted {
            stands.wanted = true;
            self.0.asked.notify_one();
        }
        stands.soonest(now) <= now
    }
}

/// The sources whose keys are read again and again. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Renewals(Arc<BTreeMap<SourceId, Renewal>>);

impl Renewals {
    pub(crate) fn get(&self, source: &SourceId) -> Option<&Renewal> {
        self.0.get(source)
    }

    /// How each stands.
    pub(crate) fn meters(&self) -> BTreeMap<SourceId, Meter> {
        self.0.iter().map(|(id, renewal)| (id.clone(), renewal.meter())).collect()
    }
}

impl FromIterator<(SourceId, Renewal)> for Renewals {
    fn from_iter<I: IntoIterator<Item = (SourceId, Renewal)>>(all: I) -> Self {
        Self(Arc::new(all.into_iter().collect()))
    }
}
