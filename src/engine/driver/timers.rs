//! Due times, holds that run out, and the rows written behind the journal.

use chrono::TimeDelta;

use super::{Engine, carry_out};
use crate::model::id::{IncidentId, RunId};
use crate::model::subject::AccountKey;
use crate::model::time::Time;

/// How long rows may be behind the journal.
const PROJECT_EVERY: TimeDelta = TimeDelta::milliseconds(200);

/// How long rows are left alone that could not be written.
const PROJECT_AGAIN: TimeDelta = TimeDelta::seconds(2);

/// Wakes runs at their times until the engine stops.
pub(super) async fn run(engine: Engine) {
    let mut stopping = engine.0.stopping.subscribe();
    loop {
        let next = engine.read(|core| {
            let run = core.timers.first().map(|(at, _)| *at);
            let hold = core
                .state
                .holds
                .values()
                .flat_map(|h| h.by.values().filter_map(|hold| hold.expires_at))
                .min();
            let ask = core.state.asks.values().map(|open| open.expires_at).min();
            run.into_iter().chain(hold).chain(ask).chain(core.desk.opens_at()).min()
        });
        let changed = engine.0.timers_changed.notified();
        let clock = engine.0.ports.clock.clone();
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stops| *stops) => return,
            () = changed => {}
            () = async { match next {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            } } => fire(&engine),
        }
    }
}

fn fire(engine: &Engine) {
    let now = engine.now();
    let due: Vec<RunId> = {
        let mut core = engine.lock();
        let due: Vec<(Time, RunId)> =
            core.timers.iter().take_while(|(at, _)| *at <= now).copied().collect();
        for entry in &due {
            core.timers.remove(entry);
            core.wakes.remove(&entry.1);
        }
        let mut due: Vec<RunId> = due.into_iter().map(|(_, run)| run).collect();
        due.sort_by_cached_key(|run| std::cmp::Reverse(core.state.severity_of(*run)));
        due
    };
    for run in due {
        engine.advance(run);
    }
    let opened = engine.lock().desk.opened(now);
    for connection in opened {
        let ((), _written) = engine.transact(|tx| carry_out::serve(&engine.0, tx, &connection));
    }
    for (incident, account) in expired(engine, now) {
        engine.hold_expired(incident, &account);
    }
    engine.asks_expired(now);
}

impl Engine {
    /// Something has a due time that the clock was not set for.
    pub(in crate::engine) fn rearm(&self) {
        self.0.timers_changed.notify_one();
    }
}

fn expired(engine: &Engine, now: Time) -> Vec<(IncidentId, AccountKey)> {
    engine.read(|core| {
        core.state
            .holds
            .values()
            .flat_map(|h| h.by.iter().map(move |(incident, hold)| (h, incident, hold)))
            .filter(|(_, _, hold)| hold.expires_at.is_some_and(|at| at <= now))
            .map(|(h, incident, _)| (*incident, h.account.clone()))
            .collect()
    })
}

/// Writes changed rows now and then until the engine stops.
pub(super) async fn project(engine: Engine) {
    let mut stopping = engine.0.stopping.subscribe();
    let mut moved = engine.watch();
    let mut written = true;
    loop {
        let pause = if written {
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stops| *stops) => return,
                changed = moved.changed() => if changed.is_err() { return },
            }
            PROJECT_EVERY
        } else {
            PROJECT_AGAIN
        };
        let pause = engine.now() + pause;
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stops| *stops) => return,
            () = engine.0.ports.clock.sleep_until(pause) => {}
        }
        // Where the journal has no room, rows have none either.
        if written || engine.0.ports.store.ready().is_ok() {
            written = project_now(&engine).await;
        }
    }
}

/// Writes the rows that changed, as they stand now; whether they were written. Where none did, how far the index is
/// goes on all the same: else the next start would read again what changes nothing, however much that is.
pub(super) async fn project_now(engine: &Engine) -> bool {
    if !engine.all_rows_are_here().await {
        return false;
    }
    let (seq, rows, stands_at) = {
        let mut core = engine.lock();
        (core.state.seq, core.state.take_changes(), core.keeping.written_to)
    };
    if rows.is_empty() && seq <= stands_at {
        return true;
    }
    let keys: Vec<String> =
        rows.iter().filter(|(_, row)| row.is_some()).map(|(key, _)| key.clone()).collect();
    match engine.0.ports.store.project(seq, rows).await {
        Ok(projected) => {
            engine.tidy(projected, seq, &keys).await;
            true
        }
        Err(error) => {
            // At the latest they are rebuilt from the journal at the next start.
            tracing::warn!("Could not write rows, and tries again: {error}");
            engine.rows_lost();
            false
        }
    }
}
