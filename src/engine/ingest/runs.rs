//! Which runs an incident's evidence starts, and which it continues.

use crate::engine::decide::rise;
use crate::engine::driver::{Engine, Tx};
use crate::model::entry::{Entry, RunStarted};
use crate::model::id::{IncidentId, PlanDigest, PlaybookName, RunId};
use crate::model::incident::{Incident, Stage};
use crate::model::plan::{Mode, Plan};
use crate::model::run::{Purpose, Round, Run};
use std::sync::Arc;

/// After evidence: starts the playbooks that match and have not run, continues those whose answer has become wrong.
pub(crate) fn follow_up(engine: &Engine, tx: &mut Tx<'_>, incident: IncidentId) {
    let Some(case) = tx.core.state.incidents.get(&incident).cloned() else { return };
    if case.stage >= Stage::Suspected {
        for (name, digest, plan) in missing(engine, tx, &case) {
            start(engine, tx, &case, name, digest, &plan, None);
        }
        if tx.core.state.runs_of(incident).next().is_none() {
            tracing::warn!(
                incident.id = %incident,
                "Nothing is done about incident `{incident}`: no published playbook answers it"
            );
        }
    }
    let runs: Vec<Run> = newest_of_each_plan(tx, incident);
    for run in runs {
        if run.status.ended() {
            continue_ended(engine, tx, &case, &run);
        } else {
            engine.settle(tx, run.id);
        }
    }
}

/// The first matching playbook contains; others run beside it only with `also: true`.
fn missing(
    engine: &Engine,
    tx: &Tx<'_>,
    case: &Incident,
) -> Vec<(PlaybookName, PlanDigest, Arc<Plan>)> {
    let state = &tx.core.state;
    let ran = |name: &PlaybookName| state.runs_of(case.id).any(|r| r.playbook == *name);
    let has_container = state
        .runs_of(case.id)
        .any(|r| r.purpose != Purpose::Restore && state.plan(&r.plan).is_some_and(|p| !p.also));
    let mut chosen = Vec::new();
    let mut contains = has_container;
    for name in in_order(engine, tx) {
        let Some(digest) = state.published.get(&name) else { continue };
        let Some(plan) = state.plan(digest) else { continue };
        if !plan.triggers.iter().any(|t| case.triggers.contains(t)) || ran(&name) {
            continue;
        }
        if plan.also || !contains {
            contains |= !plan.also;
            chosen.push((name, digest.clone(), plan.clone()));
        }
    }
    chosen
}

/// `[policy].playbooks` first, the rest by name.
fn in_order(engine: &Engine, tx: &Tx<'_>) -> Vec<PlaybookName> {
    let mut names = engine.policy().playbooks.clone();
    for name in tx.core.state.published.keys() {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn newest_of_each_plan(tx: &Tx<'_>, incident: IncidentId) -> Vec<Run> {
    let mut newest: std::collections::BTreeMap<PlanDigest, &Run> =
        std::collections::BTreeMap::new();
    for run in tx.core.state.runs_of(incident).filter(|r| r.purpose != Purpose::Restore) {
        newest.insert(run.plan.clone(), run);
    }
    newest.into_values().cloned().collect()
}

/// A run that has ended gets one continuation of the same pinned plan if anything is due.
fn continue_ended(engine: &Engine, tx: &mut Tx<'_>, case: &Incident, run: &Run) {
    if run.rises_seen >= case.rises {
        return;
    }
    let Some(plan) = tx.core.state.plan_of(run.id).cloned() else { return };
    let steps = rise::due_steps(&tx.core.state, &*engine.ports().catalogue, run, &plan);
    if steps.is_empty() {
        engine.still_contained(tx, run.id);
        return;
    }
    let round = Round { prefix: String::new(), started_at: tx.at, steps };
    let continued = (Purpose::Continue { continues: run.id }, round);
    start(engine, tx, case, run.playbook.clone(), run.plan.clone(), &plan, Some(continued));
}

/// Starts a run and lets it take its first steps, in the commit at hand.
fn start(
    engine: &Engine,
    tx: &mut Tx<'_>,
    case: &Incident,
    playbook: PlaybookName,
    plan: PlanDigest,
    content: &Plan,
    continued: Option<(Purpose, Round)>,
) -> RunId {
    let run = RunId::mint(tx.at, engine.ports().entropy.id());
    let (purpose, round) = continued.map_or((Purpose::Contain, None), |(p, r)| (p, Some(r)));
    let started = RunStarted {
        run,
        incident: case.id,
        playbook,
        plan,
        purpose,
        mode: stricter(engine.policy().mode, content.mode),
        rises_seen: case.rises,
        round,
        started_by: None,
        decided_by: None,
        own_plan: None,
    };
    tracing::info!(run.id = %run, incident.id = %case.id, "Started run `{run}` of `{}`", started.playbook);
    tx.push(Entry::RunStarted(Box::new(started)));
    engine.settle(tx, run);
    run
}

/// A playbook may be stricter than the deployment, never looser.
pub(super) fn stricter(deployment: Mode, playbook: Option<Mode>) -> Mode {
    playbook.map_or(deployment, |p| p.min(deployment))
}
