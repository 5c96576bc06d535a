//! Holds over time: they run out by themselves, are placed anew, and wait for the kill switch.

use super::{Sim, describe};
use crate::engine::clean::{self, Verdict};
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
    sim.pass(Span::seconds(5)).await;
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

/// Blocked on suspicion alone, everything replaced: clean when its time runs out.
async fn blocked_and_clean(seed: u64) -> Sim {
    let sim = Sim::new(seed, Mode::Approve).await;
    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    assert!(sim.answer(Decision::Approve).await);
    sim.pass(Span::minutes(2)).await;
    assert!(!sim.world.person("dana").enabled);
    sim
}

#[tokio::test(start_paused = true)]
async fn a_clean_hold_that_runs_out_opens_by_itself_unless_somebody_else_has_touched_the_account() {
    let sim = blocked_and_clean(40).await;
    sim.pass(Span::hours(24)).await;
    assert!(sim.world.person("dana").enabled, "{}", describe(sim.runs().last().unwrap()));

    let left = blocked_and_clean(41).await;
    left.world.leaves("dana");
    left.pass(Span::hours(24)).await;
    assert!(!left.world.person("dana").enabled);
    let asked = left.pending().unwrap();
    assert!(
        asked.items[0].reason.contains("it was `suspended`, and is `deprovisioned`"),
        "{}",
        asked.items[0].reason
    );
}

#[tokio::test(start_paused = true)]
async fn a_way_back_is_asked_about_with_what_is_clean_and_what_is_not() {
    let sim = breached(42).await;
    sim.pass(Span::minutes(2)).await;
    sim.engine.request_restore(sim.incident().id, "desk").await.unwrap();
    sim.pass(Span::seconds(5)).await;

    let said = |sim: &Sim| {
        let now = sim.engine.now();
        sim.engine.read(|core| {
            let incident = core.state.incidents.values().next().unwrap();
            let checks = clean::checks(&core.state, incident, now);
            checks.into_iter().map(|c| (c.what, c.verdict)).collect::<Vec<_>>()
        })
    };
    let first = said(&sim);
    for (what, verdict) in [
        ("Approval", Verdict::Unclean),
        ("Password", Verdict::Clean),
        ("Factors", Verdict::Clean),
        ("Sessions", Verdict::Clean),
        ("Mailbox and grants", Verdict::Unknown),
        ("Since containment", Verdict::Clean),
        ("The person", Verdict::Unknown),
        ("Account", Verdict::Clean),
    ] {
        assert!(first.contains(&(what, verdict)), "{what}: {first:?}");
    }
    sim.hostile_approval(&sim.incident()).await;
    let then = said(&sim);
    assert!(then.contains(&("Sessions", Verdict::Unclean)), "{then:?}");
    assert!(then.contains(&("Since containment", Verdict::Unclean)), "{then:?}");
}
