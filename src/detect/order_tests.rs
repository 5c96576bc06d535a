//! Whatever way the same facts come in, they are the same incident.

use proptest::prelude::*;
use std::collections::BTreeMap;

use super::tests::{ATTACKER, HOME, at, event, signed_in};
use super::*;
use crate::model::event::{EventKind, EventOutcome};
use crate::model::incident::{ApprovalSeen, HostileContext, Stage};

/// What the caller keeps of one person's incident.
#[derive(Debug, Default)]
struct Case {
    open: Option<Open>,
    stage: Option<Stage>,
    approval: ApprovalSeen,
    opened: usize,
}

/// Facts with the moment at which each is told.
fn tell(facts: &[(i64, Event)]) -> (Option<Stage>, ApprovalSeen, usize) {
    let mut detector = Detector::default();
    let mut case = Case::default();
    for (told, fact) in facts {
        let about = About {
            privileged: false,
            open: case.open.as_ref(),
            now: at(*told),
            ..About::default()
        };
        for signal in detector.observe("ana", fact, &about) {
            case.opened += usize::from(case.stage.is_none());
            case.stage = case.stage.max(Some(signal.stage));
            case.approval = case.approval.max(signal.approval);
            let open = case.open.get_or_insert_with(|| Open {
                hostile: HostileContext::default(),
                first_event_at: signal.first,
                last_evidence_at: signal.last,
                contained_at: None,
            });
            open.first_event_at = open.first_event_at.min(signal.first);
            open.last_evidence_at = open.last_evidence_at.max(signal.last);
            for ip in signal.hostile.ips {
                if !open.hostile.ips.contains(&ip) {
                    open.hostile.ips.push(ip);
                }
            }
        }
    }
    (case.stage, case.approval, case.opened)
}

/// An attack on somebody who signs in at home: prompts, and perhaps an approval, a sign-in and a new factor.
fn attack() -> impl Strategy<Value = Vec<Event>> {
    let outcome = prop::sample::select(vec![
        EventOutcome::Denied,
        EventOutcome::TimedOut,
        EventOutcome::WrongAnswer,
    ]);
    let prompts = prop::collection::vec((outcome, 3_i64..240), 2..9);
    (prompts, any::<[bool; 4]>()).prop_map(|(prompts, [approved, enters, enrols, grants])| {
        let mut now = 1_000;
        let mut facts: Vec<Event> = Vec::new();
        for (outcome, pause) in prompts {
            now += pause;
            facts.push(event(now, EventKind::Prompt, outcome, ATTACKER));
        }
        if approved {
            facts.push(event(now + 20, EventKind::Prompt, EventOutcome::Approved, ATTACKER));
        }
        if enters {
            facts.push(signed_in(now + 21, ATTACKER));
        }
        if enrols {
            let kind = EventKind::FactorChange;
            facts.push(event(now + 60, kind, EventOutcome::Succeeded, ATTACKER));
        }
        if grants {
            facts.push(event(now + 90, EventKind::Grant, EventOutcome::Succeeded, ATTACKER));
        }
        facts
    })
}

fn history() -> Vec<(i64, Event)> {
    (1..6).map(|day| (-day * 86_400, signed_in(-day * 86_400, HOME))).rev().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn late_repeated_and_out_of_order_facts_are_the_same_incident(
        facts in attack(),
        delays in prop::collection::vec(0_i64..900, 13),
        again in prop::collection::vec((0_usize..12, 0_i64..1_800), 0..12),
    ) {
        let mut clean = history();
        clean.extend(facts.iter().map(|fact| (seconds(fact), fact.clone())));
        let mut torn = history();
        for (fact, delay) in facts.iter().zip(&delays) {
            torn.push((seconds(fact) + delay, fact.clone()));
        }
        for (which, delay) in again {
            let fact = &facts[which % facts.len()];
            torn.push((seconds(fact) + delay, fact.clone()));
        }
        // By arrival; what arrives together arrives as it is listed.
        torn.sort_by_key(|(told, _)| *told);

        prop_assert_eq!(tell(&torn), tell(&clean));
    }
}

fn seconds(event: &Event) -> i64 {
    (event.time - at(0)).num_seconds()
}

/// A storm about many people is as many cases as people, whatever is repeated in it.
#[test]
fn a_storm_is_one_case_a_person() {
    let mut detector = Detector::default();
    let mut said: BTreeMap<String, Stage> = BTreeMap::new();
    for round in 0..20_i64 {
        for person in 0..50 {
            let key = format!("p{person}");
            let fact = event(round * 30, EventKind::Prompt, EventOutcome::Denied, ATTACKER);
            for _ in 0..3 {
                let about =
                    About { privileged: false, open: None, now: fact.time, ..About::default() };
                for signal in detector.observe(&key, &fact, &about) {
                    let stage = said.entry(key.clone()).or_insert(signal.stage);
                    *stage = (*stage).max(signal.stage);
                }
            }
        }
    }

    assert_eq!(said.len(), 50);
    assert!(said.values().all(|stage| *stage == Stage::Suspected), "{said:?}");
}
