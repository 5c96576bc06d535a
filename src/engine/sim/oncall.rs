//! To whom questions are put, and what silence means where nobody could be told.

use super::{OLGA, PETE, Sim, describe, person};
use crate::approval::rota::{Heard, Options};
use crate::engine::policy::{OnCall, Policy};
use crate::engine::state::State;
use crate::model::approval::{Approval, ApprovalState, Asks, Decision};
use crate::model::entry::{Commit, Entry, PersonEnrolled};
use crate::model::incident::Stage;
use crate::model::notice::{About, Did, Fact, Told, Topic};
use crate::model::oncall::{Addressed, Level, Named};
use crate::model::plan::{AskRule, Mode, OnTimeout};
use crate::model::time::Span;

const LEA: &str = "lea.lead";

fn policy(mode: Mode, shifts: &[(&str, &str)]) -> Policy {
    let mut text = "calendars.x.zone='Europe/Berlin'\n".to_owned();
    for (level, name) in shifts {
        let shift = format!("[[shifts]]\nlevel='{level}'\ncalendar='x'\npeople=['{name}']\n");
        text.push_str(&shift);
    }
    let options: Options = toml::from_str(&text).unwrap();
    let (rota, problems) = options.read();
    assert_eq!(problems, []);
    Policy { mode, oncall: OnCall { rota, ..OnCall::default() }, ..Policy::default() }
}

fn three(mode: Mode) -> Policy {
    policy(mode, &[("first", OLGA), ("second", PETE), ("lead", LEA)])
}

async fn enrol(sim: &Sim, name: &str, role: &str) {
    let enrolled = PersonEnrolled {
        person: person(name),
        name: name.into(),
        roles: vec![role.into()],
        passkey: serde_json::Value::Null,
        user_handle: uuid::Uuid::nil(),
        ticket: String::new(),
        enrolled_at: None,
    };
    let enrolled = Entry::PersonEnrolled(Box::new(enrolled));
    sim.engine.commit(|tx| tx.push(enrolled)).await.unwrap();
}

async fn sim(seed: u64, policy: Policy) -> Sim {
    let sim = Sim::with(seed, policy).await;
    enrol(&sim, LEA, "approver").await;
    sim
}

fn names(asked: &Addressed) -> Vec<&str> {
    asked.people.iter().map(|a| a.name.as_str()).collect()
}

/// Who was asked in turn, and whether everybody was besides.
fn turns(question: &Approval) -> Vec<(Vec<&str>, bool)> {
    question.addressed.iter().map(|asked| (names(asked), asked.everybody)).collect()
}

fn only(sim: &Sim) -> Approval {
    sim.engine.read(|core| core.state.approvals.values().next_back().cloned()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn silence_passes_a_question_on_level_by_level_and_at_the_last_to_everybody() {
    let sim = sim(61, three(Mode::Approve)).await;

    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    let asked = sim.pending().unwrap();
    assert_eq!(turns(&asked), [(vec![OLGA], false)]);
    assert_eq!(asked.addressed[0].until, asked.expires_at);
    sim.pass(Span::minutes(20)).await;
    assert_eq!(turns(&sim.pending().unwrap())[1..], [(vec![PETE], false)]);
    sim.pass(Span::minutes(20)).await;
    assert_eq!(turns(&sim.pending().unwrap())[2..], [(vec![LEA], true)]);
    sim.pass(Span::minutes(20)).await;

    assert!(sim.pending().is_none());
    assert_eq!(only(&sim).state, ApprovalState::Expired);
    assert_eq!(sim.world.did("idp/block"), 0, "three silences are no yes");
}

#[tokio::test(start_paused = true)]
async fn whoever_may_decide_may_although_somebody_else_is_asked() {
    let sim = sim(62, three(Mode::Approve)).await;
    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    let asked = sim.pending().unwrap();
    assert_eq!(turns(&asked), [(vec![OLGA], false)]);

    assert!(sim.answer_as(&asked, LEA, Decision::Approve).await);
}

#[tokio::test(start_paused = true)]
async fn whom_it_concerns_and_who_may_not_decide_are_passed_over() {
    let shifts = [("first", OLGA), ("second", "vera"), ("lead", PETE)];
    let sim = sim(63, policy(Mode::Approve, &shifts)).await;
    enrol(&sim, "vera", "viewer").await;

    sim.alert(OLGA, Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(30)).await;

    let asked = sim.pending().unwrap();
    assert_eq!(turns(&asked), [(vec![PETE], false)]);
    assert_eq!(asked.addressed[0].level, Some(Level::Lead));
}

#[tokio::test(start_paused = true)]
async fn whoever_started_it_is_passed_over() {
    let sim = sim(64, three(Mode::Approve)).await;
    let subject = sim.engine.subject_named("dana").await.unwrap();

    sim.engine.contain(subject, OLGA, "called").await.unwrap();
    sim.pass(Span::seconds(30)).await;

    let asked = sim.pending().unwrap();
    assert_eq!(turns(&asked), [(vec![PETE], false)]);
    assert!(!sim.answer_as(&asked, OLGA, Decision::Approve).await, "nor do they decide");
}

#[tokio::test(start_paused = true)]
async fn what_takes_two_people_is_put_to_as_many_levels_at_once() {
    let sim = sim(65, three(Mode::Approve)).await;
    sim.world.privileged("root");

    sim.alert("root", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(30)).await;

    let asked = sim.pending().unwrap();
    assert_eq!((asked.quorum, turns(&asked)), (2, vec![(vec![OLGA, PETE], false)]));
    assert_eq!(asked.addressed[0].level, Some(Level::Second));
    sim.pass(Span::minutes(20)).await;
    assert_eq!(turns(&sim.pending().unwrap())[1..], [(vec![LEA], true)]);
}

#[tokio::test(start_paused = true)]
async fn a_rota_that_nobody_of_can_answer_asks_everybody_at_once() {
    let sim = sim(66, policy(Mode::Approve, &[("first", "gone"), ("lead", "left")])).await;

    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(30)).await;

    assert_eq!(turns(&sim.pending().unwrap()), [(vec![], true)]);
}

#[tokio::test(start_paused = true)]
async fn what_ran_out_while_nothing_ran_begins_anew_with_the_first() {
    let mut sim = sim(67, three(Mode::Approve)).await;
    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::minutes(30)).await;
    assert_eq!(sim.pending().unwrap().escalations, 1);
    sim.kill();
    sim.pass(Span::hours(3)).await;

    sim.crash();
    sim.pass(Span::seconds(10)).await;

    let asked = sim.pending().unwrap();
    assert_eq!(turns(&asked)[2..], [(vec![OLGA], false)]);
    assert_eq!(asked.escalations, 0);
}

#[tokio::test(start_paused = true)]
async fn the_pager_says_who_is_first_until_it_falls_silent_and_never_who_leads() {
    let mut policy = three(Mode::Approve);
    policy.oncall.pager = Some("pd".into());
    let sim = sim(68, policy).await;
    let say = |level: Level, name: &str| {
        let (at, levels) = (sim.engine.now(), [(level, vec![name.to_owned()])].into());
        sim.engine.learn_roster(|roster| roster.hear(Heard { at, levels, unknown: 0 }));
    };
    say(Level::First, PETE);
    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    let asked = sim.pending().unwrap();
    assert_eq!(
        (turns(&asked)[0].clone(), asked.addressed[0].people[0].by),
        ((vec![PETE], false), Named::Pager)
    );

    // It names a stranger to the role as first, and itself as lead: neither is asked.
    sim.engine.learn_roster(|roster| {
        let levels =
            [(Level::First, vec!["mallory".into()]), (Level::Lead, vec!["mallory".into()])];
        roster.hear(Heard { at: sim.engine.now(), levels: levels.into(), unknown: 0 });
    });
    sim.alert("noa", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    assert_eq!(turns(&only(&sim)), [(vec![PETE], false)], "the next level of our own");
    sim.pass(Span::minutes(20)).await;
    assert_eq!(turns(&only(&sim))[1..], [(vec![LEA], true)]);

    // By now what it said is stale.
    sim.alert("tim", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    let asked = only(&sim);
    assert_eq!(
        (turns(&asked)[0].clone(), asked.addressed[0].people[0].by),
        ((vec![OLGA], false), Named::Rota)
    );
}

/// Revocation is asked about, and silence is to mean yes.
async fn by_silence(sim: &Sim) {
    let mut plan = super::playbook();
    plan.name = "a-first".into();
    let rule = AskRule { timeout: Span::minutes(5), on_timeout: OnTimeout::Approve, quorum: 0 };
    for step in plan.steps.iter_mut().filter(|s| s.id == "revoke") {
        step.approval = Some(rule.clone());
    }
    plan.steps.retain(|s| s.id == "revoke");
    sim.engine.publish(plan, "plan-2".into(), String::new(), "test", String::new()).await.unwrap();
}

async fn told(sim: &Sim, question: &Approval, problem: Option<&str>) {
    let told = Told {
        channel: "soc".into(),
        fact: Fact {
            topic: Topic::Approval,
            about: About::Question(question.id),
            incident: Some(question.incident),
            of: 1,
            at: question.opened_at,
            closed: false,
            detail: String::new(),
        },
        did: Did::Posted,
        message: None,
        instead_of: None,
        perhaps_again: false,
        problem: problem.map(str::to_owned),
        next: None,
        through: 1,
    };
    let entry = match problem {
        Some(_) => Entry::NoticeFailed(Box::new(told)),
        None => Entry::NoticeSent(Box::new(told)),
    };
    sim.engine.commit(|tx| tx.push(entry)).await.unwrap();
}

fn with_channels(mode: Mode) -> Policy {
    let mut policy = Policy { mode, ..Policy::default() };
    policy.oncall.channels = vec!["soc".into()];
    policy
}

#[tokio::test(start_paused = true)]
async fn silence_is_no_yes_before_somebody_was_told() {
    let sim = Sim::with(69, with_channels(Mode::Approve)).await;
    by_silence(&sim).await;
    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::minutes(4)).await;
    told(&sim, &sim.pending().unwrap(), Some("no answer in time")).await;
    sim.pass(Span::minutes(2)).await;
    let asked = sim.pending().expect("it stands longer");
    assert_eq!((asked.untold, asked.escalations), (1, 0));
    assert_eq!(sim.world.did("idp/revoke"), 0);

    told(&sim, &asked, None).await;
    sim.pass(Span::minutes(6)).await;

    assert!(sim.pending().is_none());
    assert_eq!(sim.world.did("idp/revoke"), 1, "{}", describe(&sim.runs()[0]));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_could_be_told_of_ends_without_a_yes() {
    let sim = Sim::with(70, with_channels(Mode::Approve)).await;
    by_silence(&sim).await;

    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::minutes(40)).await;

    let asked = only(&sim);
    assert_eq!((asked.state, asked.untold), (ApprovalState::Expired, 3));
    assert!(asked.granted.is_empty());
    assert_eq!(sim.world.did("idp/revoke"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_block_that_nobody_could_be_told_of_stands_and_people_have_longer_to_undo_it() {
    let sim = Sim::with(71, with_channels(Mode::Auto)).await;
    sim.world.privileged("root");
    sim.alert("root", Stage::Suspected).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    sim.hostile_approval(&sim.incident()).await;
    sim.pass(Span::minutes(31)).await;

    let asked = sim.asked(Asks::Ratify).expect("silence kept nothing yet");
    assert_eq!(asked.untold, 1);
    sim.pass(Span::hours(2)).await;
    assert!(sim.asked(Asks::Ratify).is_none());
    assert!(!sim.world.person("root").enabled, "keeping it is no loosening");
}

#[tokio::test(start_paused = true)]
async fn who_was_asked_reads_back_from_rows_as_from_the_journal() {
    let sim = sim(72, three(Mode::Approve)).await;
    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::minutes(25)).await;

    let mut folded = State::default();
    let commits: Vec<Commit> = sim.store.written();
    for commit in &commits {
        folded.apply(commit);
    }
    let read = State::from_rows(folded.seq, folded.all_rows()).unwrap();

    assert_eq!(read.approvals, folded.approvals);
    assert_eq!(folded.approvals.values().next().unwrap().addressed.len(), 2);
}
