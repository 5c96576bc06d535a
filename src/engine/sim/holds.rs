//! Holds over time: they run out by themselves, are placed anew, and wait for the kill switch.

use super::{Sim, describe};
use crate::model::approval::Decision;
use crate::model::incident::{IncidentStatus, Stage};
use crate::model::plan::Mode;
use crate::model::time::Span;

/// A breach of one person, blocked.
async fn breached(seed: u64) -> Sim {
    let sim = Sim::new(seed, Mode::Auto).await;
    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    sim.hostile_approval(&sim.incident()).await;
    sim
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_runs_out_is_asked_about_although_nothing_else_happens() {
    let sim = breached(31).await;
    sim.pass(Span::minutes(2)).await;
    assert!(!sim.world.person("dana").enabled);

    sim.pass(Span::hours(24)).await;

    assert!(sim.pending().is_some(), "nobody was asked");
    assert!(!sim.world.person("dana").enabled);
}

#[tokio::test(start_paused = true)]
async fn what_was_restored_is_blocked_again_when_the_attacker_comes_in_after_that() {
    let sim = breached(32).await;
    sim.pass(Span::minutes(2)).await;
    sim.engine.request_restore(sim.incident().id, "desk").await.unwrap();
    sim.answer(Decision::Approve).await;
    sim.pass(Span::minutes(1)).await;
    assert!(sim.world.person("dana").enabled);

    sim.hostile_approval(&sim.incident()).await;
    sim.pass(Span::minutes(2)).await;

    let runs: String = sim.runs().iter().map(describe).collect();
    assert!(!sim.world.person("dana").enabled, "{runs}");
    assert_eq!(sim.incident().status, IncidentStatus::Contained, "{runs}");
}

#[tokio::test(start_paused = true)]
async fn a_block_that_was_intended_before_the_pause_is_held_back() {
    let sim = breached(33).await;

    // The intent is on disk, and the look before the change is under way.
    while sim.runs().last().is_none_or(|r| r.cells.keys().all(|c| c.step.as_str() != "block")) {
        sim.pass("1ms".parse().unwrap()).await;
    }
    sim.engine.pause(true, "olga", "drill").await.unwrap();
    sim.pass(Span::minutes(1)).await;

    assert!(sim.world.person("dana").enabled);
    sim.engine.pause(false, "olga", "over").await.unwrap();
    sim.pass(Span::minutes(1)).await;
    assert!(!sim.world.person("dana").enabled);
}
