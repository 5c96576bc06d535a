//! The rules of the outbox, without a runtime.

use super::*;
use crate::engine::state::State;
use crate::model::entry::{Commit, Entry};
use crate::model::notice::Told;
use crate::notify::{Address, Options};

fn at(minutes: i64) -> Time {
    Time::from_timestamp(1_777_975_200 + minutes * 60, 0).unwrap()
}

fn options(text: &str) -> Options {
    toml::from_str(text).unwrap()
}

fn two() -> Options {
    options(
        "ladder = [{channel='a'}, {channel='b', after='5m'}]
        [channels.a]\nconnection='x'\non=['approval', 'breached']\n[channels.b]\nconnection='y'\non=['breached']",
    )
}

/// Nothing is urgent, and nothing is told together.
const ORDINARY: Kinds<'static> = Kinds { urgent: &|_| false, fold: &|_| None };

fn question(n: u8) -> About {
    About::Question(ApprovalId(uuid::Uuid::from_u128(n.into())))
}

fn fact(about: About, topic: Topic, of: u64, closed: bool) -> Fact {
    let at = at(0);
    Fact { topic, about, incident: None, of, at, closed, detail: String::new() }
}

/// The first question, open from the beginning.
fn standing(level: Option<Level>) -> Standing {
    Standing {
        question: ApprovalId(uuid::Uuid::from_u128(1)),
        incident: IncidentId(uuid::Uuid::from_u128(2)),
        opened_at: at(0),
        level,
        people: Vec::new(),
    }
}

/// One rung, and a person with two addresses of her own.
fn with_olga() -> Options {
    let address = |connection: &str| Address {
        connection: connection.into(),
        to: Some("U1".to_owned()),
        kind: None,
    };
    let addresses = [address("chat"), address("mail")];
    options("ladder = [{channel='a'}]\n[channels.a]\nconnection='x'\non=['breached']")
        .with_people([("Olga", &addresses[..])])
}

#[test]
fn whom_a_question_is_put_to_is_told_at_an_address_of_their_own_and_of_nothing_else() {
    let telling = Telling::default();
    let mut outbox = Outbox::new(with_olga(), 0);
    outbox.take(&fact(About::Pause(4), Topic::Breached, 4, false), &telling, at(0));
    outbox.take(&fact(question(1), Topic::Approval, 5, false), &telling, at(0));
    let asked = Standing { people: vec!["olga".to_owned()], ..standing(Some(Level::First)) };

    outbox.climb(&[standing(Some(Level::First))], &telling, (at(0), false));
    assert!(outbox.get(&key(&question(1), "Olga at chat")).is_none(), "it is put to others");
    outbox.climb(&[asked], &telling, (at(0), false));

    assert!(outbox.get(&key(&question(1), "Olga at chat")).is_some());
    assert!(outbox.get(&key(&question(1), "Olga at mail")).is_none(), "one is enough");
    assert!(outbox.get(&key(&About::Pause(4), "Olga at chat")).is_none());
}

#[test]
fn a_person_who_cannot_be_told_is_told_elsewhere_and_then_the_ladder_is() {
    let mut state = State::default();
    let outbox = Outbox::new(with_olga(), 0);
    let asked = fact(question(1), Topic::Approval, 5, false);
    let (chat, mail) = (key(&question(1), "Olga at chat"), key(&question(1), "Olga at mail"));

    assert_eq!(outbox.next_rung(&chat, &asked, &state.telling).as_deref(), Some("Olga at mail"));
    assert_eq!(outbox.next_rung(&mail, &asked, &state.telling).as_deref(), Some("a"));
    journalled(&mut state, 7, told(asked.clone(), "a"), false);
    assert_eq!(outbox.next_rung(&mail, &asked, &state.telling), None, "it knows already");
}

#[test]
fn what_was_put_to_a_person_is_brought_up_to_date_there() {
    let mut state = State::default();
    let asked = fact(question(1), Topic::Approval, 5, false);
    journalled(&mut state, 6, told(asked, "Olga at chat"), false);
    let mut outbox = Outbox::new(with_olga(), 6);

    outbox.take(&fact(question(1), Topic::Approval, 7, true), &state.telling, at(1));

    assert!(outbox.get(&key(&question(1), "Olga at chat")).is_some_and(|e| e.fact.closed));
    assert!(outbox.get(&key(&question(1), "Olga at mail")).is_none());
}

fn key(about: &About, channel: &str) -> Key {
    (about.to_string(), channel.to_owned())
}

/// A state in which this was journalled.
fn journalled(state: &mut State, seq: u64, told: Told, failed: bool) {
    let entry = if failed {
        Entry::NoticeFailed(Box::new(told))
    } else {
        Entry::NoticeSent(Box::new(told))
    };
    state.apply(&Commit { seq, at: at(0), entries: vec![entry] });
}

fn told(fact: Fact, channel: &str) -> Told {
    Told {
        channel: channel.to_owned(),
        fact,
        did: Did::Posted,
        message: Some("m".into()),
        instead_of: None,
        perhaps_again: false,
        problem: None,
        next: None,
        through: 0,
    }
}

#[test]
fn the_cursor_waits_for_what_is_not_told() {
    let telling = Telling::default();
    let mut outbox = Outbox::new(two(), 0);
    outbox.take(&fact(question(1), Topic::Approval, 5, false), &telling, at(0));
    outbox.after = 9;

    assert_eq!(outbox.through(), 4);
    outbox.done(&key(&question(1), "a"), at(0));
    assert_eq!(outbox.through(), 9);
}

#[test]
fn what_was_told_already_is_not_told_again_after_a_start() {
    let mut state = State::default();
    let asked = fact(question(1), Topic::Approval, 5, false);
    journalled(&mut state, 6, told(asked.clone(), "a"), false);
    let mut outbox = Outbox::new(two(), 0);

    outbox.take(&asked, &state.telling, at(0));

    assert!(outbox.begin(&state.telling, at(0), &ORDINARY).is_empty());
}

#[test]
fn a_question_answered_before_anybody_was_told_is_told_to_nobody() {
    let telling = Telling::default();
    let mut outbox = Outbox::new(two(), 0);
    outbox.take(&fact(question(1), Topic::Approval, 5, false), &telling, at(0));
    outbox.take(&fact(question(1), Topic::Approval, 6, true), &telling, at(0));
    outbox.after = 6;

    assert!(outbox.begin(&telling, at(0), &ORDINARY).is_empty());
    assert_eq!(outbox.through(), 6);
}

#[test]
fn what_comes_while_a_call_is_under_way_follows_it() {
    let telling = Telling::default();
    let mut outbox = Outbox::new(two(), 0);
    outbox.take(&fact(question(1), Topic::Approval, 5, false), &telling, at(0));
    assert_eq!(outbox.begin(&telling, at(0), &ORDINARY).len(), 1);
    outbox.take(&fact(question(1), Topic::Approval, 6, true), &telling, at(0));
    assert!(outbox.begin(&telling, at(0), &ORDINARY).is_empty(), "one call a channel");

    outbox.done(&key(&question(1), "a"), at(0));

    assert!(outbox.get(&key(&question(1), "a")).unwrap().fact.closed);
}

#[test]
fn a_failure_goes_up_the_ladder_and_ends_at_its_top() {
    let mut state = State::default();
    let outbox = Outbox::new(two(), 0);
    let asked = fact(question(1), Topic::Approval, 5, false);
    let (a, b) = (key(&question(1), "a"), key(&question(1), "b"));
    assert_eq!(outbox.next_rung(&a, &asked, &state.telling).as_deref(), Some("b"));
    assert_eq!(outbox.next_rung(&b, &asked, &state.telling), None);
    let failed = fact(About::Channel("a".into()), Topic::Undelivered, 6, false);
    assert_eq!(outbox.next_rung(&key(&failed.about, "b"), &failed, &state.telling), None);

    journalled(&mut state, 7, told(asked.clone(), "b"), false);
    assert_eq!(outbox.next_rung(&a, &asked, &state.telling), None, "b knows already");
}

#[test]
fn a_crash_between_a_failure_and_the_next_rung_loses_nothing() {
    let mut state = State::default();
    let breach = fact(About::Pause(5), Topic::Breached, 5, false);
    let failed = Told { next: Some("b".into()), problem: Some("no".into()), ..told(breach, "a") };
    journalled(&mut state, 6, failed, true);
    let mut outbox = Outbox::new(two(), 6);

    outbox.divert(&[], &state.telling, at(1));

    let errand = outbox.get(&key(&About::Pause(5), "b")).unwrap();
    assert_eq!(errand.instead_of.as_deref(), Some("a"));
}

#[test]
fn a_rung_is_due_when_its_time_comes_and_not_before() {
    let telling = Telling::default();
    let mut outbox = Outbox::new(two(), 9);
    let open = [standing(None)];

    assert_eq!(outbox.climb(&open, &telling, (at(1), false)), Some(at(5)));
    assert!(outbox.get(&key(&question(1), "b")).is_none());
    assert_eq!(outbox.climb(&open, &telling, (at(5), false)), None);
    assert!(outbox.get(&key(&question(1), "b")).is_some());
}

#[test]
fn what_is_a_day_old_is_no_news() {
    let telling = Telling::default();
    let mut outbox = Outbox::new(two(), 0);

    outbox.take(&fact(question(1), Topic::Approval, 5, false), &telling, at(25 * 60));

    assert!(outbox.begin(&telling, at(25 * 60), &ORDINARY).is_empty());
}

#[test]
fn the_channel_of_a_level_is_told_when_the_question_comes_to_it() {
    let options = options(
        "ladder = [{channel='a', level='first'}, {channel='b', level='second'}]
        [channels.a]\nconnection='x'\non=[]\n[channels.b]\nconnection='y'\non=[]",
    );
    let telling = Telling::default();
    let mut outbox = Outbox::new(options, 0);
    let told = |outbox: &Outbox, channel: &str| outbox.get(&key(&question(1), channel)).is_some();

    outbox.climb(&[standing(Some(Level::First))], &telling, (at(60), false));
    assert!(
        told(&outbox, "a") && !told(&outbox, "b"),
        "an hour does not make it the second's turn"
    );
    outbox.climb(&[standing(Some(Level::Second))], &telling, (at(61), false));
    assert!(told(&outbox, "b"));

    let mut without_a_rota = Outbox::new(outbox.options().clone(), 0);
    without_a_rota.climb(&[standing(None)], &telling, (at(0), false));
    assert!(told(&without_a_rota, "a") && told(&without_a_rota, "b"), "everybody is asked");
}

#[test]
fn questions_of_one_fold_become_one_message_but_for_the_first() {
    let mut state = State::default();
    let mut outbox = Outbox::new(two(), 0);
    let kinds = Kinds { urgent: &|_| false, fold: &|_| Some(Fold::Campaign("1".to_owned())) };
    let asked = |n: u8| fact(question(n), Topic::Approval, u64::from(n), false);
    let second = |seconds: i64| at(0) + TimeDelta::seconds(seconds);
    outbox.take(&asked(1), &state.telling, at(0));
    assert_eq!(outbox.begin(&state.telling, at(0), &kinds), [vec![key(&question(1), "a")]]);
    journalled(&mut state, 10, told(asked(1), "a"), false);
    outbox.done(&key(&question(1), "a"), at(0));

    for n in 2..=5 {
        outbox.take(&asked(n), &state.telling, at(0));
    }
    assert!(outbox.begin(&state.telling, second(1), &kinds).is_empty(), "they wait for each other");
    assert_eq!(outbox.next_due(), Some(second(60)));
    let begun = outbox.begin(&state.telling, second(60), &kinds);

    assert_eq!(begun.len(), 1);
    assert_eq!(begun[0].len(), 4, "{begun:?}");
}

#[test]
fn a_storm_is_the_leads_at_once() {
    let telling = Telling::default();
    let mut outbox = Outbox::new(two(), 9);
    let open = [standing(None)];

    outbox.climb(&open, &telling, (at(0), true));

    assert!(outbox.get(&key(&question(1), "b")).is_some());
}
