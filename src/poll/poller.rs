//! One source's polls: a page, its records, the cursor, and when to ask again.
//!
//! One request is under way at a time. A page whose records could not be taken in is asked for again; the
//! cursor's entry is committed behind them, so that it never says more than what is on disk.

use chrono::TimeDelta;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use tokio::sync::watch;

use super::Pull;
use super::known::Known;
use super::logs::Page;
use super::meter::{Failed, Meters};
use super::options::Options;
use super::walk::{Stands, Walk};
use crate::connector::pull::{NotPulled, Pulled};
use crate::delivery::Origin;
use crate::engine::driver::Engine;
use crate::engine::ports::StoreError;
use crate::intake::{self, Format, Parsed, Record};
use crate::model::entry::Entry;
use crate::model::id::{EventId, SourceId};
use crate::model::poll::PollAdvanced;
use crate::model::time::{Span, Time};

/// The longest pause after failures in a row, where the provider does not say when.
const PAUSE_MAX: TimeDelta = TimeDelta::minutes(10);
/// Polls that are no further apart tell a provider's lateness from our own.
const STEADY: TimeDelta = TimeDelta::minutes(5);
/// Alerts that a cursor's entry names: the newest.
const SEEN_MAX: usize = 1_000;

/// What a poller is made of.
pub(crate) struct Parts {
    pub(crate) engine: Engine,
    pub(crate) origin: Origin,
    pub(crate) options: Options,
    pub(crate) pull: Arc<dyn Pull>,
    /// What the evidence log has of the source.
    pub(crate) known: Known,
    pub(crate) meters: Meters,
    /// Becomes true when the process is about to end.
    pub(crate) closing: watch::Receiver<bool>,
}

/// One polled source.
pub(crate) struct Poller {
    parts: Parts,
    /// Under way.
    walk: Option<Walk>,
    /// Where the provider said that later records will be.
    follow: Option<Walk>,
    /// When the walk began.
    began: Time,
    failures: u32,
}

/// Why a page was not taken in.
struct Trouble {
    kind: &'static str,
    problem: String,
    /// When the provider said that it may be asked again.
    wait: Option<Span>,
}

impl Trouble {
    fn new(kind: &'static str, problem: &impl ToString) -> Self {
        Self { kind, problem: problem.to_string(), wait: None }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::new("store", &error)
    }
}

impl Poller {
    pub(crate) fn new(mut parts: Parts) -> Self {
        let now = parts.engine.now();
        let source = parts.origin.view.id.clone();
        if let Some(cursor) = cursor(&parts) {
            for alert in cursor.seen {
                parts.known.alert(alert, cursor.through);
            }
        }
        parts.meters.note(&source, |meter| {
            meter.began_at = Some(now);
            meter.connection = Some(parts.options.connection.clone());
            meter.log = parts.options.log.name;
            meter.kind = parts.options.log.kind.to_string();
        });
        Self { parts, walk: None, follow: None, began: now, failures: 0 }
    }

    /// Polls until the process ends.
    pub(crate) async fn run(mut self) {
        let mut closing = self.parts.closing.clone();
        let clock = self.parts.engine.ports().clock.clone();
        let mut due = clock.now();
        loop {
            tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => return,
                () = clock.sleep_until(due) => {}
            }
            due = self.step().await;
        }
    }

    fn id(&self) -> &SourceId {
        &self.parts.origin.view.id
    }

    /// Asks for the page that is due, and takes it in. When to do that again.
    pub(crate) async fn step(&mut self) -> Time {
        let due = self.asked().await;
        self.parts.meters.note(&self.parts.origin.view.id, |meter| meter.next_at = Some(due));
        due
    }

    async fn asked(&mut self) -> Time {
        let now = self.parts.engine.now();
        let connection = &self.parts.options.connection;
        // Whoever contains has found that the provider does not answer, or asks to wait: nothing is learned here.
        if let Some(until) = self.parts.engine.read(|core| core.desk.shut_until(connection, now)) {
            self.parts.meters.note(&self.parts.origin.view.id, |meter| {
                meter.held_since.get_or_insert(now);
            });
            return until;
        }
        match self.page().await {
            Ok(due) => due,
            Err(trouble) => self.later(trouble),
        }
    }

    /// One page; when the next one is due.
    async fn page(&mut self) -> Result<Time, Trouble> {
        let now = self.parts.engine.now();
        let cursor = self.begun(now).await?;
        let log = self.parts.options.log;
        let Some(walk) = self.under_way(cursor, now) else { return Ok(self.next(now)) };
        let reading = log.reading(&walk.ask());
        let mut closing = self.parts.closing.clone();
        let pulled = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => return Ok(now),
            pulled = self.parts.pull.pull(&self.parts.options.connection, &reading) => pulled,
        };
        let pulled = match pulled {
            Ok(pulled) => pulled,
            Err(NotPulled::Early(wait)) => return Ok(now + wait.delta()),
            Err(not) => return Err(self.troubled(&walk, &not)),
        };
        let page = log.page(&pulled.answer).map_err(|e| Trouble::new("unreadable", &e))?;
        if walk.is_circle(&page) {
            self.walk = None;
            return Err(Trouble::new("unreadable", &"the next page is the page itself"));
        }
        let received = self.parts.engine.now();
        let fresh = self.take(&pulled, &page, (cursor, received)).await?;
        self.note(&page, fresh, received);
        // What came after the question may be missing from the answer.
        let (stands, through) = walk.took(log, &page, cursor, now);
        self.advance(cursor, through).await?;
        self.failures = 0;
        Ok(self.stands(stands, through))
    }

    /// The walk that is under way, or one that begins.
    fn under_way(&mut self, cursor: Time, now: Time) -> Option<Walk> {
        if self.walk.is_none() {
            let Options { log, overlap, .. } = self.parts.options;
            self.began = now;
            self.walk = self.follow.take().or_else(|| Walk::begin(log, overlap, cursor, now));
            if let Some(gone) = self.walk.as_ref().and_then(|walk| walk.gone(cursor)) {
                tracing::error!(
                    source.id = %self.id(),
                    "`{}` was not polled for longer than its provider keeps the log: {gone} of it are lost",
                    self.id(),
                );
            }
        }
        self.walk.clone()
    }

    /// When the next page is due.
    fn stands(&mut self, stands: Stands, through: Time) -> Time {
        let now = self.parts.engine.now();
        match stands {
            Stands::GoesOn(walk) => {
                self.walk = Some(walk);
                now
            }
            Stands::Cut => {
                tracing::info!(source.id = %self.id(), "Caught up with `{}` to {through}", self.id());
                self.walk = None;
                now
            }
            Stands::Ended { follow } => {
                (self.walk, self.follow) = (None, follow);
                self.parts.known.prune(through - self.parts.options.overlap.delta());
                self.parts.meters.note(&self.parts.origin.view.id, |meter| {
                    meter.succeeded_at = Some(now);
                    meter.came_through();
                });
                self.next(now)
            }
        }
    }

    /// The cursor; a source that has none begins a stated time ago.
    async fn begun(&self, now: Time) -> Result<Time, StoreError> {
        if let Some(cursor) = cursor(&self.parts) {
            return Ok(cursor.through);
        }
        let Options { overlap, look_back, .. } = self.parts.options;
        // Every walk begins an overlap before the cursor: the first one a look-back ago.
        let through = (now - look_back.delta() + overlap.delta()).min(now);
        self.advance_to(through).await?;
        Ok(through)
    }

    fn next(&self, now: Time) -> Time {
        // The first poll follows no schedule, and the second must not come too soon after it.
        let least = self.began + self.parts.options.log.least.delta();
        self.parts.options.schedule.next(now).max(least)
    }

    fn troubled(&mut self, walk: &Walk, not: &NotPulled) -> Trouble {
        let problem = not.to_string();
        match not {
            NotPulled::Throttled { wait, .. } => {
                Trouble { kind: "throttled", problem, wait: *wait }
            }
            NotPulled::Refused { .. } => {
                // A link that has aged is refused: the cursor knows where to begin instead.
                if walk.is_led() {
                    self.walk = None;
                }
                let right = self.parts.options.log.permission;
                let problem = format!("{problem} (this log takes the right `{right}`)");
                Trouble::new("refused", &problem)
            }
            _ => Trouble::new("failed", &problem),
        }
    }

    /// Counts a failure, and says when to try again.
    fn later(&mut self, trouble: Trouble) -> Time {
        let Trouble { kind, problem, wait } = trouble;
        let engine = &self.parts.engine;
        let least = self.parts.options.log.least.delta();
        let pause = (least * (1 << self.failures.min(10))).min(PAUSE_MAX);
        // Full jitter would come back at once; half of it spreads those who failed together.
        let spread = 0.5 + engine.ports().entropy.fraction() / 2.0;
        #[expect(clippy::cast_possible_truncation, reason = "half a pause to a whole one")]
        #[expect(clippy::cast_precision_loss, reason = "minutes in milliseconds")]
        let pause = TimeDelta::milliseconds((pause.num_milliseconds() as f64 * spread) as i64);
        let now = engine.now();
        let due = now + wait.map_or(pause, Span::delta);
        self.failures = self.failures.saturating_add(1);
        tracing::warn!(
            source.id = %self.id(),
            "Could not poll `{}` ({kind}, {} in a row), tries again at {}: {problem}",
            self.id(),
            self.failures,
            crate::model::time::rfc3339(due),
        );
        self.parts.meters.note(&self.parts.origin.view.id, |meter| {
            meter.failed(Failed { at: now, kind, problem });
        });
        due
    }

    /// Takes in what is new on a page. How many facts that were.
    async fn take(
        &mut self,
        pulled: &Pulled,
        page: &Page,
        (cursor, now): (Time, Time),
    ) -> Result<usize, StoreError> {
        if page.records == 0 {
            return Ok(0);
        }
        let mut parsed = self.read(pulled, now);
        let met = parsed.records.len();
        self.parts.known.keep_new(&mut parsed);
        self.late(&parsed.records, cursor, now);
        let at = page.newest.unwrap_or(now).min(now);
        let (events, others): (Vec<Record>, Vec<Record>) =
            parsed.records.into_iter().partition(|record| matches!(record, Record::Event(_)));
        let mut fresh = 0;
        if !events.is_empty() {
            let delivery = name(&events);
            fresh += self.deliver(events, delivery, at).await?;
        }
        // Each by itself: the journal then remembers it by its own name, whatever page it comes on again.
        for other in others {
            let delivery = match &other {
                Record::Alert(alert) => format!("poll:alert:{}", alert.id),
                other => name(std::slice::from_ref(other)),
            };
            fresh += self.deliver(vec![other], delivery, at).await?;
        }
        let count = |facts: usize| u64::try_from(facts).unwrap_or(u64::MAX);
        self.parts.meters.note(&self.parts.origin.view.id, |meter| {
            meter.taken += count(fresh);
            meter.known += count(met - fresh);
        });
        Ok(fresh)
    }

    /// Measures how late the provider tells, and says so while the overlap still holds it.
    fn late(&self, new: &[Record], cursor: Time, now: Time) {
        let source = &self.parts.origin.view.id;
        let all = self.parts.meters.all();
        let polled_at = all.get(source).and_then(|meter| meter.succeeded_at);
        // After a pause of our own nobody can tell who was late.
        if polled_at.is_none_or(|at| now - at > STEADY) {
            return;
        }
        let behind = new.iter().map(Record::time).filter(|time| *time < cursor);
        let Some(oldest) = behind.min() else { return };
        let (late, overlap) = (now - oldest, self.parts.options.overlap);
        self.parts.meters.note(source, |meter| {
            meter.late = meter.late.max(Some(Span::seconds(late.num_seconds())));
        });
        if late * 4 > overlap.delta() * 3 {
            tracing::warn!(
                source.id = %source,
                "A record of `{source}` came {} s late: with an overlap of {overlap} a later one may be missed",
                late.num_seconds(),
            );
        }
    }

    /// How many facts were new to the journal too.
    async fn deliver(
        &mut self,
        records: Vec<Record>,
        delivery: String,
        at: Time,
    ) -> Result<usize, StoreError> {
        let parsed =
            Parsed { understood: records.len(), records: records.clone(), ..Parsed::default() };
        let answer = self.parts.origin.take(&self.parts.engine, parsed, delivery, false).await?;
        self.parts.known.took(&records, at);
        Ok(if answer.duplicate { 0 } else { records.len() })
    }

    /// Reads a page as a delivery would be. Where it cannot be read as a whole, each record costs only itself.
    fn read(&mut self, pulled: &Pulled, now: Time) -> Parsed {
        let format = &self.parts.origin.format;
        let rows = self.parts.options.log.rows(&pulled.answer);
        let whole = intake::parse(format.clone(), &pulled.raw, now);
        let (parsed, bad) = whole.map_or_else(
            |_| one_by_one(format, rows, now),
            |parsed| {
                let bad = parsed.problems.iter().filter_map(|(index, _)| rows.get(*index));
                let bad = bad.collect();
                (parsed, bad)
            },
        );
        // Within the overlap each is met again.
        let new = self.parts.known.rejected(&bad, now);
        if new > 0 {
            tracing::warn!(source.id = %self.id(), "Passed over {new} records of `{}` that could not be read", self.id());
            self.parts.meters.note(&self.parts.origin.view.id, |meter| meter.rejected += new);
        }
        parsed
    }

    fn note(&self, page: &Page, fresh: usize, now: Time) {
        self.parts.meters.note(&self.parts.origin.view.id, |meter| {
            meter.pages += 1;
            meter.came_through();
            if let Some(newest) = page.newest.filter(|_| fresh > 0) {
                meter.lag = Some(Span::seconds((now - newest).num_seconds().max(0)));
            }
        });
    }

    /// Moves the cursor, if it moved.
    async fn advance(&self, cursor: Time, through: Time) -> Result<(), StoreError> {
        if through == cursor { Ok(()) } else { self.advance_to(through).await }
    }

    async fn advance_to(&self, through: Time) -> Result<(), StoreError> {
        let Options { overlap, log, .. } = self.parts.options;
        let mut seen = self.parts.known.alerts(through - overlap.delta());
        seen.drain(..seen.len().saturating_sub(SEEN_MAX));
        let source = self.id().clone();
        let advanced = PollAdvanced { source, log: log.name.to_owned(), through, seen };
        self.parts.engine.commit(|tx| tx.push(Entry::PollAdvanced(Box::new(advanced)))).await
    }
}

/// What can be read of rows that are no body together, and those that cannot.
fn one_by_one<'r>(format: &Format, rows: &'r [Value], now: Time) -> (Parsed, Vec<&'r Value>) {
    let (mut all, mut bad) = (Parsed::default(), Vec::new());
    for row in rows {
        match intake::parse(format.clone(), row.to_string().as_bytes(), now) {
            Ok(one) if one.problems.is_empty() => all.records.extend(one.records),
            _ => bad.push(row),
        }
    }
    (all, bad)
}

/// How far the journal says that the source has got with this log.
fn cursor(parts: &Parts) -> Option<PollAdvanced> {
    parts.engine.read(|core| {
        let cursor = core.state.polls.get(&parts.origin.view.id);
        cursor.filter(|cursor| cursor.log == parts.options.log.name).cloned()
    })
}

/// The delivery's name: the same facts are the same delivery.
fn name(records: &[Record]) -> String {
    let mut digest = Sha256::new();
    for record in records {
        let id = match record {
            Record::Event(event) => event.id.clone(),
            Record::Alert(alert) => EventId::new(alert.id.to_string()),
            Record::Report(report) => EventId::new(report.id.to_string()),
        };
        digest.update(id.as_str().as_bytes());
        digest.update([0]);
    }
    format!("poll:{}", hex::encode(digest.finalize()))
}
