//! The process dies after every commit, and inside every effect. It must not matter.

use std::sync::atomic::Ordering;

use super::{Sim, faults, in_virtual_time};
use crate::model::approval::Decision;
use crate::model::incident::{IncidentStatus, Stage};
use crate::model::plan::Mode;
use crate::model::time::Span;

async fn story(sim: &mut Sim) {
    // The alert is sent again until it is acknowledged, as senders do.
    for _ in 0..3 {
        let acknowledged = tokio::time::timeout(
            std::time::Duration::from_secs(5),
            sim.alert("dana", Stage::Suspected),
        )
        .await;
        if acknowledged.is_ok() && !sim.is_dead() {
            break;
        }
        if sim.is_dead() {
            sim.crash();
        }
    }
    live(sim, 40).await;
    let incident = sim.incident();
    if incident.stage != Stage::Breached {
        let raised = sim.hostile_approval(&incident);
        let done = tokio::time::timeout(std::time::Duration::from_secs(5), raised).await.is_ok();
        if sim.is_dead() {
            sim.crash();
        }
        if !done && sim.incident().stage != Stage::Breached {
            sim.hostile_approval(&sim.incident()).await;
        }
    }
    live(sim, 60).await;
    for _ in 0..3 {
        sim.answer(Decision::Approve).await;
        live(sim, 40).await;
    }
}

async fn live(sim: &mut Sim, seconds: u32) {
    for _ in 0..seconds {
        sim.pass(Span::seconds(1)).await;
        if sim.is_dead() {
            sim.crash();
        }
    }
}

fn outcome(sim: &Sim, what: &str, n: u64) {
    faults::check(n, sim);
    assert!(!sim.world.person("dana").enabled, "{what} {n}: not blocked");
    assert_eq!(sim.world.tickets.lock().unwrap().len(), 1, "{what} {n}: tickets");
    assert_eq!(
        sim.incident().status,
        IncidentStatus::Contained,
        "{what} {n}: {:?}",
        sim.incident().containment
    );
    assert_eq!(sim.engine.read(|c| c.state.incidents.len()), 1, "{what} {n}: incidents");
    assert_eq!(sim.incident().counts.alerts, 1, "{what} {n}: alerts");
    let last = |action: &str| {
        sim.world.log.lock().unwrap().iter().filter(|d| d.action == action).map(|d| d.at).max()
    };
    assert!(last("idp/revoke") > last("idp/reset"), "{what} {n}: the last revocation is the proof");
}

fn run(what: &str, n: u64, set: impl Fn(&Sim)) -> u64 {
    in_virtual_time(async {
        let mut sim = Sim::new(n, Mode::Auto).await;
        set(&sim);
        story(&mut sim).await;
        outcome(&sim, what, n);
        sim.store.written().len() as u64
    })
}

#[test]
fn a_crash_after_any_commit_changes_nothing_that_matters() {
    let commits = run("no crash", 1, |_| {});
    for n in 2..=commits {
        run("crash after commit", n, |sim| sim.store.crash_at.store(n, Ordering::SeqCst));
    }
}

#[test]
fn a_crash_inside_any_effect_changes_nothing_that_matters() {
    for n in 1..=8 {
        run("crash in effect", n, |sim| sim.world.crash_in.store(n, Ordering::SeqCst));
    }
}

/// A stop that comes before the engine's own tasks have begun is seen by them all the same.
#[test]
fn a_stop_right_after_the_start_ends() {
    in_virtual_time(async {
        let sim = Sim::new(1, Mode::Auto).await;
        sim.engine.start();

        let stopped = tokio::time::timeout(std::time::Duration::from_mins(1), sim.engine.stop());

        assert!(stopped.await.is_ok(), "a task waits for ever");
    });
}
