//! What an attacker does once inside, and what a provider takes for stolen, beside failed prompts. All made up.

use super::tests::{ATTACKER, HOME, at, event, signed_in};
use super::*;
use crate::model::event::{ChangedBy, EventKind, EventOutcome};
use crate::model::incident::{ApprovalSeen, Stage};

fn done(seconds: i64, kind: EventKind, ip: &str) -> Event {
    event(seconds, kind, EventOutcome::Succeeded, ip)
}

fn denied(n: i64) -> Vec<Event> {
    (0..n).map(|i| event(i * 30, EventKind::Prompt, EventOutcome::Denied, ATTACKER)).collect()
}

fn approved(seconds: i64) -> Event {
    event(seconds, EventKind::Prompt, EventOutcome::Approved, ATTACKER)
}

/// Stage, rule and reason of all that is said, the facts being told in this order.
fn said(facts: &[Event]) -> Vec<(Stage, String, String)> {
    let mut detector = Detector::default();
    let mut now = at(0);
    let mut said = Vec::new();
    let history = (1..4).map(|day| signed_in(-day * 86_400, HOME));
    for fact in history.chain(facts.iter().cloned()) {
        now = now.max(fact.time);
        let about = About { now, ..About::default() };
        let signals = detector.observe("ana", &fact, &about);
        said.extend(signals.into_iter().map(|s| (s.stage, s.rule, s.reason)));
    }
    said
}

fn stage(facts: &[Event]) -> Option<Stage> {
    said(facts).into_iter().map(|(stage, _, _)| stage).max()
}

const TAKEN: [EventKind; 3] = [EventKind::InboxRule, EventKind::Grant, EventKind::RoleChange];

#[test]
fn a_follow_on_action_from_the_hostile_context_is_a_breach_in_whatever_order() {
    for kind in TAKEN {
        let facts = [denied(3), vec![done(200, kind, ATTACKER)]].concat();
        let mut late = facts.clone();
        late.rotate_right(1);

        assert_eq!((stage(&facts), stage(&late)), (Some(Stage::Breached), Some(Stage::Breached)));
        let twice = [facts.clone(), facts].concat();
        let breaches = said(&twice).into_iter().filter(|(stage, _, _)| *stage == Stage::Breached);
        assert_eq!(breaches.count(), 1, "{kind:?}");
    }
}

#[test]
fn a_follow_on_action_after_somebody_was_let_in_is_told_from_wherever_it_comes() {
    let facts = [denied(3), vec![approved(100), done(400, EventKind::InboxRule, HOME)]].concat();

    let told = said(&facts);

    let (stage, rule, reason) = told.last().unwrap();
    assert_eq!((*stage, rule.as_str()), (Stage::Breached, "follow_on_action"));
    assert_eq!(reason, "A mail rule was made after somebody was let in");
}

#[test]
fn everyday_work_beside_failed_prompts_raises_nothing() {
    for kind in TAKEN {
        assert_eq!(
            stage(&[denied(3), vec![done(200, kind, HOME)]].concat()),
            Some(Stage::Noted),
            "{kind:?}"
        );
        assert_eq!(stage(&[done(200, kind, ATTACKER)]), None, "{kind:?} alone");
        let before = [vec![done(-4_000, kind, ATTACKER)], denied(3)].concat();
        assert_eq!(stage(&before), Some(Stage::Noted), "{kind:?} before");
    }
    let helped = Event {
        changed_by: ChangedBy::Administrator,
        ..done(200, EventKind::RecoveryChange, HOME)
    };
    assert_eq!(stage(&[denied(3), vec![helped]].concat()), Some(Stage::Noted));
}

/// Two days later a new phone is a new phone, unless the incident is still open.
#[test]
fn a_change_long_after_the_last_prompt_is_not_the_attackers() {
    let facts = |after| [denied(3), vec![done(after, EventKind::FactorChange, HOME)]].concat();

    assert_eq!(stage(&facts(23 * 3_600)), Some(Stage::Breached));
    assert_eq!(stage(&facts(25 * 3_600)), Some(Stage::Noted));
}

#[test]
fn a_providers_mark_raises_what_it_fits_and_nothing_alone() {
    let with = |kind, ip| stage(&[denied(3), vec![done(-300, kind, ip)]].concat());

    assert_eq!(with(EventKind::StolenSession, ATTACKER), Some(Stage::Confirmed));
    assert_eq!(with(EventKind::StolenSession, HOME), Some(Stage::Noted));
    assert_eq!(with(EventKind::StolenSession, ""), Some(Stage::Suspected), "it names no address");
    assert_eq!(with(EventKind::OddSignIn, ATTACKER), Some(Stage::Suspected));
    assert_eq!(with(EventKind::OddSignIn, HOME), Some(Stage::Noted));
    for kind in [EventKind::StolenSession, EventKind::OddSignIn, EventKind::StolenPassword] {
        assert_eq!(stage(&[done(0, kind, ATTACKER)]), None, "{kind:?}");
    }
}

#[test]
fn a_password_that_others_know_is_told_as_exposed_once() {
    let mut detector = Detector::default();
    let mut exposed = 0;
    let mark = done(-7_200, EventKind::StolenPassword, ATTACKER);
    for fact in [vec![mark.clone()], denied(4), vec![mark]].concat() {
        let about = About { now: at(300), ..About::default() };
        let signals = detector.observe("ana", &fact, &about);
        exposed += signals.iter().filter(|s| s.rule == "provider_risk").count();
        assert!(signals.iter().all(|s| s.approval == ApprovalSeen::None));
    }

    assert_eq!(exposed, 1);
}
