//! Vendors on their worst days, in virtual time: slow, dead, or asking to wait for an hour.
//! Whatever one of them does, the others' accounts are contained as if nothing were wrong.

use std::sync::Arc;

use super::rig::{Rig, in_one_runtime};
use crate::connector::catalogue::Catalogue;
use crate::engine::driver::Standing;
use crate::engine::ports::Clock as _;
use crate::lab::fault::{Fault, Switch};
use crate::lab::world::System;
use crate::model::entry::Entry;
use crate::model::id::ConnectionId;
use crate::model::incident::Stage;
use crate::model::plan::Plan;
use crate::model::run::{CellState, Run, RunStatus, WaitingOn};
use crate::model::time::Span;

const PEOPLE: usize = 6;

fn login(n: usize) -> String {
    format!("person-{n:04}@lab.example")
}

fn both() -> [ConnectionId; 2] {
    ["entra".into(), "okta".into()]
}

pub(super) fn shipped(catalogue: &Catalogue) -> Plan {
    let (path, text, _) = crate::playbook::SHIPPED_TRIALS[0];
    crate::playbook::check(path, text, &catalogue.signatures()).unwrap().plan
}

async fn rig() -> Rig {
    let catalogue = Arc::new(Catalogue::builtin().unwrap());
    let rig = Rig::new(&catalogue, PEOPLE);
    rig.publish(shipped(&catalogue)).await;
    rig
}

impl Rig {
    fn breaks(&self, system: System, fault: Fault) {
        self.lab.fault(Switch { system, operation: None, fault, times: None });
    }

    async fn alerts(&self, stage: Stage) {
        for n in 1..=PEOPLE {
            self.alert(&login(n), stage, &both()).await;
        }
    }

    /// How often an effect happened in a system.
    fn done(&self, system: System, effect: &str) -> usize {
        let calls = self.lab.oracle().calls;
        calls.iter().filter(|c| c.system == system && c.effect.as_deref() == Some(effect)).count()
    }

    fn standing(&self, connection: &str) -> Standing {
        self.engine.read(|core| {
            let mut all = core.desk.connections();
            let own = all.find(|(id, _)| id.as_str() == connection);
            own.map_or(Standing::Answering, |(_, lane)| lane.standing(self.clock.now()))
        })
    }

    /// Seconds until `holds`, by the deployment's own clock.
    async fn until(&self, holds: impl Fn(&Self) -> bool) -> i64 {
        let began = self.clock.now();
        while !holds(self) {
            let waited = self.clock.now() - began;
            assert!(waited < chrono::TimeDelta::minutes(30), "{:#?}", self.stands());
            self.pass(Span::seconds(1)).await;
        }
        (self.clock.now() - began).num_seconds()
    }

    /// Where every run stands, for a failing test's message.
    fn stands(&self) -> Vec<String> {
        let cells = |run: &Run| -> Vec<String> {
            let cells = run.cells();
            let line = |c: &crate::model::run::Cell| {
                format!("{} {}: {:?} {:?}", c.key.step, c.key.item, c.state, c.problem)
            };
            cells.map(line).collect()
        };
        let line = |r: &Run| format!("{:?} on {:?} {:#?}", r.status, r.waiting_on, cells(r));
        self.runs().iter().map(line).collect()
    }

    /// Everything has ended or waits for something that has a name.
    fn all_named(&self) -> bool {
        self.runs().iter().all(|r| r.status.ended() || r.waiting_on.is_some())
    }
}

fn everybody_blocked_in_okta(rig: &Rig) -> bool {
    rig.done(System::Okta, "blocked") == PEOPLE
}

/// How long it takes until everybody is blocked in Okta and has a ticket, with Entra as `fault`
/// makes it. `known`: the accounts were read before.
fn okta_takes(fault: Option<Fault>, known: bool) -> i64 {
    in_one_runtime(async {
        let rig = rig().await;
        if known {
            rig.alerts(Stage::Suspected).await;
            rig.pass(Span::minutes(2)).await;
        }
        if let Some(fault) = fault {
            rig.breaks(System::Graph, fault);
        }
        rig.alerts(Stage::Confirmed).await;
        let took = rig.until(everybody_blocked_in_okta).await;
        assert_eq!(rig.done(System::Servicenow, "ticket opened"), PEOPLE);
        took
    })
}

#[test]
#[expect(clippy::print_stdout, reason = "figures of `tests/run load`")]
fn a_slow_or_dead_vendor_does_not_keep_the_others_accounts_waiting() {
    let quiet = okta_takes(None, true);
    let stranger = okta_takes(None, false);
    println!("Entra answers: Okta contained in {quiet} s, {stranger} s with the look-up");
    let days = [
        ("answers after 30 s", Fault::Slow { ms: 30_000 }),
        ("is dead", Fault::Unreachable),
        ("answers 500", Fault::Error),
        ("answers 429", Fault::Throttle { retry_after: Some(60) }),
    ];

    for (what, fault) in days {
        let known = okta_takes(Some(fault), true);
        let unknown = okta_takes(Some(fault), false);

        println!("Entra {what}: Okta contained in {known} s, {unknown} s with the look-up");
        assert!(known <= quiet + 1, "{what}: {known} s instead of {quiet} s");
        // Whether the person is privileged in Entra decides who must say yes; half a minute of that.
        assert!(unknown <= stranger + 35, "{what}: {unknown} s instead of {stranger} s");
    }
}

#[test]
fn what_needs_nobodys_yes_does_not_wait_for_a_slow_look_up() {
    in_one_runtime(async {
        let rig = rig().await;
        rig.breaks(System::Graph, Fault::Slow { ms: 30_000 });

        rig.alerts(Stage::Suspected).await;
        rig.pass(Span::seconds(6)).await;

        assert!(rig.done(System::Okta, "sessions revoked") >= PEOPLE, "{:#?}", rig.stands());
        assert_eq!(rig.done(System::Servicenow, "ticket opened"), PEOPLE);
        assert!(
            rig.runs().iter().all(|r| !r.status.ended()),
            "Entra's accounts are still looked for"
        );
    });
}

#[test]
fn a_connection_that_comes_back_is_looked_up_and_contained_and_a_restart_forgets_nothing() {
    in_one_runtime(async {
        let mut rig = rig().await;
        rig.breaks(System::Graph, Fault::Unreachable);
        rig.alerts(Stage::Suspected).await;
        rig.pass(Span::minutes(2)).await;
        rig.come_back().await;
        rig.pass(Span::minutes(2)).await;
        assert_eq!(rig.done(System::Graph, "sessions revoked"), 0);

        rig.lab.clear_faults();
        rig.pass(Span::minutes(5)).await;

        assert!(rig.done(System::Graph, "sessions revoked") >= PEOPLE, "{:#?}", rig.stands());
        let ended = rig.runs().iter().all(|r| r.status == RunStatus::Succeeded);
        assert!(ended, "{:#?}", rig.stands());
    });
}

#[test]
fn a_dead_vendors_breaker_opens_is_seen_and_closes_when_it_answers() {
    in_one_runtime(async {
        let rig = rig().await;
        rig.alerts(Stage::Suspected).await;
        rig.pass(Span::minutes(2)).await;
        rig.breaks(System::Graph, Fault::Unreachable);

        rig.alerts(Stage::Confirmed).await;
        rig.pass(Span::minutes(4)).await;
        assert_eq!(rig.standing("entra"), Standing::NotAnswering);
        assert_eq!(rig.standing("okta"), Standing::Answering);
        let refused = rig.lab.oracle().calls.iter().filter(|c| c.fault.is_some()).count();
        assert!(refused < 60, "{refused} calls to a system that is known not to answer");
        rig.lab.clear_faults();
        rig.pass(Span::minutes(3)).await;

        assert_eq!(rig.standing("entra"), Standing::Answering);
        assert_eq!(rig.done(System::Graph, "blocked"), PEOPLE, "{:#?}", rig.stands());
        let ended = rig.runs().iter().all(|r| r.status == RunStatus::Succeeded);
        assert!(ended, "{:#?}", rig.stands());
    });
}

#[test]
#[expect(clippy::print_stdout, reason = "figures of `tests/run load`")]
fn an_hour_of_429_uses_up_no_attempt_drops_nothing_and_parks_with_a_name_what_is_late() {
    in_one_runtime(async {
        let rig = rig().await;
        rig.alerts(Stage::Suspected).await;
        rig.pass(Span::minutes(2)).await;
        let before = rig.lab.oracle().calls.len();
        rig.breaks(System::Okta, Fault::Throttle { retry_after: Some(10) });

        rig.alerts(Stage::Confirmed).await;
        rig.pass(Span::minutes(10)).await;
        assert_eq!(rig.standing("okta"), Standing::AskedToWait);
        assert_eq!(rig.standing("entra"), Standing::Answering);
        rig.pass(Span::minutes(50)).await;

        assert_eq!(rig.done(System::Graph, "blocked"), PEOPLE, "{:#?}", rig.stands());
        let oracle = rig.lab.oracle();
        let told = oracle.calls[before..].iter().filter(|c| c.system == System::Okta).count();
        println!("an hour of 429 with `Retry-After: 10`: {told} calls; everything else was done");
        assert!(told <= 60 * 6, "{told} calls: one probe for each time that it asked to wait");
        let most = most_attempts(&rig).await;
        assert!(most > 8, "{most} attempts: to be told to come back uses none up");
        assert!(rig.all_named(), "{:#?}", rig.stands());
        let parked = parked(&rig);
        println!(
            "{} steps had begun and are parked by their deadline: {:?}",
            parked.len(),
            parked[0]
        );
        assert!(parked.iter().all(|problem| problem.contains("429")), "{parked:?}");

        rig.lab.clear_faults();
        for run in rig.runs().iter().filter(|r| r.waiting_on == Some(WaitingOn::Operator)) {
            rig.engine.resume(run.id, "olga").await.unwrap();
        }
        rig.pass(Span::minutes(5)).await;

        assert_eq!(rig.done(System::Okta, "blocked"), PEOPLE, "{:#?}", rig.stands());
        let ended = rig.runs().iter().all(|r| r.status == RunStatus::Succeeded);
        assert!(ended, "{:#?}", rig.stands());
    });
}

/// The highest number of an attempt on Okta.
async fn most_attempts(rig: &Rig) -> u32 {
    let journal = rig.journal().await;
    let attempts = journal.iter().flat_map(|c| &c.entries).filter_map(|entry| match entry {
        Entry::StepIntent(i) if i.call.connection.as_str() == "okta" => Some(i.attempt),
        _ => None,
    });
    attempts.max().unwrap_or_default()
}

fn parked(rig: &Rig) -> Vec<String> {
    let runs = rig.runs();
    let cells = runs.iter().flat_map(|r| r.cells.values());
    let parked = cells.filter_map(|c| match &c.state {
        CellState::Parked { problem } => Some(problem.clone()),
        _ => None,
    });
    parked.collect()
}
