//! Reads the keys of one source: when they have grown old, and when somebody asks.

use bytes::Bytes;
use chrono::TimeDelta;
use headers::{Age, CacheControl, HeaderMapExt as _};
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

use super::meter::Failed;
use super::{BELIEVED, Kept, LEAST, Renewal, Shelf};
use crate::connector::outbound::{Limits, Transport};
use crate::engine::ports::{Clock, Entropy};
use crate::intake::{KeySet, Place};
use crate::model::id::SourceId;
use crate::model::text::tame;
use crate::model::time::{Span, Time, rfc3339};

/// A set of a hundred keys with their certificates is shorter.
const LIMITS: Limits = Limits { timeout: Duration::from_secs(10), max_bytes: 512 << 10 };
/// How old a set may grow where its answer does not say, and what is taken of what an answer says.
const USUAL: Span = Span::hours(1);
const SHORTEST: Span = Span::minutes(5);
const LONGEST: Span = Span::hours(24);
/// The longest pause after failures in a row.
const PAUSE_MAX: Span = Span::minutes(10);

/// What a renewer is made of.
pub(crate) struct Parts {
    pub(crate) source: SourceId,
    pub(crate) place: Place,
    pub(crate) renewal: Renewal,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) shelf: Arc<dyn Shelf>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Becomes true when the process is about to end.
    pub(crate) closing: watch::Receiver<bool>,
}

/// Reads one source's keys.
pub(crate) struct Renewer(Parts);

/// Why a set was not read.
struct Trouble {
    kind: &'static str,
    problem: String,
}

impl Trouble {
    fn new(kind: &'static str, problem: &impl ToString) -> Self {
        Self { kind, problem: tame(&problem.to_string(), 300) }
    }
}

impl Renewer {
    /// Brings back what an earlier process read, so that it counts before the first delivery is looked at.
    pub(crate) async fn new(parts: Parts) -> Self {
        let renewer = Self(parts);
        renewer.recall().await;
        renewer
    }

    async fn recall(&self) {
        let Parts { source, place, renewal, shelf, clock, .. } = &self.0;
        let Some(kept) = shelf.kept(source).await else { return };
        let (now, until) = (clock.now(), kept.read_at + BELIEVED.delta());
        // What claims to be of a time to come would be believed for longer than anything.
        let is_ours = kept.source == *source && kept.jwks_uri == place.jwks_uri;
        if !is_ours || now >= until || kept.read_at > now {
            return;
        }
        let Some(set) = KeySet::read(kept.set.to_string().as_bytes()) else { return };
        renewal.stands().meter.counts(set.len(), kept.read_at, until);
        renewal.0.ring.put(set, until);
    }

    /// Reads until the process ends.
    pub(crate) async fn run(self) {
        let mut closing = self.0.closing.clone();
        let renewal = self.0.renewal.clone();
        loop {
            let wake = self.due().min(self.ends());
            tokio::select! {
                biased;
                () = ended(&mut closing) => return,
                // What was asked for may be due before what was planned.
                () = renewal.0.asked.notified() => {}
                () = self.0.clock.sleep_until(wake) => self.look().await,
            }
        }
    }

    /// Does what is due by now.
    pub(super) async fn look(&self) {
        let now = self.0.clock.now();
        if now >= self.ends() {
            self.forget();
        }
        if now >= self.due() {
            self.read().await;
        }
    }

    /// When the set is to be read.
    fn due(&self) -> Time {
        let now = self.0.clock.now();
        let stands = self.0.renewal.stands();
        let planned = stands.meter.next_at.unwrap_or(now);
        let wanted = stands.wanted.then(|| stands.soonest(now));
        wanted.map_or(planned, |wanted| wanted.min(planned))
    }

    /// When what counts now counts no longer.
    fn ends(&self) -> Time {
        self.0.renewal.stands().meter.believed_until.unwrap_or(Time::MAX_UTC)
    }

    fn forget(&self) {
        let Parts { source, renewal, .. } = &self.0;
        renewal.0.ring.clear();
        let mut stands = renewal.stands();
        (stands.meter.keys, stands.meter.believed_until) = (0, None);
        drop(stands);
        tracing::error!(
            source.id = %source,
            "Believes no key of `{source}` any more: none could be read for {BELIEVED}"
        );
    }

    /// Tries to read the set once.
    async fn read(&self) {
        self.0.renewal.begins();
        let mut closing = self.0.closing.clone();
        tokio::select! {
            biased;
            () = ended(&mut closing) => {}
            read = self.fetched() => match read {
                Ok((set, fresh)) => self.took(set, fresh).await,
                Err(trouble) => self.later(trouble),
            }
        }
        self.0.renewal.is_over();
    }

    /// The set, and for how long it need not be read again.
    async fn fetched(&self) -> Result<(KeySet, Span), Trouble> {
        let Parts { place, transport, .. } = &self.0;
        let request = http::Request::get(&place.jwks_uri)
            .header(http::header::ACCEPT, "application/jwk-set+json, application/json")
            .body(Bytes::new())
            .map_err(|e| Trouble::new("unreachable", &e))?;
        let answer =
            transport.send(request, LIMITS).await.map_err(|e| Trouble::new("unreachable", &e))?;
        if answer.status() != StatusCode::OK {
            return Err(Trouble::new("refused", &format!("it answered {}", answer.status())));
        }
        let set = KeySet::read(answer.body());
        let unreadable =
            || Trouble::new("unreadable", &"its answer is no JSON Web Key Set of 100 keys at most");
        Ok((set.ok_or_else(unreadable)?, fresh(answer.headers())))
    }

    /// Keeps a set, and has it count: in this order, or a restart could bring back what it lacks.
    async fn took(&self, set: KeySet, fresh: Span) {
        let Parts { source, place, renewal, shelf, clock, .. } = &self.0;
        let now = clock.now();
        let kept = Kept {
            source: source.clone(),
            jwks_uri: place.jwks_uri.clone(),
            read_at: now,
            set: set.written(),
        };
        let unkept = shelf.keep(kept).await.err().map(|why| Trouble::new("store", &why));
        let (keys, until) = (set.len(), now + BELIEVED.delta());
        renewal.0.ring.put(set, until);
        // Spread, so that those who began together do not ask together; never later than was said.
        let next = now + self.spread(fresh.delta(), 0.9).max(SHORTEST.delta());
        let mut stands = renewal.stands();
        stands.gave = stands.begun;
        let meter = &mut stands.meter;
        let mended = meter.in_a_row;
        (meter.in_a_row, meter.failing_since, meter.next_at) = (0, None, Some(next));
        meter.reads += 1;
        meter.counts(keys, now, until);
        if let Some(Trouble { kind, problem }) = &unkept {
            *meter.failures.entry(kind).or_default() += 1;
            meter.failed = Some(Failed { at: now, kind, problem: problem.clone() });
        }
        let first = meter.reads == 1;
        drop(stands);
        if let Some(Trouble { problem, .. }) = unkept {
            tracing::error!(source.id = %source, "Could not keep the keys of `{source}` for the next start: {problem}");
        }
        if keys == 0 {
            tracing::error!(source.id = %source, "The set of `{source}` holds no key that is taken: none of its tokens is");
        } else if first || mended > 0 {
            tracing::info!(source.id = %source, "Read {keys} keys of `{source}`, and reads them again at {}", rfc3339(next));
        }
    }

    /// Counts a failure, and plans the next try.
    fn later(&self, Trouble { kind, problem }: Trouble) {
        let Parts { source, renewal, clock, .. } = &self.0;
        let now = clock.now();
        let mut stands = renewal.stands();
        let pause = LEAST.delta() * (1 << stands.meter.in_a_row.min(4));
        let next = now + self.spread(pause.min(PAUSE_MAX.delta()), 0.5).max(LEAST.delta());
        stands.meter.next_at = Some(next);
        stands.meter.failed(Failed { at: now, kind, problem: problem.clone() });
        let (times, until) = (stands.meter.in_a_row, stands.meter.believed_until);
        drop(stands);
        let until = until.map_or_else(
            || "none is believed".to_owned(),
            |until| format!("those of before are believed until {}", rfc3339(until)),
        );
        tracing::warn!(
            source.id = %source,
            "Could not read the keys of `{source}` ({kind}, {times} in a row), tries again at {}; {until}: {problem}",
            rfc3339(next),
        );
    }

    /// Between this part of the time and all of it.
    fn spread(&self, whole: TimeDelta, least: f64) -> TimeDelta {
        let part = least + (1.0 - least) * self.0.entropy.fraction();
        #[expect(clippy::cast_possible_truncation, reason = "a part of a day at most")]
        #[expect(clippy::cast_precision_loss, reason = "a day in milliseconds")]
        let spread = (whole.num_milliseconds() as f64 * part) as i64;
        TimeDelta::milliseconds(spread)
    }
}

/// Returns when the process is about to end.
async fn ended(closing: &mut watch::Receiver<bool>) {
    // The sender is gone only if the process is.
    _ = closing.wait_for(|closing| *closing).await;
}

/// For how long an answer says that it need not be asked for again, within what is sensible.
fn fresh(heads: &HeaderMap) -> Span {
    let Some(control) = heads.typed_get::<CacheControl>() else { return USUAL };
    if control.no_cache() || control.no_store() {
        return SHORTEST;
    }
    let Some(whole) = control.max_age() else { return USUAL };
    // What lay in a cache on the way has used up part of it.
    let old = heads.typed_get::<Age>().map(|age| age.as_secs()).unwrap_or_default();
    let left = whole.as_secs().saturating_sub(old);
    let left = i64::try_from(left).unwrap_or(i64::MAX);
    let (least, most) = (SHORTEST.delta().num_seconds(), LONGEST.delta().num_seconds());
    Span::seconds(left.clamp(least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_says_of_its_age_is_taken_within_bounds() {
        for (control, age, expected) in [
            (None, None, USUAL),
            (Some("public"), None, USUAL),
            (Some("public, max-age=7200"), None, Span::hours(2)),
            (Some("max-age=7200"), Some("3600"), Span::hours(1)),
            (Some("max-age=7200"), Some("never"), Span::hours(2)),
            (Some("max-age=1"), None, SHORTEST),
            (Some("max-age=60"), Some("99999"), SHORTEST),
            (Some("max-age=31536000, immutable"), None, LONGEST),
            (Some("max-age=99999999999999999999999"), None, USUAL),
            (Some("no-cache, max-age=7200"), None, SHORTEST),
            (Some("no-store"), None, SHORTEST),
            (Some("max-age=soon"), None, USUAL),
        ] {
            let mut heads = HeaderMap::new();
            let given = [(http::header::CACHE_CONTROL, control), (http::header::AGE, age)];
            for (name, value) in given {
                heads.extend(value.map(|value| (name, http::HeaderValue::from_static(value))));
            }

            assert_eq!(fresh(&heads), expected, "{control:?} {age:?}");
        }
    }
}
