//! What is done first and asked about afterwards.

use std::sync::atomic::Ordering;

use super::{OLGA, PETE, Sim, describe, ended, in_virtual_time};
use crate::model::approval::{Asks, Decision, Tier};
use crate::model::incident::{IncidentStatus, Stage};
use crate::model::plan::{Mode, RatifyRule};
use crate::model::run::{Purpose, Run};
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

/// An ordinary person who let somebody in, blocked at once, under a playbook that wants its block ratified.
async fn blocked_by_a_playbook(seed: u64, login: &str, rule: RatifyRule) -> Sim {
    let sim = Sim::new(seed, Mode::Auto).await;
    if login == "root" {
        sim.world.privileged(login);
    }
    let mut plan = super::playbook();
    plan.name = "a-first".into();
    for step in plan.steps.iter_mut().filter(|s| s.id == "block") {
        step.ratify = Some(rule.clone());
    }
    sim.engine.publish(plan, "plan-2".into(), String::new(), "test", String::new()).await.unwrap();
    sim.alert(login, Stage::Suspected).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    sim.hostile_approval(&sim.incident()).await;
    sim.pass(Span::seconds(30)).await;
    assert_eq!(sim.world.did("idp/block"), 1);
    sim
}

#[tokio::test(start_paused = true)]
async fn what_a_playbook_wants_ratified_is_undone_by_a_no_and_kept_by_silence() {
    let rule = RatifyRule { timeout: Some(Span::minutes(10)), quorum: 0 };
    let undone = blocked_by_a_playbook(37, "dana", rule.clone()).await;
    let asked = undone.asked(Asks::Ratify).unwrap();
    assert_eq!((asked.items.len(), asked.quorum, asked.tier), (1, 1, Tier::LocksOut));
    assert_eq!(asked.expires_at - asked.opened_at, Span::minutes(10).delta());
    assert!(undone.answer_as(&asked, OLGA, Decision::Deny).await);
    undone.pass(Span::minutes(2)).await;
    assert!(undone.world.person("dana").enabled);

    let kept = blocked_by_a_playbook(38, "dana", rule).await;
    kept.pass(Span::minutes(15)).await;
    assert!(kept.asked(Asks::Ratify).is_none());
    assert!(!kept.world.person("dana").enabled);
    assert_eq!(kept.incident().status, IncidentStatus::Contained);
}

#[tokio::test(start_paused = true)]
async fn a_playbook_asks_more_people_whether_it_stands_and_never_fewer_or_for_less_long() {
    let more = RatifyRule { timeout: None, quorum: 2 };
    let sim = blocked_by_a_playbook(39, "dana", more).await;
    let asked = sim.asked(Asks::Ratify).unwrap();
    assert_eq!(asked.expires_at - asked.opened_at, sim.policy.ratify_timeout.delta());
    assert!(sim.answer_as(&asked, OLGA, Decision::Deny).await);
    sim.pass(Span::minutes(2)).await;
    assert!(!sim.world.person("dana").enabled, "one of two");
    assert!(sim.answer_as(&asked, PETE, Decision::Deny).await);
    sim.pass(Span::minutes(2)).await;
    assert!(sim.world.person("dana").enabled);

    let fewer = RatifyRule { timeout: Some(Span::seconds(1)), quorum: 1 };
    let sim = blocked_by_a_playbook(40, "root", fewer).await;
    let asked = sim.asked(Asks::Ratify).unwrap();
    assert_eq!((asked.quorum, asked.tier), (2, Tier::Privileged));
    assert_eq!(asked.expires_at - asked.opened_at, sim.policy.ratify_timeout.delta());
}

#[tokio::test(start_paused = true)]
async fn what_people_said_yes_to_before_is_not_put_to_them_again() {
    let sim = Sim::new(41, Mode::Approve).await;
    let mut plan = super::playbook();
    plan.name = "a-first".into();
    plan.steps.retain(|s| s.id == "block");
    plan.steps[0].ratify = Some(RatifyRule::default());
    sim.engine.publish(plan, "plan-2".into(), String::new(), "test", String::new()).await.unwrap();

    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    assert_eq!(sim.world.did("idp/block"), 0, "a playbook lets nothing happen by itself");
    assert!(sim.answer(Decision::Approve).await);
    sim.pass(Span::minutes(2)).await;

    assert!(!sim.world.person("dana").enabled);
    assert!(sim.asked(Asks::Ratify).is_none() && ended(&sim.runs()[0]));
}

/// A death at any commit between the block and its end: it is asked about once, and one no undoes it.
#[test]
fn a_crash_at_any_moment_of_a_playbooks_ratification_asks_once_and_undoes_once() {
    let story = |crash: Option<u64>| {
        in_virtual_time(async move {
            let rule = RatifyRule { timeout: Some(Span::hours(1)), quorum: 0 };
            let mut sim = blocked_by_a_playbook(42, "dana", rule).await;
            let begun = sim.store.written().len() as u64;
            if let Some(n) = crash {
                sim.store.crash_at.store(begun + n, Ordering::SeqCst);
            }
            for _ in 0..60 {
                if let Some(asked) = sim.asked(Asks::Ratify) {
                    let answer = sim.answer_as(&asked, OLGA, Decision::Deny);
                    _ = tokio::time::timeout(std::time::Duration::from_secs(5), answer).await;
                }
                sim.pass(Span::seconds(5)).await;
                if sim.is_dead() {
                    sim.crash();
                }
            }
            let asked = sim.engine.read(|core| {
                core.state.approvals.values().filter(|q| q.asks == Asks::Ratify).count()
            });
            assert_eq!(asked, 1, "{crash:?}");
            assert!(sim.world.person("dana").enabled, "{crash:?}");
            assert_eq!(sim.world.did("idp/block"), 1, "{crash:?}");
            let back = |r: &&Run| r.purpose == Purpose::Restore;
            assert_eq!(sim.runs().iter().filter(back).count(), 1, "{crash:?}");
            sim.store.written().len() as u64 - begun
        })
    };

    for n in 1..=story(None) {
        story(Some(n));
    }
}

#[tokio::test(start_paused = true)]
async fn a_playbook_has_an_incident_watched_longer_and_never_for_less_long() {
    let watched = async |seed: u64, watch: Span| {
        let sim = Sim::new(seed, Mode::Auto).await;
        let mut plan = super::playbook();
        (plan.name, plan.watch) = ("a-first".into(), Some(watch));
        let published =
            sim.engine.publish(plan, "plan-2".into(), String::new(), "test", String::new());
        published.await.unwrap();
        sim.alert("dana", Stage::Suspected).await.unwrap();
        sim.pass(Span::seconds(30)).await;
        assert_eq!(sim.incident().status, IncidentStatus::Contained);
        sim
    };
    let sim = watched(43, Span::hours(72)).await;
    sim.pass(Span::hours(60)).await;
    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    assert!(sim.answer(Decision::Approve).await, "what was contained goes on");
    sim.pass(Span::minutes(2)).await;
    assert_eq!(sim.engine.read(|core| core.state.incidents.len()), 1, "it is the same case");
    let runs: Vec<String> = sim.runs().iter().map(describe).collect();
    assert_eq!(sim.world.did("idp/block"), 1, "{runs:#?}");
    let left = sim.incident().watch_until - sim.engine.now();
    assert!(left > Span::hours(71).delta(), "contained anew, watched anew: {left} {runs:#?}");

    let sim = watched(44, Span::hours(1)).await;
    let left = sim.incident().watch_until - sim.engine.now();
    assert!(left > Span::hours(23).delta(), "as long as the policy: {left}");
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_for_a_way_back_under_quells_own_names() {
    let sim = blocked_first(34).await;
    for name in ["expiry-clean", "expiry", "not-ratified"] {
        assert!(sim.engine.request_restore(sim.incident().id, name).await.is_err(), "{name}");
    }
}
