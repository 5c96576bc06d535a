//! After a start: what was under way when the process ended is in doubt, and every live run is asked again.

use chrono::TimeDelta;
use std::cmp::Reverse;

use super::questions::ask_on;
use super::{Engine, Tx};
use crate::engine::decide::CRASHES_MAX;
use crate::model::action::{Effect, Outcome};
use crate::model::entry::{Entry, StepOutcome};
use crate::model::id::RunId;
use crate::model::run::{Cell, CellState, RunStatus, WaitingOn};

/// Why a step is in doubt whose intent was on disk when the process died.
pub(super) const DIED: &str = "the process ended before an answer came";

/// Brings every live run back to where it goes on. A restart is not a special case beyond this.
pub(super) fn recover(engine: &Engine) {
    let mut live: Vec<RunId> = engine.read(|core| core.state.live.iter().copied().collect());
    engine.read(|core| live.sort_by_cached_key(|run| Reverse(core.state.severity_of(*run))));
    for run in live {
        // One commit a run: a poisonous one cannot take the others' recovery down with it,
        // and its death is counted before its work begins again.
        let ((), _written) = engine.transact(|tx| one(engine, tx, run));
    }
}

fn one(engine: &Engine, tx: &mut Tx<'_>, run: RunId) {
    let Some(r) = tx.core.state.runs.get(&run) else { return };
    let incident = r.incident;
    let open: Vec<Cell> = r.cells().filter(|c| c.state == CellState::Intended).cloned().collect();
    let doubtful: Vec<Cell> =
        r.cells().filter(|c| matches!(c.state, CellState::InDoubt { .. })).cloned().collect();
    if !open.is_empty() {
        tx.push(Entry::RunCrashed { run, incident });
    }
    for cell in &open {
        in_doubt(engine, tx, run, cell);
    }
    for cell in open.iter().chain(&doubtful) {
        if let Some(account) = cell.account.clone() {
            tx.core.desk.lock(account, run, cell.key.clone());
        }
    }
    let crashes = tx.core.state.runs.get(&run).map_or(0, |r| r.crashes);
    if crashes >= CRASHES_MAX {
        tracing::error!(run.id = %run, "Quarantined run `{run}`: the process died {crashes} times while it had work under way");
        tx.push(Entry::RunParked { run, incident, waiting_on: WaitingOn::Operator });
        return;
    }
    ask_on(&engine.0, tx, run);
    if tx.core.state.runs.get(&run).is_some_and(|r| r.status != RunStatus::Cancelled) {
        engine.settle(tx, run);
    }
}

/// An intent without an outcome: nobody knows whether the call arrived.
fn in_doubt(engine: &Engine, tx: &mut Tx<'_>, run: RunId, cell: &Cell) {
    let Some(applied) = &cell.applied else { return };
    let Some(incident) = tx.core.state.runs.get(&run).map(|r| r.incident) else { return };
    let spec = engine
        .ports()
        .catalogue
        .resolve(applied.call.action.as_str(), &applied.call.connection, None)
        .ok();
    let next = match &spec {
        Some(spec) if spec.effect == Effect::Read => CellState::Retrying { at: tx.at },
        // The old call died with the process, but the provider may still be working on it.
        Some(spec) => CellState::InDoubt {
            at: (applied.sent_at + spec.timeout.delta())
                .min(tx.at + TimeDelta::seconds(30))
                .max(tx.at),
            reads: 0,
        },
        None => CellState::InDoubt { at: tx.at, reads: 0 },
    };
    tx.push(Entry::StepOutcome(Box::new(StepOutcome {
        run,
        incident,
        cell: cell.key.clone(),
        attempt: cell.attempt,
        outcome: Outcome::Unknown,
        status: None,
        output: serde_json::Value::Null,
        problem: Some(DIED.to_owned()),
        residual: None,
        next,
        sent_at: applied.sent_at,
    })));
}
