//! Blocks in the engine: `parallel`, `switch`, `call` and `finally`, each under waiting, refusal and death.

use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::world::Fault;
use super::{Sim, describe, in_virtual_time, playbook};
use crate::model::approval::Decision;
use crate::model::entry::Entry;
use crate::model::incident::{IncidentStatus, Stage};
use crate::model::plan::{Block, Does, Form, Mode, OnError, Place, Plan, PlanStep, Within};
use crate::model::run::{Conclusion, Run, RunStatus, WaitingOn};
use crate::model::subject::{AccountKey, Alias};
use crate::model::time::Span;

fn within(block: &str, branch: &str) -> Place {
    let branch = (!branch.is_empty()).then(|| branch.to_owned());
    Place { within: Some(Within { block: block.to_owned(), branch }), finally: false }
}

fn at_last() -> Place {
    Place { within: None, finally: true }
}

fn act(id: &str, name: &str, place: Place) -> PlanStep {
    let name = format!("identity.{name}");
    let like = playbook().steps.swap_remove(1);
    PlanStep {
        id: id.into(),
        does: Does::Use { name, connection: None, with: BTreeMap::new() },
        place,
        ..like
    }
}

fn ticket(id: &str, title: &str, place: Place) -> PlanStep {
    let with = BTreeMap::from([("title".to_owned(), json!(title))]);
    let does = Does::Use { name: "ticket.open".into(), connection: None, with };
    PlanStep { does, for_each: None, ..act(id, "", place) }
}

fn pause(id: &str, seconds: i64, place: Place) -> PlanStep {
    PlanStep { does: Does::Wait(Span::seconds(seconds)), ..ticket(id, "", place) }
}

fn after(step: PlanStep, ids: &[&str]) -> PlanStep {
    PlanStep { after: ids.iter().map(|id| (*id).to_owned()).collect(), ..step }
}

/// A last step that only runs if another came to this.
fn if_it(step: PlanStep, other: &str, conclusion: &str) -> PlanStep {
    let when = Some(format!("steps.{other}.conclusion == '{conclusion}'"));
    PlanStep { when, reads: vec![other.to_owned()], ..step }
}

fn block(id: &str, place: Place, form: Form) -> Block {
    Block { id: id.into(), place, form, when: None, after: Vec::new(), reads: Vec::new() }
}

fn parallel(id: &str, branches: [&str; 2]) -> Block {
    let branches = branches.map(str::to_owned).to_vec();
    block(id, Place::default(), Form::Parallel { branches })
}

fn switch(id: &str, place: Place, on: &str, cases: &[&str]) -> Block {
    let cases = cases.iter().map(|case| (*case).to_owned()).collect();
    block(id, place, Form::Switch { on: on.to_owned(), cases })
}

fn call(id: &str, inputs: &[(&str, &str)], mode: Option<Mode>) -> Block {
    let inputs = inputs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    block(id, Place::default(), Form::Call { playbook: "called".into(), inputs, mode })
}

async fn publish(sim: &Sim, blocks: Vec<Block>, steps: Vec<PlanStep>) {
    let plan = Plan { name: "a-first".into(), blocks, steps, ..playbook() };
    sim.engine.publish(plan, "plan-2".into(), String::new(), "test", String::new()).await.unwrap();
}

fn ends(run: &Run, step: &str) -> Vec<Option<Conclusion>> {
    let cells = run.cells().filter(|cell| cell.key.step.step() == step);
    cells.map(crate::model::run::Cell::conclusion).collect()
}

fn tickets(sim: &Sim) -> usize {
    sim.world.tickets.lock().unwrap().len()
}

const DONE: Option<Conclusion> = Some(Conclusion::Succeeded);
const SKIPPED: Option<Conclusion> = Some(Conclusion::Skipped);

#[tokio::test(start_paused = true)]
async fn a_branch_that_waits_holds_back_no_other_and_what_follows_waits_for_all() {
    let sim = Sim::new(101, Mode::Auto).await;
    let steps = vec![
        pause("rest", 60, within("both", "slow")),
        after(act("slowly", "revoke_sessions", within("both", "slow")), &["rest"]),
        act("quickly", "revoke_sessions", within("both", "quick")),
        act("same_account", "revoke_sessions", Place::default()),
        after(ticket("told", "x", Place::default()), &["both"]),
    ];
    publish(&sim, vec![parallel("both", ["slow", "quick"])], steps).await;

    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    assert_eq!(sim.world.did("idp/revoke"), 1, "{}", describe(&sim.runs()[0]));
    assert_eq!(ends(&sim.runs()[0], "quickly"), [DONE]);
    assert_eq!(tickets(&sim), 0);
    sim.pass(Span::seconds(60)).await;

    assert_eq!((sim.world.did("idp/revoke"), tickets(&sim)), (3, 1));
    assert_eq!(sim.runs()[0].status, RunStatus::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_block_waits_for_accounts_that_are_not_known_yet() {
    let sim = Sim::new(102, Mode::Auto).await;
    let later = PlanStep {
        reads: vec!["rest".into()],
        when: Some("steps.rest.conclusion == 'succeeded'".into()),
        ..act("slowly", "revoke_sessions", within("both", "slow"))
    };
    let steps = vec![
        pause("rest", 60, within("both", "slow")),
        later,
        act("quickly", "revoke_sessions", within("both", "quick")),
        act("same_account", "reset_credentials", Place::default()),
    ];
    publish(&sim, vec![parallel("both", ["slow", "quick"])], steps).await;

    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    assert_eq!((sim.world.did("idp/revoke"), sim.world.did("idp/reset")), (1, 0));
    sim.answer(Decision::Approve).await;
    sim.pass(Span::seconds(90)).await;

    assert_eq!((sim.world.did("idp/revoke"), sim.world.did("idp/reset")), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_one_branch_stops_that_branch_and_what_follows_not_the_other() {
    let sim = Sim::new(103, Mode::Auto).await;
    let stopping = PlanStep {
        on_error: OnError::Stop,
        ..act("first", "revoke_sessions", within("both", "one"))
    };
    let steps = vec![
        stopping,
        after(ticket("one_more", "x", within("both", "one")), &["first"]),
        pause("rest", 20, within("both", "two")),
        after(ticket("two_more", "x", within("both", "two")), &["rest"]),
        after(ticket("behind", "x", Place::default()), &["both"]),
        if_it(ticket("outcome", "x", at_last()), "behind", "skipped"),
    ];
    publish(&sim, vec![parallel("both", ["one", "two"])], steps).await;
    *sim.world.script.lock().unwrap() = vec![Fault::Forbidden];

    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::minutes(2)).await;

    let run = &sim.runs()[0];
    let got = ["one_more", "two_more", "behind", "outcome"].map(|step| ends(run, step));
    assert_eq!(got, [vec![SKIPPED], vec![DONE], vec![SKIPPED], vec![DONE]], "{}", describe(run));
}

fn by_stage() -> (Vec<Block>, Vec<PlanStep>) {
    let blocks = vec![switch("by_stage", Place::default(), "incident.stage", &["breached"])];
    let steps = vec![
        act("block", "block_sign_in", within("by_stage", "breached")),
        act("revoke", "revoke_sessions", within("by_stage", "")),
        if_it(
            ticket("outcome", "{{ steps.by_stage.conclusion }}", at_last()),
            "block",
            "succeeded",
        ),
    ];
    (blocks, steps)
}

#[tokio::test(start_paused = true)]
async fn one_case_is_taken_and_a_rise_takes_another() {
    let sim = Sim::new(104, Mode::Auto).await;
    let (blocks, steps) = by_stage();
    publish(&sim, blocks, steps).await;
    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    let first = &sim.runs()[0];
    assert_eq!(ends(first, "block"), [SKIPPED], "{}", describe(first));
    assert_eq!((sim.world.did("idp/revoke"), tickets(&sim)), (1, 0));
    assert_eq!(sim.incident().status, IncidentStatus::Contained);

    sim.hostile_approval(&sim.incident()).await;
    sim.pass(Span::minutes(1)).await;

    let runs = sim.runs();
    assert_eq!(runs.len(), 2);
    assert_eq!(ends(&runs[1], "block"), [DONE], "{}", describe(&runs[1]));
    assert_eq!(ends(&runs[1], "revoke"), [SKIPPED], "{}", describe(&runs[1]));
    assert_eq!((sim.world.did("idp/block"), tickets(&sim)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_case_that_was_taken_stays_taken_in_a_live_run() {
    let sim = Sim::new(105, Mode::Auto).await;
    let steps = vec![
        pause("rest", 60, within("by_stage", "")),
        after(ticket("told", "x", within("by_stage", "")), &["rest"]),
        act("block", "block_sign_in", within("by_stage", "breached")),
    ];
    let blocks = vec![switch("by_stage", Place::default(), "incident.stage", &["breached"])];
    publish(&sim, blocks, steps).await;
    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::seconds(20)).await;

    sim.hostile_approval(&sim.incident()).await;
    sim.pass(Span::minutes(2)).await;

    let run = &sim.runs()[0];
    assert_eq!(run.rounds.len(), 1, "{}", describe(run));
    assert_eq!(ends(run, "told"), [DONE], "begun is brought to its end: {}", describe(run));
    assert_eq!(sim.world.did("idp/block"), 1);
    assert_eq!(run.status, RunStatus::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_cannot_be_evaluated_asks_and_never_skips() {
    let sim = Sim::new(106, Mode::Auto).await;
    let blocks = vec![switch("by_rule", Place::default(), "report.proof", &["relayed"])];
    let steps = vec![
        act("revoke", "revoke_sessions", within("by_rule", "relayed")),
        act("block", "block_sign_in", within("by_rule", "")),
        ticket("told", "x", within("by_rule", "")),
        if_it(ticket("outcome", "x", at_last()), "told", "failed"),
    ];
    publish(&sim, blocks, steps).await;

    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::minutes(2)).await;
    let run = sim.runs()[0].clone();
    assert_eq!(run.waiting_on, Some(WaitingOn::Operator), "{}", describe(&run));
    assert!(sim.world.log.lock().unwrap().is_empty(), "{}", describe(&run));
    assert_eq!(ends(&run, "told"), [Some(Conclusion::Failed)]);

    sim.engine.resume(run.id, "olga").await.unwrap();
    sim.pass(Span::minutes(1)).await;

    assert_eq!(sim.world.did("idp/revoke"), 1, "{}", describe(&sim.runs()[0]));
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_cannot_be_evaluated_keeps_every_item_back() {
    let sim = Sim::new(107, Mode::Auto).await;
    let broken = Some("report.proof == 'relayed'".to_owned());
    let step = PlanStep { when: broken, ..act("revoke", "revoke_sessions", Place::default()) };
    publish(&sim, Vec::new(), vec![step]).await;

    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::minutes(1)).await;

    assert_eq!(sim.world.did("idp/revoke"), 0, "{}", describe(&sim.runs()[0]));
    assert_eq!(sim.runs()[0].waiting_on, Some(WaitingOn::Operator));
}

#[tokio::test(start_paused = true)]
async fn called_steps_see_their_own_names_and_are_no_freer_than_their_playbook() {
    let sim = Sim::new(108, Mode::Auto).await;
    let named = PlanStep {
        when: Some("inputs.who == 'dana' and steps.rest.conclusion == 'succeeded'".into()),
        reads: vec!["calm/rest".into()],
        ..ticket("calm/named", "{{ inputs.who }}", within("calm", ""))
    };
    let steps = vec![
        pause("rest", 1, Place::default()),
        pause("calm/rest", 10, within("calm", "")),
        named,
        act("strict/revoke", "revoke_sessions", within("strict", "")),
        after(act("last", "revoke_sessions", Place::default()), &["calm", "strict"]),
    ];
    let calm = call("calm", &[("who", "{{ subject.name }}")], None);
    publish(&sim, vec![calm, call("strict", &[], Some(Mode::Observe))], steps).await;

    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::minutes(1)).await;

    let run = &sim.runs()[0];
    assert_eq!(ends(run, "calm/named"), [DONE], "{}", describe(run));
    assert_eq!(ends(run, "strict/revoke"), [SKIPPED], "observed only: {}", describe(run));
    assert_eq!(sim.world.did("idp/revoke"), 1);
    assert_eq!(run.status, RunStatus::Succeeded);
}

/// An alert alone says `confirmed` at most.
const LOCKS_OUT: &str = "'breached' if incident.stage in ['confirmed', 'breached'] else 'less'";

/// All four forms around one block that is asked about.
fn story() -> (Vec<Block>, Vec<PlanStep>) {
    let blocks = vec![
        parallel("answer", ["contain", "tell"]),
        switch("by_stage", within("answer", "contain"), LOCKS_OUT, &["breached"]),
        Block {
            after: vec!["answer".into()],
            ..call("again", &[("t", "{{ subject.name }}")], None)
        },
    ];
    let says = PlanStep {
        reads: vec!["block".into()],
        ..ticket("outcome", "block: {{ steps.block.conclusion }}", at_last())
    };
    let steps = vec![
        ticket("open", "x", Place::default()),
        act("block", "block_sign_in", within("by_stage", "breached")),
        after(act("reset", "reset_credentials", within("by_stage", "breached")), &["block"]),
        act("revoke", "revoke_sessions", within("by_stage", "")),
        pause("rest", 5, within("answer", "tell")),
        after(ticket("told", "x", within("answer", "tell")), &["rest"]),
        act("again/revoke", "revoke_sessions", within("again", "")),
        ticket("again/note", "{{ inputs.t }}", within("again", "")),
        says,
    ];
    (blocks, steps)
}

async fn asked(seed: u64) -> Sim {
    let sim = Sim::new(seed, Mode::Approve).await;
    let (blocks, mut steps) = story();
    let why = ["denied", "expired", "failed", "refused"];
    steps.extend(why.map(|c| if_it(ticket(&format!("was_{c}"), "x", at_last()), "block", c)));
    publish(&sim, blocks, steps).await;
    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(20)).await;
    assert!(sim.pending().is_some(), "{}", describe(&sim.runs()[0]));
    assert_eq!(sim.pending().unwrap().items.len(), 2, "block and reset are one question");
    assert_eq!(ends(&sim.runs()[0], "told"), [DONE], "the other branch waits for nobody");
    assert!(ends(&sim.runs()[0], "outcome").is_empty());
    sim
}

#[tokio::test(start_paused = true)]
async fn the_last_steps_come_after_a_denial_or_silence_and_see_it() {
    let (denied, unheard) = (asked(109).await, asked(110).await);

    denied.answer(Decision::Deny).await;
    unheard.pass(Span::minutes(45)).await;

    for (sim, told) in [(denied, "was_denied"), (unheard, "was_expired")] {
        let run = &sim.runs()[0];
        assert_eq!(ends(run, told), [DONE], "{}", describe(run));
        assert_eq!(ends(run, "was_failed"), [SKIPPED]);
        assert_eq!((sim.world.did("idp/block"), sim.world.did("idp/revoke")), (0, 1));
        assert_eq!(sim.incident().status, IncidentStatus::Open);
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_steps_come_after_a_failure_and_see_it() {
    let sim = asked(111).await;
    *sim.world.script.lock().unwrap() = vec![Fault::Forbidden];

    sim.answer(Decision::Approve).await;
    sim.pass(Span::minutes(1)).await;

    let run = &sim.runs()[0];
    assert_eq!(ends(run, "was_failed"), [DONE], "{}", describe(run));
    assert_eq!(ends(run, "outcome"), [DONE]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_the_last_steps_too() {
    let sim = asked(112).await;
    sim.engine.pause(true, "olga", "drill").await.unwrap();

    sim.answer(Decision::Deny).await;
    sim.pass(Span::minutes(5)).await;
    assert!(ends(&sim.runs()[0], "outcome").iter().all(|end| *end != DONE));
    sim.engine.pause(false, "olga", "over").await.unwrap();
    sim.pass(Span::minutes(1)).await;

    assert_eq!(ends(&sim.runs()[0], "outcome"), [DONE], "{}", describe(&sim.runs()[0]));
}

#[tokio::test(start_paused = true)]
async fn a_quarantined_run_has_no_last_steps() {
    let sim = asked(113).await;
    let before = tickets(&sim);
    let (run, incident) = (sim.runs()[0].id, sim.incident().id);
    let crashes = |tx: &mut crate::engine::driver::Tx<'_>| {
        (0..3).for_each(|_| tx.push(Entry::RunCrashed { run, incident }));
    };
    sim.engine.commit(crashes).await.unwrap();

    // Nothing is sent for either, so that the count of deaths stands.
    sim.engine.pause(true, "olga", "drill").await.unwrap();
    sim.answer(Decision::Deny).await;
    sim.pass(Span::minutes(1)).await;

    let run = &sim.runs()[0];
    assert!(ends(run, "outcome").iter().all(|end| *end == SKIPPED), "{}", describe(run));
    assert_eq!(tickets(&sim), before);
}

/// A second name turns out to be the same person: the younger run gives way to the older one.
#[tokio::test(start_paused = true)]
async fn a_cancelled_run_leaves_out_what_it_had_not_begun_and_ends_with_its_last_steps() {
    let sim = Sim::new(114, Mode::Auto).await;
    let (blocks, steps) = story();
    publish(&sim, blocks, steps).await;
    sim.alert("older", Stage::Suspected).await.unwrap();
    sim.pass(Span::minutes(1)).await;
    let older = sim.incident().subject;
    let key = AccountKey { connection: "idp".into(), provider_id: "u-dana".into() };
    sim.engine
        .commit(|tx| {
            let mut subject = tx.core.state.subject(older).cloned().unwrap();
            subject.aliases.push(Alias::account(&key));
            tx.push(Entry::SubjectCreated { subject: Box::new(subject) });
        })
        .await
        .unwrap();

    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::minutes(2)).await;

    let runs = sim.runs();
    let cancelled = runs.iter().find(|run| run.cancelled).unwrap();
    assert_eq!(cancelled.status, RunStatus::Cancelled, "{}", describe(cancelled));
    assert_eq!(ends(cancelled, "block"), [SKIPPED], "{}", describe(cancelled));
    assert_eq!(ends(cancelled, "outcome"), [DONE], "{}", describe(cancelled));
}

async fn live(sim: &mut Sim, seconds: u32) {
    for _ in 0..seconds {
        sim.pass(Span::seconds(1)).await;
        if sim.is_dead() {
            sim.crash();
        }
    }
}

/// Suspected, then let in: every form is walked twice.
async fn whole_story(sim: &mut Sim) {
    let five = std::time::Duration::from_secs(5);
    for _ in 0..3 {
        let alerted = sim.alert("dana", Stage::Suspected);
        let told = tokio::time::timeout(five, alerted).await.is_ok();
        if sim.is_dead() {
            sim.crash();
        } else if told {
            break;
        }
    }
    live(sim, 60).await;
    while sim.incident().stage != Stage::Breached {
        let incident = sim.incident();
        let raised = sim.hostile_approval(&incident);
        _ = tokio::time::timeout(five, raised).await;
        if sim.is_dead() {
            sim.crash();
        }
    }
    live(sim, 90).await;
}

fn run(what: &str, n: u64, set: impl Fn(&Sim, u64)) -> u64 {
    in_virtual_time(async {
        let mut sim = Sim::new(n, Mode::Auto).await;
        let (blocks, steps) = story();
        publish(&sim, blocks, steps).await;
        let begun = sim.store.written().len() as u64;
        set(&sim, begun);
        whole_story(&mut sim).await;
        let runs: Vec<String> = sim.runs().iter().map(describe).collect();
        let told = format!("{what} {n}: {}", runs.join("\n"));
        assert!(sim.runs().iter().all(|run| run.status == RunStatus::Succeeded), "{told}");
        assert_eq!(sim.incident().status, IncidentStatus::Contained, "{told}");
        assert_eq!((sim.world.did("idp/block"), sim.world.did("idp/reset")), (1, 1), "{told}");
        // Opened, told, noted, and what came of it after each of the two rounds.
        assert_eq!(tickets(&sim), 5, "{told}");
        sim.store.written().len() as u64 - begun
    })
}

#[test]
fn a_crash_anywhere_in_a_story_with_every_form_changes_nothing_that_matters() {
    let commits = run("no crash", 1, |_, _| {});
    for n in 1..=commits {
        run("crash after commit", n, |sim, begun| {
            sim.store.crash_at.store(begun + n, Ordering::SeqCst);
        });
    }
    for n in 1..=10 {
        run("crash in effect", n, |sim, _| sim.world.crash_in.store(n, Ordering::SeqCst));
    }
}
