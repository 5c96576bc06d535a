//! Asking the person concerned: what each answer does, what silence does, and what none of them does.

use super::{OLGA, Sim};
use crate::engine::people::Refusal;
use crate::engine::policy::Policy;
use crate::engine::state::State;
use crate::model::asked::{Channel, Reply};
use crate::model::entry::Entry;
use crate::model::id::IncidentId;
use crate::model::incident::{IncidentStatus, Severity, Stage};
use crate::model::plan::Mode;
use crate::model::time::Span;

const DANA: &str = "dana@example.com";

async fn suspected(seed: u64) -> (Sim, IncidentId) {
    let every =
        Policy { mode: Mode::Auto, ask_through: Channel::ALL.to_vec(), ..Policy::default() };
    let sim = Sim::with(seed, every).await;
    sim.alert(DANA, Stage::Suspected).await.unwrap();
    sim.pass(Span::seconds(60)).await;
    let incident = sim.incident().id;
    (sim, incident)
}

async fn ask(sim: &Sim, incident: IncidentId, hash: &str) -> Result<(), Refusal> {
    let over = (Channel::Telephone, "");
    sim.engine.ask_person(incident, hash.to_owned(), OLGA, over).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn silence_says_nothing_and_is_written_down_even_after_a_crash() {
    let (mut sim, incident) = suspected(91).await;
    ask(&sim, incident, "h1").await.unwrap();
    let before = sim.incident();

    sim.pass(Span::minutes(30)).await;
    sim.crash();
    sim.pass(Span::minutes(31)).await;

    let after = sim.incident();
    assert!(after.asked[0].closed && after.asked[0].reply.is_none(), "{:?}", after.asked);
    assert_eq!(
        (after.stage, after.severity, after.status),
        (before.stage, before.severity, before.status)
    );
    let late = sim.engine.answer_asked("h1", Reply::Yes).await;
    assert!(matches!(late, Err(Refusal::Missing(_))), "{late:?}");
    assert!(sim.engine.read(|core| core.state.asks.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_no_raises_and_asks_but_locks_nobody_out_by_itself() {
    let (sim, incident) = suspected(92).await;
    ask(&sim, incident, "h1").await.unwrap();

    sim.engine.answer_asked("h1", Reply::No).await.unwrap();
    sim.pass(Span::minutes(2)).await;

    let case = sim.incident();
    assert_eq!((case.stage, case.counts.reports), (Stage::Confirmed, 1));
    assert!(sim.pending().is_some(), "people decide about block and reset");
    assert_eq!((sim.world.did("idp/block"), sim.world.did("idp/reset")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_yes_lowers_the_severity_until_the_next_evidence_and_closes_nothing() {
    let (sim, incident) = suspected(93).await;
    assert_eq!(sim.incident().severity, Severity::Medium);
    ask(&sim, incident, "h1").await.unwrap();
    ask(&sim, incident, "h2").await.unwrap();

    sim.pass(Span::minutes(20)).await;
    sim.engine.answer_asked("h1", Reply::Yes).await.unwrap();
    sim.engine.answer_asked("h2", Reply::Yes).await.unwrap();
    let again = sim.engine.answer_asked("h1", Reply::No).await;

    assert!(again.is_err(), "a link answers once");
    let case = sim.incident();
    assert_eq!((case.severity, case.stage), (Severity::Low, Stage::Suspected));
    assert_ne!(case.status, IncidentStatus::Closed);
    assert!(
        case.watch_until >= sim.engine.now() + Span::hours(24).delta() - Span::seconds(1).delta()
    );
    sim.alert(DANA, Stage::Confirmed).await.unwrap();
    assert_eq!(sim.incident().severity, Severity::High);
}

/// Whoever was let in would say yes as well.
#[tokio::test(start_paused = true)]
async fn after_an_approved_prompt_a_yes_changes_nothing() {
    let (sim, incident) = suspected(94).await;
    sim.hostile_approval(&sim.incident()).await;
    sim.pass(Span::seconds(30)).await;
    ask(&sim, incident, "h1").await.unwrap();
    let before = sim.incident();

    sim.engine.answer_asked("h1", Reply::Yes).await.unwrap();

    let after = sim.incident();
    assert_eq!((after.severity, after.stage), (before.severity, before.stage));
    assert_eq!(after.watch_until, before.watch_until);
    assert_eq!(after.asked[0].reply, Some(Reply::Yes));
}

#[tokio::test(start_paused = true)]
async fn the_person_is_never_asked_where_the_attacker_may_read() {
    let (sim, incident) = suspected(95).await;
    let over = async |channel, to: &str| {
        sim.engine.ask_person(incident, format!("h{to}"), OLGA, (channel, to)).await
    };

    for to in ["", DANA, " Dana@Example.com ", "mum@example.com", "slack: dana@example.com"] {
        for channel in [Channel::OtherMail, Channel::OtherChat] {
            assert!(over(channel, to).await.is_err(), "{channel:?} {to}");
        }
    }
    assert!(over(Channel::OtherMail, "dana@home.example").await.is_ok());
    let own = sim.engine.ask_person(incident, "h".into(), DANA, (Channel::Telephone, "")).await;
    assert!(matches!(own, Err(Refusal::Barred(_))), "nobody asks themselves: {own:?}");
    for n in 0..2 {
        ask(&sim, incident, &format!("more{n}")).await.unwrap();
    }
    assert!(ask(&sim, incident, "one too many").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_policy_does_not_name_is_refused() {
    let sim = Sim::new(96, Mode::Approve).await;
    sim.alert(DANA, Stage::Suspected).await.unwrap();
    let over = (Channel::OtherMail, "dana@home.example");

    let refused = sim.engine.ask_person(sim.incident().id, "h".into(), OLGA, over).await;

    assert!(refused.is_err());
    assert!(sim.engine.read(|core| core.state.asks.is_empty()));
}

/// A link must open after a restart from rows, and behind a pruned journal.
#[tokio::test(start_paused = true)]
async fn open_links_outlive_restart_and_pruning() {
    let (sim, incident) = suspected(97).await;
    ask(&sim, incident, "h1").await.unwrap();
    let mut state = State::default();
    for commit in sim.store.written() {
        state.apply(&commit);
    }

    let rows = state.all_rows();
    let indexed = State::from_rows(state.seq, rows.clone()).unwrap();
    let mut behind = State::default();
    behind.apply_entry(sim.engine.now(), &Entry::Snapshot { rows: state.common_rows() });

    assert!(rows.contains_key("ask/h1"));
    assert_eq!(indexed.asks, state.asks);
    assert_eq!(behind.asks, state.asks);
    assert!(state.busy().contains(&incident), "whoever is asked is not put away");
}
