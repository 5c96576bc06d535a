//! Turns `decide`'s commands into entries and effects.

use chrono::TimeDelta;
use std::collections::BTreeSet;
use std::time::Duration;

use super::questions::{cancel_questions, expire, open_question, withdraw};
use super::{Effect, Inner, Tx};
use crate::engine::decide::{
    Busy, CRASHES_MAX, Command, Decided, Intend, Lane, Skip, Took, View, decide, is_contained,
    look_up_lane,
};
use crate::model::action::Effect as Kind;
use crate::model::entry::{BlockDecided, Entry, StepIntent, StepSkipped};
use crate::model::id::{ConnectionId, IncidentId, RunId};
use crate::model::incident::Severity;
use crate::model::run::{Cell, CellKey, Conclusion, RunStatus};
use crate::model::time::{Span, Time};

/// More rounds than any plan needs; a rule that never settles is a bug, and must not hang the process.
const ROUNDS_MAX: usize = 500;
/// Containments between two looks at the metrics whose times are remembered.
const CONTAINED_MAX: usize = 10_000;

/// Asks and applies until there is nothing more to say; then those whose turn it is on the lanes
/// that the run waits for.
pub(super) fn settle(inner: &Inner, tx: &mut Tx<'_>, run: RunId) {
    for connection in settle_alone(inner, tx, run) {
        serve(inner, tx, &connection);
    }
}

/// Asks those that wait for a lane, most urgent first, for as long as it takes calls.
pub(super) fn serve(inner: &Inner, tx: &mut Tx<'_>, connection: &ConnectionId) {
    // Inside another queue's turn, that queue's loop goes on by itself.
    if tx.core.desk.serving.is_some() {
        return;
    }
    let mut asked = BTreeSet::new();
    while let Some(run) = tx.core.desk.next(connection, &asked) {
        asked.insert(run);
        tx.core.desk.serving = Some(connection.clone());
        settle_alone(inner, tx, run);
        tx.core.desk.serving = None;
    }
    if tx.core.desk.opens_at().is_some() {
        inner.timers_changed.notify_one();
    }
}

/// Gives the lanes that the run waits for.
fn settle_alone(inner: &Inner, tx: &mut Tx<'_>, run: RunId) -> Vec<ConnectionId> {
    for _ in 0..ROUNDS_MAX {
        let Some(decided) = ask(inner, tx, run) else { return Vec::new() };
        let mut moved = false;
        let (lanes, accounts, wake) = (decided.lanes, decided.accounts, decided.wake);
        for command in decided.commands {
            moved |= apply(inner, tx, run, command);
        }
        if !moved {
            let severity = severity(tx, run);
            let limit = |connection: &ConnectionId| inner.ports.catalogue.concurrency(connection);
            tx.core.desk.wait_for_lanes(run, severity, &lanes, limit);
            for account in accounts {
                tx.core.desk.wait_for_account(account, run);
            }
            set_timer(inner, tx, run, wake);
            return lanes.into_keys().collect();
        }
    }
    tracing::error!(run.id = %run, "Run `{run}` did not settle; it waits for a person");
    Vec::new()
}

fn ask(inner: &Inner, tx: &Tx<'_>, run: RunId) -> Option<Decided> {
    view(inner, tx, run).map(|view| decide(&view))
}

fn view<'v>(inner: &'v Inner, tx: &'v Tx<'_>, run: RunId) -> Option<View<'v>> {
    let state = &tx.core.state;
    Some(View {
        state,
        run: state.runs.get(&run)?,
        plan: state.plan_of(run)?.clone(),
        now: tx.at,
        policy: inner.policy(),
        catalogue: &*inner.ports.catalogue,
        busy: &tx.core.desk,
    })
}

fn severity(tx: &Tx<'_>, run: RunId) -> Severity {
    tx.core.state.severity_of(run)
}

fn set_timer(inner: &Inner, tx: &mut Tx<'_>, run: RunId, wake: Option<Time>) {
    if let Some(old) = tx.core.wakes.remove(&run) {
        tx.core.timers.remove(&(old, run));
    }
    if let Some(at) = wake {
        tx.core.wakes.insert(run, at);
        tx.core.timers.insert((at, run));
        inner.timers_changed.notify_one();
    }
}

/// Applies one command; true when it changed something that `decide` looks at.
fn apply(inner: &Inner, tx: &mut Tx<'_>, run: RunId, command: Command) -> bool {
    let Some(incident) = tx.core.state.runs.get(&run).map(|r| r.incident) else { return false };
    match command {
        Command::Intend(intend) => return begin_call(inner, tx, run, *intend),
        Command::ReadBack { cell, in_doubt } => return begin_read(inner, tx, run, cell, in_doubt),
        Command::Ask { items, rule, asks, tier } => {
            return open_question(inner, tx, run, (asks, tier), items, &rule);
        }
        Command::Withdraw { approval } => withdraw(tx, incident, approval),
        Command::Expire { approval } => return expire(inner, tx, run, approval),
        Command::LookUp => {
            if tx.core.desk.lane(&look_up_lane()) != Lane::Free {
                return false;
            }
            tx.core.desk.begin_look_up(run);
            tx.effects.push(Effect::LookUp { run });
        }
        Command::Skip(skip) => skip_cell(tx, run, incident, *skip),
        Command::Decide { cell, took } => decided(tx, run, incident, cell, took),
        Command::Settle { cell, conclusion, reason } => {
            settle_cell(inner, tx, run, cell, conclusion, reason);
        }
        Command::Refuse { skip, guardrail, until } => {
            refuse(tx, run, incident, *skip, guardrail, until);
        }
        Command::BeginWait { cell, until } => {
            tx.push(Entry::StepParked {
                run,
                incident,
                cell,
                until: Some(until),
                problem: String::new(),
            });
        }
        Command::Park { cell, problem } => park(inner, tx, run, incident, cell, problem),
        Command::Continue { round } => {
            let rises_seen = tx.core.state.incidents.get(&incident).map_or(0, |i| i.rises);
            tx.push(Entry::RunContinued { run, incident, round, rises_seen });
        }
        Command::Contained => {
            let watch_until = watch_until(inner, tx, incident);
            note_contained(tx, incident);
            tx.push(Entry::IncidentContained { incident, watch_until });
        }
        Command::End { status } => {
            end_run(tx, run, status);
            set_timer(inner, tx, run, None);
            return false;
        }
        Command::WaitOn(waiting_on) => {
            tx.push(Entry::RunParked { run, incident, waiting_on });
            return false;
        }
    }
    true
}

/// What rose after a run's end and left nothing to do took no containment away.
pub(super) fn still_contained(inner: &Inner, tx: &mut Tx<'_>, run: RunId) {
    let Some(view) = view(inner, tx, run) else { return };
    let incident = view.run.incident;
    if is_contained(&view) {
        let watch_until = watch_until(inner, tx, incident);
        tx.push(Entry::IncidentContained { incident, watch_until });
    }
}

/// As long as the policy says, or longer where a playbook that ran for the incident does.
fn watch_until(inner: &Inner, tx: &Tx<'_>, incident: IncidentId) -> Time {
    let state = &tx.core.state;
    let plans = state.runs_of(incident).filter_map(|run| state.plan_of(run.id));
    let wanted = plans.filter_map(|plan| plan.watch).max();
    tx.at + wanted.max(Some(inner.policy().watch)).map_or(TimeDelta::zero(), Span::delta)
}

/// Remembers how long it took, for whoever asks for the metrics next.
fn note_contained(tx: &mut Tx<'_>, incident: IncidentId) {
    let known = tx.core.state.incidents.get(&incident);
    let opened = known.map(|i| i.reopened_at.unwrap_or(i.opened_at));
    let (count, took) = &mut tx.core.contained;
    *count += 1;
    took.push_back(tx.at - opened.unwrap_or(tx.at));
    if took.len() > CONTAINED_MAX {
        took.pop_front();
    }
}

fn decided(tx: &mut Tx<'_>, run: RunId, incident: IncidentId, cell: CellKey, took: Took) {
    let (enters, case, reason) = match took {
        Took::All => (true, None, String::new()),
        Took::Case(case, reason) => (true, case, reason),
        Took::Nothing(reason) => (false, None, reason),
    };
    let decided = BlockDecided { run, incident, cell, enters, case, reason };
    tx.push(Entry::BlockDecided(Box::new(decided)));
}

fn skip_cell(tx: &mut Tx<'_>, run: RunId, incident: IncidentId, skip: Skip) {
    let Skip { cell, capability, account, conclusion, not_applicable, reason } = skip;
    tx.push(Entry::StepSkipped(Box::new(StepSkipped {
        run,
        incident,
        cell,
        capability,
        account,
        conclusion,
        not_applicable,
        reason,
    })));
}

/// A guardrail's no is journalled as such; the step ends with it, or looks again later.
fn refuse(
    tx: &mut Tx<'_>,
    run: RunId,
    incident: IncidentId,
    skip: Skip,
    guardrail: String,
    until: Option<Time>,
) {
    let (cell, reason) = (skip.cell.clone(), skip.reason.clone());
    tx.push(Entry::GuardrailRefused {
        incident,
        run,
        cell: cell.clone(),
        guardrail,
        reason: reason.clone(),
    });
    match until {
        Some(until) => {
            tx.push(Entry::StepParked { run, incident, cell, until: Some(until), problem: reason });
        }
        None => skip_cell(tx, run, incident, skip),
    }
}

fn park(
    inner: &Inner,
    tx: &mut Tx<'_>,
    run: RunId,
    incident: IncidentId,
    cell: CellKey,
    problem: String,
) {
    tracing::error!(run.id = %run, step.id = %cell.step, "Step `{}` waits for a person: {problem}", cell.step);
    let woken = tx.core.desk.unlock(run, &cell);
    tx.push(Entry::StepParked { run, incident, cell, until: None, problem });
    wake(inner, tx, woken, run);
}

/// A cell ends with what it has: keeps its outcome, unlike a skip.
pub(super) fn settle_cell(
    inner: &Inner,
    tx: &mut Tx<'_>,
    run: RunId,
    cell: CellKey,
    conclusion: Conclusion,
    reason: String,
) {
    let Some((incident, known)) =
        tx.core.state.runs.get(&run).map(|r| (r.incident, r.cells.get(&cell).cloned()))
    else {
        return;
    };
    let woken = tx.core.desk.unlock(run, &cell);
    let known = known.unwrap_or_else(|| Box::new(Cell::new(cell.clone())));
    tx.push(Entry::StepSkipped(Box::new(StepSkipped {
        run,
        incident,
        cell,
        capability: known.capability,
        account: known.account,
        conclusion,
        not_applicable: false,
        reason,
    })));
    wake(inner, tx, woken, run);
}

fn begin_call(inner: &Inner, tx: &mut Tx<'_>, run: RunId, intend: Intend) -> bool {
    let Intend { cell, account, spec, call, attempt, grant, ceiling, ratify } = intend;
    let Some(incident) = tx.core.state.runs.get(&run).map(|r| r.incident) else { return false };
    // Commands before this one may have taken the lane or the account; the next round says so.
    let lock = account.as_ref().filter(|_| spec.effect != Kind::Read);
    if tx.core.desk.lane(&call.connection) != Lane::Free
        || lock.is_some_and(|a| tx.core.desk.locked(a, run, &cell))
    {
        return false;
    }
    if spec.effect == Kind::Restore
        && held_elsewhere(inner, tx, run, &cell, account.as_ref(), &spec)
    {
        return true;
    }
    let limit = inner.ports.catalogue.concurrency(&call.connection);
    tx.core.desk.begin(run, &cell, &call.connection, lock, limit);
    tx.push(Entry::StepIntent(Box::new(StepIntent {
        run,
        incident,
        cell: cell.clone(),
        capability: spec.capability.clone(),
        account,
        attempt,
        call: call.clone(),
        grant,
        ceiling,
        ratify,
    })));
    tx.effects.push(Effect::Call { run, cell, spec: Box::new(spec), call, attempt });
    true
}

/// An account opens only when the last hold goes, and only if Quell shut it.
fn held_elsewhere(
    inner: &Inner,
    tx: &mut Tx<'_>,
    run: RunId,
    cell: &CellKey,
    account: Option<&crate::model::subject::AccountKey>,
    spec: &crate::model::action::ActionSpec,
) -> bool {
    let Some(incident) = tx.core.state.runs.get(&run).map(|r| r.incident) else { return false };
    let catalogue = &inner.ports.catalogue;
    let found = tx.core.state.holds_of(incident).find(|(holds, hold)| {
        Some(&holds.account) == account
            && catalogue
                .resolve(hold.action.as_str(), &holds.account.connection, None)
                .is_ok_and(|placed| placed.undo.as_ref() == Some(&spec.id))
    });
    let Some((holds, _)) = found else { return false };
    let reason = if holds.by.len() > 1 {
        "another incident holds this account shut"
    } else if !holds.ours {
        "the account was shut before Quell came"
    } else {
        return false;
    };
    let (account, capability) = (holds.account.clone(), holds.capability.clone());
    let released = Entry::HoldReleased {
        incident,
        account: account.clone(),
        capability,
        opened: false,
        reason: reason.to_owned(),
    };
    tx.push(released);
    tx.push(Entry::StepSkipped(Box::new(StepSkipped {
        run,
        incident,
        cell: cell.clone(),
        capability: None,
        account: Some(account),
        conclusion: Conclusion::Skipped,
        not_applicable: true,
        reason: reason.to_owned(),
    })));
    true
}

fn begin_read(inner: &Inner, tx: &mut Tx<'_>, run: RunId, cell: CellKey, in_doubt: bool) -> bool {
    let state = &tx.core.state;
    let connection = state
        .runs
        .get(&run)
        .and_then(|r| r.cells.get(&cell))
        .and_then(|c| c.applied.as_ref())
        .map(|a| a.call.connection.clone());
    let Some(connection) = connection else { return false };
    let limit = inner.ports.catalogue.concurrency(&connection);
    if tx.core.desk.lane(&connection) != Lane::Free {
        return false;
    }
    tx.core.desk.begin(run, &cell, &connection, None, limit);
    tx.effects.push(Effect::ReadBack { run, cell, in_doubt });
    true
}

/// Asks runs again that waited for an account, most urgent first.
pub(super) fn wake(inner: &Inner, tx: &mut Tx<'_>, mut runs: Vec<RunId>, but: RunId) {
    runs.sort_by_key(|run| std::cmp::Reverse(severity(tx, *run)));
    for run in runs {
        if run != but {
            settle(inner, tx, run);
        }
    }
}

/// Nothing of the run begins any more but its last steps. What is under way is brought to its end.
pub(super) fn cancel(inner: &Inner, tx: &mut Tx<'_>, run: RunId) {
    let Some(incident) = tx.core.state.runs.get(&run).map(|r| r.incident) else { return };
    let quarantined = tx.core.state.runs.get(&run).is_none_or(|r| r.crashes >= CRASHES_MAX);
    if quarantined {
        end_run(tx, run, RunStatus::Cancelled);
        return;
    }
    tx.push(Entry::RunCancelled { run, incident });
    cancel_questions(tx, run);
    settle(inner, tx, run);
}

/// Ends a run; its open questions go with it.
fn end_run(tx: &mut Tx<'_>, run: RunId, status: RunStatus) {
    let Some(incident) = tx.core.state.runs.get(&run).map(|r| r.incident) else { return };
    tx.push(Entry::RunEnded { run, incident, status });
    tx.core.desk.leave(run);
    cancel_questions(tx, run);
}

/// How long to wait before the `n`th try again: full jitter, doubling from one second up to a minute.
pub(super) fn backoff(n: u32, fraction: f64) -> TimeDelta {
    let ceiling_ms = 1_000_u32.saturating_mul(1 << n.min(6)).min(60_000);
    let wait = Duration::from_millis(u64::from(ceiling_ms)).mul_f64(fraction.clamp(0.05, 1.0));
    TimeDelta::from_std(wait).unwrap_or(TimeDelta::seconds(60))
}
