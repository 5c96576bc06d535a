//! What is under way in this process: calls, locks, lanes and breakers. Lost with the process, rebuilt by asking again.

use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::engine::decide::{Busy, Lane, LookUp};
use crate::model::action::{CallResult, Outcome};
use crate::model::id::{ConnectionId, RunId};
use crate::model::incident::Severity;
use crate::model::run::CellKey;
use crate::model::subject::AccountKey;
use crate::model::time::Time;

/// How many failures of a connection in a row open its breaker.
const BREAKER_FAILURES: u32 = 5;
/// How long an open breaker stays shut before one probe.
const BREAKER_PAUSE: TimeDelta = TimeDelta::seconds(30);

/// Waits in a queue: most urgent first, then in order of arrival.
type Place = (std::cmp::Reverse<Severity>, u64);

/// One connection's calls.
#[derive(Debug, Default)]
pub(crate) struct LaneState {
    pub(crate) limit: usize,
    pub(crate) in_use: usize,
    failures: u32,
    shut_until: Option<Time>,
    waiting: BTreeMap<Place, RunId>,
}

impl LaneState {
    /// 0 closed, 1 open: for the metric.
    pub(crate) fn is_open(&self, now: Time) -> bool {
        self.failures >= BREAKER_FAILURES && self.shut_until.is_some_and(|until| until > now)
    }
}

/// The present of this process.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub(crate) now: Option<Time>,
    in_flight: BTreeSet<(RunId, CellKey)>,
    locks: HashMap<AccountKey, (RunId, CellKey)>,
    lock_waits: HashMap<AccountKey, BTreeSet<RunId>>,
    pub(crate) lanes: HashMap<ConnectionId, LaneState>,
    /// Subject look-ups under way (`None`) or due again, with the tries so far.
    pub(crate) look_ups: HashMap<RunId, (u32, Option<Time>)>,
    arrivals: u64,
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

    /// A call has ended. Returns the runs to ask again, most urgent first.
    pub(crate) fn end(
        &mut self,
        run: RunId,
        cell: &CellKey,
        connection: &ConnectionId,
    ) -> Vec<RunId> {
        self.in_flight.remove(&(run, cell.clone()));
        let Some(lane) = self.lanes.get_mut(connection) else { return Vec::new() };
        lane.in_use = lane.in_use.saturating_sub(1);
        let free = lane.limit.saturating_sub(lane.in_use).max(1);
        // Twice as many as can start: some of them may not need this lane any more.
        let places: Vec<Place> = lane.waiting.keys().take(free * 2).copied().collect();
        places.iter().filter_map(|place| lane.waiting.remove(place)).collect()
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

    pub(crate) fn wait_for_lane(
        &mut self,
        connection: &ConnectionId,
        run: RunId,
        severity: Severity,
        limit: usize,
    ) {
        let lane = self.lanes.entry(connection.clone()).or_default();
        lane.limit = limit;
        if !lane.waiting.values().any(|r| *r == run) {
            self.arrivals += 1;
            lane.waiting.insert((std::cmp::Reverse(severity), self.arrivals), run);
        }
    }

    pub(crate) fn wait_for_account(&mut self, account: AccountKey, run: RunId) {
        self.lock_waits.entry(account).or_default().insert(run);
    }

    /// Throttling and breakers: what a result says about the connection rather than the step.
    pub(crate) fn learn(&mut self, connection: &ConnectionId, result: &CallResult, now: Time) {
        let lane = self.lanes.entry(connection.clone()).or_default();
        match result.outcome {
            Outcome::Throttled => {
                let pause = result
                    .retry_after
                    .map_or(TimeDelta::seconds(2), crate::model::time::Span::delta);
                lane.shut_until = Some(lane.shut_until.map_or(now + pause, |u| u.max(now + pause)));
            }
            Outcome::NotSent | Outcome::Unknown => {
                lane.failures += 1;
                if lane.failures >= BREAKER_FAILURES {
                    lane.shut_until = Some(now + BREAKER_PAUSE);
                }
            }
            Outcome::Done | Outcome::Unchanged | Outcome::Refused => {
                lane.failures = 0;
                lane.shut_until = None;
            }
        }
    }

    /// How many runs wait for a lane, by urgency.
    pub(crate) fn depths(&self) -> BTreeMap<Severity, usize> {
        let all = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
        let mut depths: BTreeMap<Severity, usize> = all.into_iter().map(|s| (s, 0)).collect();
        for (severity, _) in self.lanes.values().flat_map(|lane| lane.waiting.keys()) {
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
        if let (Some(until), Some(now)) = (lane.shut_until, self.now)
            && until > now
        {
            return Lane::Shut(until);
        }
        // After a breaker's pause one probe goes alone.
        let limit = if lane.failures >= BREAKER_FAILURES { 1 } else { lane.limit };
        if limit > 0 && lane.in_use >= limit { Lane::Full } else { Lane::Free }
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
