//! What is done first and asked about afterwards.

use super::{OLGA, PETE, Sim, describe, ended};
use crate::model::approval::{Asks, Decision};
use crate::model::incident::Stage;
use crate::model::plan::Mode;
use crate::model::run::Purpose;
use crate::model::time::Span;

/// A privileged person who let somebody in, blocked before anybody was asked.
async fn blocked_first(seed: u64) -> Sim {
    let sim = Sim::new(seed, Mode::Auto).await;
    sim.world.privileged("root");
    sim.alert("root", Stage::Suspected).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    sim.hostile_approval(&sim.incident()).await;
    sim.pass(Span::seconds(30)).await;
    assert_eq!(sim.world.did("idp/block"), 1);
    assert_eq!(sim.world.did("idp/reset"), 0, "what cannot be undone waits for two people");
    sim
}

async fn ratify(sim: &Sim, decision: Decision) {
    let asked = sim.asked(Asks::Ratify).unwrap();
    assert_eq!(asked.items.len(), 1);
    assert!(sim.answer_as(&asked, OLGA, decision).await);
    assert!(sim.asked(Asks::Ratify).is_some(), "one answer is not enough either way");
    assert!(!sim.answer_as(&asked, OLGA, decision).await, "nobody answers twice");
    assert!(sim.answer_as(&asked, PETE, decision).await);
    sim.pass(Span::minutes(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_privileged_person_who_let_somebody_in_is_blocked_first_and_two_people_may_undo_it() {
    let kept = blocked_first(30).await;
    ratify(&kept, Decision::Approve).await;
    assert!(!kept.world.person("root").enabled);

    let undone = blocked_first(31).await;
    ratify(&undone, Decision::Deny).await;
    assert!(undone.world.person("root").enabled);
    let back = undone.runs().into_iter().find(|r| r.purpose == Purpose::Restore).unwrap();
    assert!(back.decided_by.is_some() && ended(&back), "{}", describe(&back));
}

#[tokio::test(start_paused = true)]
async fn silence_keeps_what_was_to_be_ratified_and_a_restart_forgets_no_answer() {
    let mut sim = blocked_first(32).await;
    let asked = sim.asked(Asks::Ratify).unwrap();
    assert!(sim.answer_as(&asked, OLGA, Decision::Deny).await);

    sim.crash();
    sim.pass(Span::seconds(10)).await;
    assert!(!sim.answer_as(&asked, OLGA, Decision::Deny).await);
    sim.pass(Span::minutes(40)).await;

    assert!(sim.asked(Asks::Ratify).is_none());
    assert!(!sim.world.person("root").enabled);
}

#[tokio::test(start_paused = true)]
async fn whether_a_block_stands_is_asked_while_effects_are_paused() {
    let sim = Sim::new(36, Mode::Auto).await;
    sim.world.privileged("root");
    sim.alert("root", Stage::Suspected).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    sim.hostile_approval(&sim.incident()).await;
    while sim.world.did("idp/block") == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    sim.engine.pause(true, "olga", "is this right?").await.unwrap();
    sim.pass(Span::seconds(30)).await;

    let asked = sim.asked(Asks::Ratify).unwrap();
    assert_eq!(asked.items.len(), 1);
    for person in [OLGA, PETE] {
        assert!(sim.answer_as(&asked, person, Decision::Deny).await);
    }
    sim.pass(Span::seconds(30)).await;
    assert!(!sim.world.person("root").enabled, "nothing is done while paused");
    sim.engine.pause(false, "olga", "it was not").await.unwrap();
    sim.pass(Span::minutes(2)).await;
    assert!(sim.world.person("root").enabled);
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_for_a_way_back_under_quells_own_names() {
    let sim = blocked_first(34).await;
    for name in ["expiry-clean", "expiry", "not-ratified"] {
        assert!(sim.engine.request_restore(sim.incident().id, name).await.is_err(), "{name}");
    }
}
