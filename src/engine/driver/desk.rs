//! What is under way in this process: calls, locks, lanes and breakers. Lost with the process, rebuilt by asking again.

use chrono::TimeDelta;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::engine::decide::{Busy, Lane, LookUp, look_up_lane};
use crate::model::action::{CallResult, Outcome, Rank};
use crate::model::id::{ConnectionId, RunId};
use crate::model::incident::Severity;
use crate::model::run::CellKey;
use crate::model::subject::AccountKey;
use crate::model::time::Time;

/// How many failures of a connection in a row open its breaker.
const BREAKER_FAILURES: u32 = 5;
/// How long an open breaker stays shut before one probe.
const BREAKER_PAUSE: TimeDelta = TimeDelta::seconds(30);

/// The longest pause after a vendor said "later" without saying when.
const THROTTLE_PAUSE_MAX: u32 = 60;

/// Look-ups under way at once: each asks every connection, beside the lanes.
const LOOK_UPS: usize = 32;

/// Waits in a queue: most urgent first, then what contains, then in order of arrival.
type Place = (Reverse<Severity>, Rank, u64);

/// One connection's calls.
#[derive(Debug, Default)]
pub(crate) struct LaneState {
    pub(crate) limit: usize,
    pub(crate) in_use: usize,
    failures: u32,
    /// How often in a row the vendor asked to wait.
    throttles: u32,
    /// No call before then, whoever asks.
    shut_until: Option<Time>,
    waiting: BTreeMap<Place, RunId>,
}

/// How a connection answers, for pages and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Answering,
    /// Too many failures in a row: the breaker is open until a call succeeds.
    NotAnswering,
    /// The vendor asked to wait.
    AskedToWait,
}

impl LaneState {
    pub(crate) fn standing(&self, now: Time) -> Standing {
        if self.failures >= BREAKER_FAILURES {
            Standing::NotAnswering
        } else if self.throttles > 0 && self.shut_until.is_some_and(|until| until > now) {
            Standing::AskedToWait
        } else {
            Standing::Answering
        }
    }
}

/// The present of this process.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub(crate) now: Option<Time>,
    in_flight: BTreeSet<(RunId, CellKey)>,
    locks: HashMap<AccountKey, (RunId, CellKey)>,
    lock_waits: HashMap<AccountKey, BTreeSet<RunId>>,
    /// In an order, so that those that open together are served in one that a replay repeats.
    lanes: BTreeMap<ConnectionId, LaneState>,
    /// Subject look-ups under way (`None`) or due again, with the tries so far.
    pub(crate) look_ups: HashMap<RunId, (u32, Option<Time>)>,
    arrivals: u64,
    /// Where each run waits.
    standing: HashMap<RunId, BTreeMap<ConnectionId, Place>>,
    /// The lane whose queue is being asked: its first may pass the others by.
    pub(crate) serving: Option<ConnectionId>,
}

impl Desk {
    pub(crate) fn begin(
        &mut self,
        run: RunId,
        cell: &CellKey,
        connection: &ConnectionId,
        lock: Option<&AccountKey>,
        limit: usize,
    ) {
        self.in_flight.insert((run, cell.clone()));
        let lane = self.lanes.entry(connection.clone()).or_default();
        lane.limit = limit;
        lane.in_use += 1;
        if let Some(account) = lock {
            self.locks.insert(account.clone(), (run, cell.clone()));
        }
    }

    pub(crate) fn begin_look_up(&mut self, run: RunId) {
        let tries = self.look_ups.get(&run).map_or(0, |(tries, _)| *tries);
        self.look_ups.insert(run, (tries + 1, None));
        let lane = self.lanes.entry(look_up_lane()).or_default();
        lane.limit = LOOK_UPS;
        lane.in_use += 1;
    }

    /// A look-up has ended; how many there were for this run.
    pub(crate) fn end_look_up(&mut self, run: RunId) -> u32 {
        if let Some(lane) = self.lanes.get_mut(&look_up_lane()) {
            lane.in_use = lane.in_use.saturating_sub(1);
        }
        self.look_ups.get(&run).map_or(1, |(tries, _)| *tries)
    }

    /// Every connection that was used since the start.
    pub(crate) fn connections(&self) -> impl Iterator<Item = (&ConnectionId, &LaneState)> {
        let look_ups = look_up_lane();
        self.lanes.iter().filter(move |(id, _)| **id != look_ups)
    }

    /// Until when nobody calls on a connection: its breaker is open, or it asked to wait.
    pub(crate) fn shut_until(&self, connection: &ConnectionId, now: Time) -> Option<Time> {
        self.lanes.get(connection)?.shut_until.filter(|until| *until > now)
    }

    /// Those of the connections that are known to answer now, as far as anything is known.
    pub(crate) fn answering(&self, all: &[ConnectionId], now: Time) -> Vec<ConnectionId> {
        let dead = |id: &ConnectionId| {
            self.lanes.get(id).is_some_and(|lane| lane.standing(now) == Standing::NotAnswering)
        };
        all.iter().filter(|id| !dead(id)).cloned().collect()
    }

    /// A call has ended: its lane has a place more.
    pub(crate) fn end(&mut self, run: RunId, cell: &CellKey, connection: &ConnectionId) {
        self.in_flight.remove(&(run, cell.clone()));
        if let Some(lane) = self.lanes.get_mut(connection) {
            lane.in_use = lane.in_use.saturating_sub(1);
        }
    }

    /// An account's action is resolved. Returns the runs that waited for it.
    pub(crate) fn unlock(&mut self, run: RunId, cell: &CellKey) -> Vec<RunId> {
        let held: Vec<AccountKey> = self
            .locks
            .iter()
            .filter(|(_, by)| by.0 == run && by.1 == *cell)
            .map(|(a, _)| a.clone())
            .collect();
        let mut woken = Vec::new();
        for account in held {
            self.locks.remove(&account);
            woken.extend(self.lock_waits.remove(&account).unwrap_or_default());
        }
        woken
    }

    pub(crate) fn lock(&mut self, account: AccountKey, run: RunId, cell: CellKey) {
        self.locks.insert(account, (run, cell));
    }

    /// The run waits for these lanes and for no others. Where it waited already it keeps its turn.
    pub(crate) fn wait_for_lanes(
        &mut self,
        run: RunId,
        severity: Severity,
        lanes: &BTreeMap<ConnectionId, Rank>,
        limit: impl Fn(&ConnectionId) -> usize,
    ) {
        let before = self.leave(run);
        let mut places = BTreeMap::new();
        for (connection, rank) in lanes {
            let arrival = before.get(connection).map_or_else(
                || {
                    self.arrivals += 1;
                    self.arrivals
                },
                |(_, _, arrival)| *arrival,
            );
            let place = (Reverse(severity), *rank, arrival);
            let lane = self.lanes.entry(connection.clone()).or_default();
            if *connection != look_up_lane() {
                lane.limit = limit(connection);
            }
            lane.waiting.insert(place, run);
            places.insert(connection.clone(), place);
        }
        if !places.is_empty() {
            self.standing.insert(run, places);
        }
    }

    /// The run waits for no lane any more.
    pub(crate) fn leave(&mut self, run: RunId) -> BTreeMap<ConnectionId, Place> {
        let places = self.standing.remove(&run).unwrap_or_default();
        for (connection, place) in &places {
            if let Some(lane) = self.lanes.get_mut(connection) {
                lane.waiting.remove(place);
            }
        }
        places
    }

    /// Whose turn it is on a lane that takes a call; `but` were asked already.
    pub(crate) fn next(&self, connection: &ConnectionId, but: &BTreeSet<RunId>) -> Option<RunId> {
        let lane = self.lanes.get(connection)?;
        if self.room(lane) != Lane::Free {
            return None;
        }
        lane.waiting.values().find(|run| !but.contains(run)).copied()
    }

    /// When the first shut lane opens for which somebody waits.
    pub(crate) fn opens_at(&self) -> Option<Time> {
        let waited_for = self.lanes.values().filter(|lane| !lane.waiting.is_empty());
        waited_for.filter_map(|lane| lane.shut_until).min()
    }

    /// The lanes whose pause is over. Each is named once.
    pub(crate) fn opened(&mut self, now: Time) -> Vec<ConnectionId> {
        let over = |lane: &mut LaneState| lane.shut_until.take_if(|until| *until <= now).is_some();
        let lanes = self.lanes.iter_mut();
        lanes.filter_map(|(id, lane)| over(lane).then(|| id.clone())).collect()
    }

    fn room(&self, lane: &LaneState) -> Lane {
        if let (Some(until), Some(now)) = (lane.shut_until, self.now)
            && until > now
        {
            return Lane::Shut(until);
        }
        // After a pause one probe goes alone.
        let probing = lane.failures >= BREAKER_FAILURES || lane.throttles > 0;
        let limit = if probing { 1 } else { lane.limit };
        if limit > 0 && lane.in_use >= limit { Lane::Full } else { Lane::Free }
    }

    pub(crate) fn wait_for_account(&mut self, account: AccountKey, run: RunId) {
        self.lock_waits.entry(account).or_default().insert(run);
    }

    /// Throttling and breakers: what a result says about the connection rather than the step.
    pub(crate) fn learn(&mut self, connection: &ConnectionId, result: &CallResult, now: Time) {
        let lane = self.lanes.entry(connection.clone()).or_default();
        match result.outcome {
            // One action's own rate says nothing about the others on the connection.
            Outcome::Throttled if result.held_back => {}
            Outcome::Throttled => {
                let unsaid = (2 << lane.throttles.min(5)).min(THROTTLE_PAUSE_MAX);
                let pause = result.retry_after.map_or_else(
                    || TimeDelta::seconds(i64::from(unsaid)),
                    crate::model::time::Span::delta,
                );
                lane.throttles += 1;
                lane.shut_until = lane.shut_until.max(Some(now + pause));
            }
            Outcome::NotSent | Outcome::Unknown => {
                lane.failures += 1;
                if lane.failures >= BREAKER_FAILURES {
                    lane.shut_until = lane.shut_until.max(Some(now + BREAKER_PAUSE));
                }
            }
            Outcome::Done | Outcome::Unchanged | Outcome::Refused => {
                (lane.failures, lane.throttles) = (0, 0);
                lane.shut_until = None;
            }
        }
    }

    /// How many runs wait for a lane, by urgency.
    pub(crate) fn depths(&self) -> BTreeMap<Severity, usize> {
        let all = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
        let mut depths: BTreeMap<Severity, usize> = all.into_iter().map(|s| (s, 0)).collect();
        // A run that waits for several lanes waits once.
        for (severity, ..) in self.standing.values().filter_map(|places| places.values().next()) {
            *depths.entry(severity.0).or_default() += 1;
        }
        depths
    }
}

impl Busy for Desk {
    fn in_flight(&self, run: RunId, cell: &CellKey) -> bool {
        self.in_flight.contains(&(run, cell.clone()))
    }

    fn lane(&self, connection: &ConnectionId) -> Lane {
        let Some(lane) = self.lanes.get(connection) else { return Lane::Free };
        match self.room(lane) {
            // Nobody passes those by who wait: the queue is asked in its order.
            Lane::Free if !lane.waiting.is_empty() && self.serving.as_ref() != Some(connection) => {
                Lane::Full
            }
            room => room,
        }
    }

    fn locked(&self, account: &AccountKey, run: RunId, cell: &CellKey) -> bool {
        self.locks.get(account).is_some_and(|(r, c)| *r != run || c != cell)
    }

    fn look_up(&self, run: RunId) -> LookUp {
        match self.look_ups.get(&run) {
            None => LookUp::Due,
            Some((_, None)) => LookUp::UnderWay,
            Some((_, Some(at))) if self.now.is_some_and(|now| now >= *at) => LookUp::Due,
            Some((_, Some(at))) => LookUp::Again(*at),
        }
    }
}
