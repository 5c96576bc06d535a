//! More to do than can be done at once: who goes first, and that nobody is forgotten.

use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{Sim, describe, ended};
use crate::engine::decide::{Busy as _, Lane};
use crate::engine::driver::Desk;
use crate::engine::state::{DeliveryKey, State};
use crate::model::action::Rank;
use crate::model::entry::{Commit, DeliveryAccepted, Entry};
use crate::model::id::{ConnectionId, ReceiptId, RunId};
use crate::model::incident::{Severity, Stage};
use crate::model::plan::Mode;
use crate::model::run::CellKey;
use crate::model::time::{Span, Time};

const SEVERITIES: [Severity; 4] =
    [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
const RANKS: [Rank; 5] = [Rank::Contain, Rank::Restore, Rank::Record, Rank::Read, Rank::Notify];

fn run(n: usize) -> RunId {
    RunId(uuid::Uuid::from_u128(u128::try_from(n).unwrap()))
}

fn cell() -> CellKey {
    CellKey { step: "act".into(), item: String::new() }
}

fn wants(rank: Rank) -> BTreeMap<ConnectionId, Rank> {
    BTreeMap::from([("idp".into(), rank)])
}

proptest! {
    /// Whoever comes in whatever order: the most urgent is next, then what contains, then who came first.
    #[test]
    fn the_urgent_one_is_always_next(coming in prop::collection::vec((0..4_usize, 0..5_usize), 1..60)) {
        let lane: ConnectionId = "idp".into();
        let mut desk = Desk::default();
        desk.begin(run(0), &cell(), &lane, None, 1);
        let mut expected = Vec::new();
        for (n, (severity, rank)) in coming.into_iter().enumerate() {
            let (severity, rank) = (SEVERITIES[severity], RANKS[rank]);
            desk.wait_for_lanes(run(n + 1), severity, &wants(rank), |_| 1);
            expected.push((Reverse(severity), rank, n + 1));
        }
        expected.sort();
        prop_assert_eq!(desk.next(&lane, &BTreeSet::new()), None, "it is full");
        let waiting: usize = desk.depths().values().sum();
        prop_assert_eq!(waiting, expected.len());

        let mut before = run(0);
        for (_, _, n) in expected {
            desk.end(before, &cell(), &lane);
            prop_assert_eq!(desk.next(&lane, &BTreeSet::new()), Some(run(n)));
            prop_assert_eq!(desk.lane(&lane), Lane::Full, "nobody passes those who wait");
            desk.leave(run(n));
            desk.begin(run(n), &cell(), &lane, None, 1);
            before = run(n);
        }
        prop_assert_eq!(desk.depths().values().sum::<usize>(), 0);
    }
}

#[test]
fn a_run_whose_incident_rises_moves_up_and_one_that_no_longer_waits_is_not_counted() {
    let lane: ConnectionId = "idp".into();
    let mut desk = Desk::default();
    desk.begin(run(0), &cell(), &lane, None, 1);
    desk.wait_for_lanes(run(1), Severity::High, &wants(Rank::Contain), |_| 1);
    desk.wait_for_lanes(run(2), Severity::Low, &wants(Rank::Contain), |_| 1);

    desk.wait_for_lanes(run(2), Severity::Critical, &wants(Rank::Contain), |_| 1);
    desk.end(run(0), &cell(), &lane);

    assert_eq!(desk.next(&lane, &BTreeSet::new()), Some(run(2)));
    assert_eq!(desk.depths()[&Severity::Critical], 1);
    assert_eq!(desk.depths()[&Severity::Low], 0);
    desk.wait_for_lanes(run(2), Severity::Critical, &BTreeMap::new(), |_| 1);
    assert_eq!(desk.depths()[&Severity::Critical], 0);
}

#[tokio::test(start_paused = true)]
#[expect(clippy::print_stdout, reason = "a figure of `tests/run load`")]
async fn an_urgent_incident_overtakes_a_hundred_that_came_before_it() {
    let sim = Sim::new(1, Mode::Auto).await;
    for n in 0..100 {
        sim.alert(&format!("p{n}"), Stage::Suspected).await.unwrap();
    }
    sim.pass(Span::seconds(2)).await;
    let waiting: usize = sim.engine.read(|core| core.desk.depths().values().sum());
    assert!(waiting > 50, "the lane is full: {waiting} wait");

    sim.world.privileged("vip");
    sim.alert("vip", Stage::Confirmed).await.unwrap();
    sim.pass(Span::minutes(10)).await;

    let journal = sim.store.written();
    let entries: Vec<&Entry> = journal.iter().flat_map(|commit| &commit.entries).collect();
    let vip = sim.runs().iter().max_by_key(|r| r.started_at).unwrap().id;
    let begun = |entry: &&Entry| match entry {
        Entry::StepIntent(i) if i.call.connection.as_str() == "idp" => Some(i.run),
        _ => None,
    };
    let known = |e: &&Entry| matches!(e, Entry::SubjectResolved { name, .. } if name == "vip");
    let known = entries.iter().position(known).unwrap();
    let order: Vec<RunId> = entries[known..].iter().filter_map(begun).take(5).collect();
    println!("urgent: {waiting} runs waited; the next calls that began were of {order:?}");
    assert_eq!(order[0], vip, "the first call that began once its account was known");
    for run in sim.runs().iter().filter(|r| !ended(r)) {
        assert!(run.waiting_on.is_some(), "{}", describe(run));
    }
    assert!(sim.runs().iter().filter(|r| ended(r)).count() >= 100);
    assert_eq!(sim.engine.read(|core| core.desk.depths().values().sum::<usize>()), 0);
}

#[test]
fn the_oldest_remembered_delivery_is_forgotten_when_there_are_too_many() {
    let mut state = State::default();
    let delivered = |n: u64| Commit {
        seq: n,
        at: Time::UNIX_EPOCH,
        entries: vec![Entry::DeliveryAccepted(DeliveryAccepted {
            receipt: ReceiptId(uuid::Uuid::nil()),
            source: "siem".into(),
            delivery: n.to_string(),
            answer: serde_json::Value::Null,
        })],
    };

    for n in 1..=100_010 {
        state.apply(&delivered(n));
        drop(state.take_changes());
    }

    assert_eq!(state.deliveries.len(), 100_000);
    assert!(state.deliveries.get(DeliveryKey::new("siem", "10")).is_none());
    assert!(state.deliveries.get(DeliveryKey::new("siem", "11")).is_some());
}
