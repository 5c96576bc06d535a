//! Pollers, an engine and the lab, in virtual time: what is only in a provider's log is found there, whatever
//! the pages, the lag, the deaths and the provider's refusals.

mod bench;
mod wired;

use chrono::TimeDelta;

use super::rig::in_one_runtime;
use super::vendors::shipped;
use crate::connector::catalogue::Catalogue;
use crate::engine::ports::Clock as _;
use crate::lab::fault::{Fault, Switch};
use crate::lab::world::System;
use crate::model::entry::Entry;
use crate::model::id::SourceId;
use crate::model::incident::Stage;
use crate::model::time::{Span, Time};
use bench::Bench;

const DANA: &str = "dana.reyes@lab.example";

const ENTRA: (&str, &str) = (
    "entra",
    "kind = 'entra'\nmay_cause = 'contain'\nconnections = ['entra', 'okta']\npoll = { connection = 'entra', log = 'sign_ins' }",
);
const BETA: (&str, &str) = (
    "beta",
    "kind = 'entra'\nmay_cause = 'contain'\nconnections = ['entra', 'okta']\npoll = { connection = 'entra', log = 'sign_ins_beta' }",
);
const AUDITS: (&str, &str) =
    ("audits", "kind = 'entra'\npoll = { connection = 'entra', log = 'audits' }");
const RISK: (&str, &str) =
    ("risk", "kind = 'entra'\npoll = { connection = 'entra', log = 'risk_detections' }");
const OKTA: (&str, &str) = (
    "okta",
    "kind = 'okta'\nmay_cause = 'contain'\nconnections = ['okta', 'entra']\npoll = { connection = 'okta' }",
);
const DUO: (&str, &str) = (
    "duo",
    "kind = 'duo'\nmay_cause = 'contain'\nconnections = ['duo', 'okta', 'entra']\npoll = { connection = 'duo' }",
);

/// One prompt after another; at one instant they would be one.
async fn pushes(bench: &mut Bench, prompts: usize) {
    for _ in 0..prompts {
        bench.lab.attacker_pushes(DANA, 1);
        bench.lab.attacker_pushes_at_duo(DANA, 1);
        bench.pass(Span::seconds(15)).await;
    }
}

/// What an attacker does who succeeds.
async fn breach(bench: &mut Bench) {
    bench.lab.attacker_steals_password(DANA);
    pushes(bench, 6).await;
    bench.lab.attacker_signs_in(DANA);
}

#[test]
fn an_attack_that_nobody_posts_is_found_by_polling_and_contained() {
    for source in [ENTRA, BETA, OKTA] {
        in_one_runtime(async {
            let mut bench = Bench::new(&[source]);
            bench.publish(shipped(&Catalogue::builtin().unwrap())).await;
            bench.pass(Span::minutes(2)).await;

            breach(&mut bench).await;
            bench.pass(Span::minutes(4)).await;

            let oracle = bench.lab.oracle();
            assert_eq!(bench.incidents(), 1, "{}", source.0);
            assert_eq!(bench.stage(), Some(Stage::Breached), "{}", source.0);
            assert!(oracle.is_blocked(DANA), "{}: {:#?}", source.0, oracle.calls);
            assert_eq!(oracle.hostile_sessions(DANA), 0, "{}", source.0);
        });
    }
}

#[test]
fn duos_log_is_read_with_its_signature_and_its_delay() {
    in_one_runtime(async {
        let mut bench = Bench::new(&[DUO]);
        bench.publish(shipped(&Catalogue::builtin().unwrap())).await;
        bench.pass(Span::minutes(3)).await;
        pushes(&mut bench, 6).await;

        assert_eq!(bench.incidents(), 0, "Duo shows nothing yet");
        bench.pass(Span::minutes(5)).await;

        assert_eq!((bench.incidents(), bench.events()), (1, 6));
        assert!(bench.lab.oracle().times(DANA, "sessions revoked") >= 2);
        let polls = bench.polls_of("poll-authentication");
        assert!(polls.windows(2).all(|two| two[1] - two[0] >= TimeDelta::minutes(1)), "{polls:?}");
        let meter = bench.up.as_ref().unwrap().meters.all()[&SourceId::from("duo")].clone();
        assert!(meter.lag.unwrap() >= Span::minutes(2), "{meter:?}");
        assert!(meter.failures.is_empty(), "{meter:?}");
    });
}

#[test]
fn pages_repetitions_and_late_records_are_taken_in_once() {
    in_one_runtime(async {
        let mut bench = Bench::new(&[ENTRA, AUDITS, OKTA]);
        bench.lab.set_pages(2, 1);
        bench.lab.set_late(System::Graph, Span::minutes(25));
        bench.pass(Span::minutes(1)).await;
        pushes(&mut bench, 5).await;
        bench.lab.set_late(System::Graph, Span::seconds(0));
        bench.pass(Span::minutes(3)).await;
        pushes(&mut bench, 3).await;
        bench.lab.attacker_enrols_factor(DANA);

        bench.pass(Span::minutes(40)).await;

        let meters = bench.up.as_ref().unwrap().meters.all();
        let late = meters[&SourceId::from("entra")].late.unwrap();
        assert!((Span::minutes(24)..Span::minutes(28)).contains(&late), "{late}");
        assert_eq!(meters[&SourceId::from("okta")].late, None);
        // Eight prompts in each log, and the factor in Okta's and among Entra's audits.
        assert_eq!(bench.events(), 8 + 8 + 1 + 1);
        assert_eq!(bench.incidents(), 1);
    });
}

/// Dies behind each commit in turn; what is on disk decides what the next process asks for.
#[test]
fn a_death_behind_any_commit_neither_loses_nor_doubles() {
    let story = |dies: Option<u64>| {
        in_one_runtime(async move {
            let mut bench = Bench::new(&[OKTA, RISK]);
            bench.lab.set_pages(2, 0);
            if let Some(seq) = dies {
                bench.store.crash_after(seq);
            }
            bench.pass(Span::minutes(1)).await;
            pushes(&mut bench, 5).await;
            bench.lab.person_reports(DANA);
            bench.pass(Span::minutes(2)).await;
            if dies.is_some() {
                bench.come_back().await;
            }
            bench.pass(Span::minutes(3)).await;
            bench.come_back().await;
            bench.pass(Span::minutes(2)).await;

            assert_eq!(bench.events(), 5, "{dies:?}");
            assert_eq!(bench.incidents(), 1, "{dies:?}");
            let told = bench.entries().await.into_iter().filter_map(|entry| match entry {
                Entry::AlertRaised { alert, .. } if alert.rule.contains("suspicious") => {
                    Some(alert.rule)
                }
                _ => None,
            });
            let mut told: Vec<String> = told.collect();
            told.sort();
            assert_eq!(
                told,
                ["entra.user_reported_suspicious_activity", "okta.report_suspicious_activity"],
                "{dies:?}"
            );
            bench.journal().await.len() as u64
        })
    };
    let commits = story(None);
    assert!(commits >= 6, "{commits}");

    for seq in 1..=commits {
        story(Some(seq));
    }
}

#[test]
fn a_provider_that_asks_to_wait_is_left_alone_for_so_long() {
    in_one_runtime(async {
        let mut bench = Bench::new(&[OKTA, ENTRA]);
        bench.pass(Span::minutes(1)).await;
        let throttle = |system, operation: &str| Switch {
            system,
            operation: Some(operation.to_owned()),
            fault: Fault::Throttle { retry_after: Some(150) },
            times: Some(1),
        };
        bench.lab.fault(throttle(System::Okta, "poll-log"));
        bench.lab.fault(throttle(System::Graph, "poll-sign-ins"));
        let before = bench.clock.now();
        bench.lab.attacker_pushes(DANA, 4);

        bench.pass(Span::minutes(5)).await;

        for operation in ["poll-log", "poll-sign-ins"] {
            let after: Vec<Time> =
                bench.polls_of(operation).into_iter().filter(|at| *at > before).collect();
            assert!(after[1] - after[0] >= TimeDelta::seconds(150), "{operation}: {after:?}");
        }
        assert_eq!(bench.events(), 8);
        let meters = bench.up.as_ref().unwrap().meters.all();
        let okta = &meters[&SourceId::from("okta")];
        assert_eq!((okta.failures["throttled"], okta.in_a_row), (1, 0));
    });
}

#[test]
fn an_hour_of_downtime_leaves_no_gap() {
    in_one_runtime(async {
        let mut bench = Bench::new(&[ENTRA, OKTA, DUO]);
        bench.lab.set_pages(3, 0);
        bench.pass(Span::minutes(2)).await;
        bench.die();
        for _ in 0..12 {
            bench.lab.attacker_pushes(DANA, 1);
            bench.lab.attacker_pushes_at_duo(DANA, 1);
            bench.pass(Span::minutes(5)).await;
        }

        bench.come_back().await;
        bench.pass(Span::minutes(5)).await;

        assert_eq!(bench.events(), 3 * 12);
    });
}

/// What happened while nobody looked is told to people, and asks.
#[test]
fn what_is_found_hours_later_opens_an_incident_and_does_nothing_by_itself() {
    in_one_runtime(async {
        let mut bench = Bench::new(&[OKTA]);
        bench.publish(shipped(&Catalogue::builtin().unwrap())).await;
        bench.pass(Span::minutes(2)).await;
        bench.die();
        breach(&mut bench).await;
        bench.pass(Span::hours(2)).await;

        bench.come_back().await;
        bench.pass(Span::minutes(5)).await;

        assert_eq!((bench.incidents(), bench.stage()), (1, Some(Stage::Breached)));
        assert_eq!(bench.lab.oracle().effects(DANA).count(), 0);
        assert!(bench.engine().read(|core| !core.state.approvals.is_empty()), "people are asked");
    });
}

#[test]
fn a_provider_that_is_dead_is_asked_ever_less_often_and_read_when_it_is_back() {
    in_one_runtime(async {
        let mut bench = Bench::new(&[OKTA]);
        bench.pass(Span::minutes(1)).await;
        let dead =
            Switch { system: System::Okta, operation: None, fault: Fault::Error, times: None };
        bench.lab.fault(dead);
        bench.lab.attacker_pushes(DANA, 4);
        let before = bench.polls_of("poll-log").len();

        bench.pass(Span::hours(1)).await;
        let asked = bench.polls_of("poll-log").len() - before;
        bench.lab.clear_faults();
        bench.pass(Span::minutes(11)).await;

        assert!((8..25).contains(&asked), "{asked} times in an hour");
        assert_eq!(bench.events(), 4);
    });
}

/// A minute's poll would be five hundred thousand lines a year.
#[test]
fn a_quiet_log_writes_next_to_nothing() {
    in_one_runtime(async {
        let mut bench = Bench::new(&[ENTRA, OKTA, RISK]);
        bench.lab.attacker_pushes(DANA, 2);
        bench.lab.person_reports(DANA);
        bench.pass(Span::minutes(10)).await;
        let before = bench.advanced().await;

        bench.pass(Span::hours(1)).await;
        assert_eq!(bench.advanced().await, before);
        bench.pass(Span::hours(5)).await;
        bench.come_back().await;
        bench.pass(Span::minutes(10)).await;

        assert!(bench.advanced().await <= before + 3 * 6);
        assert_eq!(bench.events(), 4);
        let alerts = bench.entries().await;
        let alerts = alerts.iter().filter(
            |e| matches!(e, Entry::AlertRaised { alert, .. } if alert.rule.contains("suspicious")),
        );
        assert_eq!(alerts.count(), 2);
    });
}

/// Otherwise a poll at every minute would fall on a provider that is known not to answer.
#[test]
fn an_open_breaker_holds_polls_back_too() {
    in_one_runtime(async {
        let mut bench = Bench::new(&[OKTA]);
        bench.publish(shipped(&Catalogue::builtin().unwrap())).await;
        bench.pass(Span::minutes(2)).await;
        let connection = "okta".into();
        let shut = |bench: &Bench| {
            bench.engine().read(|core| core.desk.shut_until(&connection, bench.clock.now()))
        };
        assert_eq!(shut(&bench), None);
        bench.lab.fault(Switch {
            system: System::Okta,
            operation: Some("revoke-sessions".to_owned()),
            fault: Fault::Throttle { retry_after: Some(300) },
            times: None,
        });
        pushes(&mut bench, 6).await;
        bench.pass(Span::minutes(1)).await;

        let until = shut(&bench).unwrap();
        let polls = bench.polls_of("poll-log").len();
        bench.pass(Span::seconds((until - bench.clock.now()).num_seconds() - 1)).await;

        assert_eq!(bench.polls_of("poll-log").len(), polls);
        let meter = |bench: &Bench| {
            bench.up.as_ref().unwrap().meters.all()[&SourceId::from("okta")].clone()
        };
        let held = meter(&bench);
        assert_eq!((held.in_a_row, held.next_at), (0, Some(until)), "it was not asked");
        assert!(held.held_since.is_some(), "{held:?}");
        bench.lab.clear_faults();
        bench.pass(Span::minutes(10)).await;
        assert_eq!(meter(&bench).held_since, None);
    });
}

#[test]
fn a_log_that_stays_refused_is_told_from_one_that_stumbled() {
    in_one_runtime(async {
        let mut bench = Bench::new(&[OKTA]);
        bench.pass(Span::minutes(1)).await;
        let began = bench.clock.now();
        let meter = |bench: &Bench| {
            bench.up.as_ref().unwrap().meters.all()[&SourceId::from("okta")].clone()
        };
        let refuse = |times| Switch {
            system: System::Okta,
            operation: Some("poll-log".to_owned()),
            fault: Fault::Forbidden,
            times,
        };
        bench.lab.fault(refuse(Some(1)));
        bench.pass(Span::minutes(4)).await;
        let stumbled = meter(&bench);
        assert_eq!((stumbled.in_a_row, stumbled.stuck_since(bench.clock.now())), (0, None));
        assert!(stumbled.failed.unwrap().problem.contains("okta.logs.read"));

        bench.lab.fault(refuse(Some(8)));
        let refused = bench.clock.now();
        bench.pass(Span::minutes(10)).await;
        let stuck = meter(&bench);
        let since = stuck.stuck_since(bench.clock.now()).unwrap();
        assert!(since >= refused && since - refused <= TimeDelta::minutes(1), "{stuck:?}");
        assert!(stuck.next_at.unwrap() > bench.clock.now(), "{stuck:?}");
        assert!(stuck.succeeded_at.unwrap() > began);
        assert_eq!(stuck.failed.unwrap().kind, "refused");

        bench.pass(Span::minutes(80)).await;
        assert_eq!(meter(&bench).stuck_since(bench.clock.now()), None);
    });
}
