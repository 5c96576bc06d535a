//! What a result means: the cell's next state, holds, locks and breakers, in one commit with the next intents.

use chrono::TimeDelta;
use std::time::Duration;

use super::carry_out::{backoff, serve, settle, wake};
use super::effects::Made;
use super::{Engine, Inner, Tx};
use crate::model::action::{
    ActionSpec, CallResult, Effect, Outcome, Proof, ReadBack, Repeat, Reversal,
};
use crate::model::entry::{Entry, StepOutcome, StepVerified};
use crate::model::id::{ConnectionId, IncidentId, RunId};
use crate::model::run::{Cell, CellKey, CellState, Conclusion};
use crate::model::subject::AccountKey;
use crate::model::time::Time;

/// How often an action in doubt is looked for before it counts as not done: directories are eventually consistent.
const DOUBT_READS: u32 = 3;

/// Why a change in doubt is not Quell's own to take back: it was not seen what was so before.
const UNSEEN: &str = "what was so before could not be read";

/// A call has returned that was sent at that time, and took so long.
pub(super) fn of_call(
    engine: &Engine,
    run: RunId,
    cell: &CellKey,
    spec: &ActionSpec,
    attempt: u32,
    (sent_at, took): (Time, Duration),
    made: Made,
) {
    let Made { result, looked, held_back } = made;
    let fraction = engine.ports().entropy.fraction();
    let ((), _written) = engine.transact(|tx| {
        let Some(known) = tx.core.state.runs.get(&run).and_then(|r| r.cells.get(cell)).cloned()
        else {
            return;
        };
        let Some(connection) = known.applied.as_ref().map(|a| a.call.connection.clone()) else {
            return;
        };
        let at = tx.at;
        // What was held back says nothing about the connection.
        if !held_back {
            tx.core.desk.learn(&connection, &result, at);
            tally(tx, spec, &result);
        }
        tx.core.desk.end(run, cell, &connection);
        let mut woken = Vec::new();
        let next = next_state(spec, &result, attempt, took, at, fraction);
        // In doubt, the old call may still land: the account stays locked.
        if !matches!(next, CellState::InDoubt { .. }) {
            woken.extend(tx.core.desk.unlock(run, cell));
        }
        let Some(incident) = tx.core.state.runs.get(&run).map(|r| r.incident) else { return };
        let unproved = match (&spec.proof, result.outcome) {
            (Proof::None(reason), Outcome::Done | Outcome::Unchanged) => Some(reason.clone()),
            _ => None,
        };
        tx.push(Entry::StepOutcome(Box::new(StepOutcome {
            run,
            incident,
            cell: cell.clone(),
            attempt,
            outcome: result.outcome,
            status: result.status,
            output: result.output,
            problem: if looked || result.outcome != Outcome::Unknown || !is_reversible(spec) {
                result.problem
            } else {
                Some(format!("{UNSEEN}; {}", result.problem.unwrap_or_default()))
            },
            residual: spec.residual.clone().or(unproved),
            next,
            sent_at,
        })));
        if matches!(result.outcome, Outcome::Done | Outcome::Unchanged) {
            let ours = result.outcome == Outcome::Done && looked;
            hold(&engine.0, tx, run, cell, spec, known.account.as_ref(), ours);
            engine.0.timers_changed.notify_one();
        }
        settle(&engine.0, tx, run);
        serve(&engine.0, tx, &connection);
        wake(&engine.0, tx, woken, run);
    });
}

fn is_reversible(spec: &ActionSpec) -> bool {
    spec.effect == Effect::Contain && spec.reversal == Reversal::Undo
}

fn tally(tx: &mut Tx<'_>, spec: &ActionSpec, result: &CallResult) {
    let outcome = serde_json::to_value(result.outcome)
        .ok()
        .and_then(|v| v.as_str().map(ToOwned::to_owned))
        .unwrap_or_default();
    let (connector, action) = spec.id.as_str().split_once('/').unwrap_or(("", spec.id.as_str()));
    *tx.core.tally.entry((connector.to_owned(), action.to_owned(), outcome)).or_default() += 1;
}

fn next_state(
    spec: &ActionSpec,
    result: &CallResult,
    attempt: u32,
    took: Duration,
    now: Time,
    fraction: f64,
) -> CellState {
    let proved = matches!(spec.proof, Proof::ReadBack(_)) && spec.effect != Effect::Read;
    match result.outcome {
        Outcome::Done | Outcome::Unchanged if proved => CellState::Applied { at: now, reads: 0 },
        Outcome::Done | Outcome::Unchanged => {
            CellState::Concluded { conclusion: Conclusion::Succeeded }
        }
        Outcome::NotSent | Outcome::Throttled => {
            let pause = result
                .retry_after
                .map_or_else(|| backoff(attempt, fraction), crate::model::time::Span::delta);
            CellState::Retrying { at: now + pause }
        }
        Outcome::Refused => CellState::Concluded { conclusion: Conclusion::Failed },
        Outcome::Unknown if spec.effect == Effect::Read => {
            CellState::Retrying { at: now + backoff(attempt, fraction) }
        }
        // The call may still land until its own timeout has passed.
        Outcome::Unknown => CellState::InDoubt {
            at: now
                + TimeDelta::from_std(spec.timeout.duration().saturating_sub(took))
                    .unwrap_or_default()
                    .max(TimeDelta::seconds(1)),
            reads: 0,
        },
    }
}

/// A block that holds is a hold of its incident; an opened account releases it.
fn hold(
    inner: &Inner,
    tx: &mut Tx<'_>,
    run: RunId,
    cell: &CellKey,
    spec: &ActionSpec,
    account: Option<&AccountKey>,
    ours: bool,
) {
    let (Some(account), Some(r)) = (account, tx.core.state.runs.get(&run)) else { return };
    let incident = r.incident;
    match (spec.effect, spec.reversal) {
        (Effect::Contain, Reversal::Undo) => {
            let expires = tx
                .core
                .state
                .plan_of(run)
                .and_then(|p| p.step(cell.step.step()))
                .and_then(|s| s.expires);
            let held = tx.core.state.holds.get(&(account.clone(), spec.capability.clone()));
            if held.is_some_and(|h| h.by.contains_key(&incident)) {
                return;
            }
            let placed = Entry::HoldPlaced {
                incident,
                run,
                account: account.clone(),
                capability: spec.capability.clone(),
                action: spec.id.clone(),
                ours,
                expires_at: expires.map(|span| tx.at + span.delta()),
            };
            tx.push(placed);
        }
        (Effect::Restore, _) => {
            let undone = |placed: &crate::model::id::ActionId| {
                let catalogue = &inner.ports.catalogue;
                let placed = catalogue.resolve(placed.as_str(), &account.connection, None);
                placed.is_ok_and(|placed| placed.undo.as_ref() == Some(&spec.id))
            };
            let held = tx
                .core
                .state
                .holds_of(incident)
                .find(|(h, hold)| h.account == *account && undone(&hold.action));
            if let Some(capability) = held.map(|(h, _)| h.capability.clone()) {
                tx.push(Entry::HoldReleased {
                    incident,
                    account: account.clone(),
                    capability,
                    opened: true,
                    reason: if ours { String::new() } else { "it was open already".to_owned() },
                });
            }
        }
        _ => {}
    }
}

/// A read-back has returned.
pub(super) fn of_read_back(
    engine: &Engine,
    run: RunId,
    cell: &CellKey,
    connection: &ConnectionId,
    in_doubt: bool,
    found: ReadBack,
) {
    let fraction = engine.ports().entropy.fraction();
    let ((), _written) = engine.transact(|tx| {
        tx.core.desk.end(run, cell, connection);
        let at = tx.at;
        if let ReadBack::Unread { problem, retry_after: Some(wait) } = &found {
            let later = CallResult::failed(Outcome::Throttled, problem.as_str());
            let later = CallResult { retry_after: Some(*wait), ..later };
            tx.core.desk.learn(connection, &later, at);
        }
        let mut woken = Vec::new();
        let Some((incident, known)) = tx
            .core
            .state
            .runs
            .get(&run)
            .and_then(|r| r.cells.get(cell).map(|c| (r.incident, c.clone())))
        else {
            return;
        };
        let read = judge(&engine.0, tx.at, &known, in_doubt, found, fraction);
        // Only what was looked at before it was sent is known to be Quell's own.
        let unseen = [super::boot::DIED, UNSEEN]
            .into_iter()
            .find(|why| in_doubt && known.problem.as_deref().is_some_and(|p| p.starts_with(why)));
        let settled = !matches!(read.next, CellState::InDoubt { .. });
        let verified = read.strength.is_some();
        let left = verified.then(|| read.output["status"].as_str().map(ToOwned::to_owned));
        tx.push(Entry::StepVerified(Box::new(StepVerified {
            run,
            incident,
            cell: cell.clone(),
            strength: read.strength,
            output: read.output,
            problem: read.problem.map(|p| match unseen {
                Some(why) => format!("{why}; {p}"),
                None => p,
            }),
            next: read.next,
        })));
        if settled {
            woken.extend(tx.core.desk.unlock(run, cell));
        }
        if verified && in_doubt {
            let spec = known.applied.as_ref().and_then(|a| {
                engine.ports().catalogue.resolve(a.call.action.as_str(), connection, None).ok()
            });
            let ours = unseen.is_none();
            if let Some(spec) = spec {
                hold(&engine.0, tx, run, cell, &spec, known.account.as_ref(), ours);
                engine.0.timers_changed.notify_one();
            }
        }
        if let (Some(Some(status)), Some(account)) = (left, &known.account) {
            how_it_was_left(tx, incident, &known, account, status);
        }
        settle(&engine.0, tx, run);
        serve(&engine.0, tx, connection);
        wake(&engine.0, tx, woken, run);
    });
}

/// What a block that was read back left an account as: before it is undone, that is what it is compared with.
fn how_it_was_left(
    tx: &mut Tx<'_>,
    incident: IncidentId,
    cell: &Cell,
    account: &AccountKey,
    status: String,
) {
    let Some(capability) = cell.capability.clone() else { return };
    let action = cell.applied.as_ref().map(|applied| &applied.call.action);
    let holds = tx.core.state.holds.get(&(account.clone(), capability.clone()));
    let hold = holds.and_then(|holds| holds.by.get(&incident));
    if hold.is_some_and(|hold| Some(&hold.action) == action) {
        let account = account.clone();
        tx.push(Entry::HoldVerified { incident, account, capability, status });
    }
}

struct Judged {
    strength: Option<crate::model::action::Strength>,
    output: serde_json::Value,
    problem: Option<String>,
    next: CellState,
}

fn judge(
    inner: &Inner,
    now: Time,
    cell: &Cell,
    in_doubt: bool,
    found: ReadBack,
    fraction: f64,
) -> Judged {
    let reads = match cell.state {
        CellState::Applied { reads, .. } | CellState::InDoubt { reads, .. } => reads,
        _ => 0,
    };
    let later = now + backoff(reads, fraction);
    let again = |reads| {
        if in_doubt {
            CellState::InDoubt { at: later, reads }
        } else {
            CellState::Applied { at: later, reads }
        }
    };
    match found {
        ReadBack::Holds { strength, output } => Judged {
            strength: Some(strength),
            output,
            problem: None,
            next: CellState::Concluded { conclusion: Conclusion::Succeeded },
        },
        ReadBack::Unread { problem, retry_after } => {
            // A silent connection is asked less and less often; each time costs a commit.
            let since = cell.applied.as_ref().map(|a| now - a.sent_at).unwrap_or_default();
            let pause = (since / 4).min(TimeDelta::seconds(60));
            let at = retry_after.map_or_else(|| later.max(now + pause), |s| now + s.delta());
            let late =
                cell.began_at.is_some_and(|b| now > b + inner.policy().step_deadline.delta());
            let next = match (late, in_doubt) {
                (true, _) => CellState::Parked { problem: problem.clone() },
                (false, true) => CellState::InDoubt { at, reads },
                (false, false) => CellState::Applied { at, reads },
            };
            Judged { strength: None, output: serde_json::Value::Null, problem: Some(problem), next }
        }
        ReadBack::Fails { problem } => {
            let next = if in_doubt && reads + 1 >= needed(inner, cell) {
                // Surely not there: the same call again, under the same key.
                CellState::Retrying { at: now }
            } else {
                again(reads + 1)
            };
            Judged { strength: None, output: serde_json::Value::Null, problem: Some(problem), next }
        }
    }
}

/// An idempotent action may be repeated after one look; a ticket is looked for several times.
fn needed(inner: &Inner, cell: &Cell) -> u32 {
    let spec = cell.applied.as_ref().and_then(|a| {
        inner.ports.catalogue.resolve(a.call.action.as_str(), &a.call.connection, None).ok()
    });
    match spec.map(|s| s.repeat) {
        Some(Repeat::Set | Repeat::Keyed) => 1,
        _ => DOUBT_READS,
    }
}
