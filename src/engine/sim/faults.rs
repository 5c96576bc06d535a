//! Many seeds of a hostile network: every run ends or waits for something that has a name.

use std::sync::atomic::Ordering;

use super::{Sim, describe, in_virtual_time};
use crate::model::approval::Decision;
use crate::model::incident::Stage;
use crate::model::plan::Mode;
use crate::model::run::RunStatus;
use crate::model::time::Span;

/// Seeds in one go; `QUELL_SEEDS=FROM..TO` in the test runner's name is not needed: a failing seed prints itself.
const SEEDS: u64 = 300;

async fn one(seed: u64) {
    let mode = if seed.is_multiple_of(2) { Mode::Auto } else { Mode::Approve };
    let sim = Sim::new(seed, mode).await;
    sim.world.fault_rate.store(50 + seed % 400, Ordering::Relaxed);
    let stage = if seed.is_multiple_of(3) { Stage::Confirmed } else { Stage::Suspected };
    for person in ["dana", "eli"] {
        sim.alert(person, stage).await.unwrap();
    }
    sim.pass(Span::seconds(i64::try_from(seed % 40).unwrap())).await;
    let incidents: Vec<_> = sim.engine.read(|c| c.state.incidents.values().cloned().collect());
    if !seed.is_multiple_of(4) {
        sim.hostile_approval(&incidents[0]).await;
    }
    for _ in 0..6 {
        sim.pass(Span::minutes(2)).await;
        let decision = if seed.is_multiple_of(5) { Decision::Deny } else { Decision::Approve };
        sim.answer(decision).await;
    }
    sim.pass(Span::minutes(40)).await;
    check(seed, &sim);
}

pub(super) fn check(seed: u64, sim: &Sim) {
    for run in sim.runs() {
        let named =
            run.status.ended() || (run.status == RunStatus::Waiting && run.waiting_on.is_some());
        assert!(named, "seed {seed}: a run waits for nothing that has a name\n{}", describe(&run));
    }
    let mut tickets = sim.world.tickets.lock().unwrap().clone();
    let opened = tickets.len();
    tickets.sort();
    tickets.dedup();
    assert_eq!(tickets.len(), opened, "seed {seed}: a ticket was opened twice");
    let journal = sim.store.written();
    for did in sim.world.log.lock().unwrap().iter() {
        let intended = journal.iter().any(|commit| {
            commit.at <= did.at
                && commit.entries.iter().any(
                    |e| matches!(e, crate::model::entry::Entry::StepIntent(i) if i.call.key == did.key),
                )
        });
        assert!(intended, "seed {seed}: {did:?} had no durable intent before it");
    }
}

#[test]
fn every_run_ends_or_waits_for_something_that_has_a_name() {
    for seed in 0..SEEDS {
        in_virtual_time(one(seed));
    }
}

/// A connector that panics is in doubt like one that does not answer: what it did is read back, and the rest goes on.
#[test]
fn a_connector_that_breaks_holds_nobody_up() {
    for breaks in 1..12 {
        in_virtual_time(async {
            let sim = Sim::new(breaks, Mode::Auto).await;
            sim.world.breaks.store(breaks, Ordering::Relaxed);

            sim.alert("dana", Stage::Confirmed).await.unwrap();
            for _ in 0..6 {
                sim.pass(Span::minutes(2)).await;
                sim.answer(Decision::Approve).await;
            }
            sim.pass(Span::minutes(40)).await;

            check(breaks, &sim);
            assert_eq!(sim.engine.tasks().panicked(), breaks, "each is counted");
            let runs = sim.runs();
            let ended = runs.iter().all(|run| run.status == RunStatus::Succeeded);
            assert!(ended, "{breaks}: {:?}", runs.iter().map(describe).collect::<Vec<_>>());
            assert!(!sim.world.person("dana").enabled, "{breaks}: the person is not blocked");
        });
    }
}
