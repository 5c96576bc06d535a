//! The doctrine, rule by rule. All evidence here is made up.

use super::*;
use crate::model::event::{AccountName, ChangedBy, EventKind, EventOutcome, Factor, Origin};
use crate::model::id::EventId;
use crate::model::incident::{ApprovalSeen, HostileContext, Stage};

pub(super) const ATTACKER: &str = "203.0.113.9";
pub(super) const HOME: &str = "198.51.100.7";

pub(super) fn at(seconds: i64) -> Time {
    Time::from_timestamp(1_777_975_200 + seconds, 0).unwrap()
}

pub(super) fn event(seconds: i64, kind: EventKind, outcome: EventOutcome, ip: &str) -> Event {
    Event {
        id: EventId::new(format!("t:{kind:?}:{outcome:?}:{ip}:{seconds}")),
        kind,
        account: AccountName { provider_id: None, login: Some("ana@example.com".into()) },
        time: at(seconds),
        outcome,
        factor: Some(Factor::Push),
        origin: Origin::Password,
        ip: ip.parse().ok(),
        asn: None,
        place: None,
        device: None,
        client: None,
        app: None,
        session: None,
        correlation: None,
        factor_id: None,
        changed_by: ChangedBy::Unknown,
        new_device: None,
        message: String::new(),
        synthetic: true,
    }
}

fn denied(seconds: i64) -> Event {
    event(seconds, EventKind::Prompt, EventOutcome::Denied, ATTACKER)
}

fn approved(seconds: i64, ip: &str) -> Event {
    event(seconds, EventKind::Prompt, EventOutcome::Approved, ip)
}

pub(super) fn signed_in(seconds: i64, ip: &str) -> Event {
    event(seconds, EventKind::SignIn, EventOutcome::Succeeded, ip)
}

fn run(detector: &mut Detector, events: &[Event], privileged: bool) -> Vec<Signal> {
    let observe = |event: &Event| {
        let about = About { privileged, open: None, now: event.time, ..About::default() };
        detector.observe("ana", event, &about)
    };
    events.iter().flat_map(observe).collect()
}

fn stages(events: &[Event]) -> Vec<Stage> {
    run(&mut Detector::default(), events, false).iter().map(|signal| signal.stage).collect()
}

fn burst(n: i64) -> Vec<Event> {
    (0..n).map(|i| denied(i * 30)).collect()
}

#[test]
fn a_stage_is_told_when_it_rises_and_not_again() {
    assert!(stages(&burst(2)).is_empty());
    assert_eq!(stages(&burst(3)), [Stage::Noted]);
    assert_eq!(stages(&burst(12)), [Stage::Noted, Stage::Suspected]);
}

#[test]
fn failures_of_every_sort_add_up() {
    use EventOutcome::{Denied, TimedOut, WrongAnswer};
    let outcomes = [Denied, TimedOut, WrongAnswer, TimedOut, Denied];
    let events: Vec<_> = (0_i64..)
        .zip(outcomes)
        .map(|(i, outcome)| event(i * 30, EventKind::Prompt, outcome, ATTACKER))
        .collect();

    assert_eq!(stages(&events), [Stage::Noted, Stage::Suspected]);
}

#[test]
fn typed_codes_never_count() {
    let mut events = burst(9);
    for event in &mut events {
        event.factor = Some(Factor::Sms);
    }

    assert!(stages(&events).is_empty());
}

#[test]
fn an_event_counts_once_however_often_it_comes() {
    let twice: Vec<_> = burst(2).into_iter().flat_map(|event| vec![event; 8]).collect();

    assert!(stages(&twice).is_empty());
}

/// Okta sends one push to every enrolled device.
#[test]
fn one_push_to_several_devices_counts_once() {
    let mut events = Vec::new();
    for i in 0..2 {
        for device in 0..4 {
            let mut copy = denied(i * 60);
            copy.id = EventId::new(format!("t:{i}:{device}"));
            events.push(copy);
        }
    }

    assert!(stages(&events).is_empty());
}

#[test]
fn order_of_arrival_does_not_matter() {
    let mut events = burst(6);
    events.push(approved(200, ATTACKER));
    events.reverse();

    let last = run(&mut Detector::default(), &events, false).pop().unwrap();

    assert_eq!((last.stage, last.approval), (Stage::Breached, ApprovalSeen::Hostile));
}

#[test]
fn a_burst_from_the_persons_own_place_is_only_noted() {
    let mut events = vec![signed_in(-86_400, ATTACKER)];
    events.extend(burst(6));

    assert_eq!(stages(&events), [Stage::Noted]);
}

#[test]
fn a_known_devices_reconnecting_vpn_does_not_count() {
    let own = |mut event: Event| {
        event.device = Some("laptop".into());
        event.origin = Origin::Vpn;
        event
    };
    let mut events = vec![own(signed_in(-86_400, HOME))];
    events.extend(
        (0..9).map(|i| own(event(i * 30, EventKind::Prompt, EventOutcome::TimedOut, HOME))),
    );

    assert!(stages(&events).is_empty());
}

#[test]
fn two_failures_are_enough_at_a_privileged_person() {
    let signals = run(&mut Detector::default(), &burst(2), true);

    assert_eq!(signals[0].stage, Stage::Suspected);
    assert_eq!(signals[0].event_ids().len(), 2);
}

#[test]
fn a_providers_fraud_mark_is_enough_and_with_denials_confirms() {
    let fraud = event(90, EventKind::Prompt, EventOutcome::Reported, ATTACKER);

    assert_eq!(stages(std::slice::from_ref(&fraud)), [Stage::Suspected]);
    assert_eq!(stages(&[denied(0), denied(30), fraud]), [Stage::Confirmed]);
}

#[test]
fn an_approval_from_the_same_address_is_hostile() {
    let mut events = burst(5);
    events.push(approved(200, ATTACKER));

    let last = run(&mut Detector::default(), &events, false).pop().unwrap();

    assert_eq!((last.stage, last.approval), (Stage::Breached, ApprovalSeen::Hostile));
    assert_eq!(last.hostile_entry_at, Some(at(200)));
    assert_eq!(last.hostile.ips, [ATTACKER.parse::<std::net::IpAddr>().unwrap()]);
    assert!(last.password_exposed);
}

#[test]
fn an_approval_comes_too_late_after_half_an_hour() {
    let mut events = burst(5);
    events.push(approved(120 + 30 * 60 + 1, ATTACKER));

    assert_eq!(stages(&events), [Stage::Noted, Stage::Suspected]);
}

#[test]
fn the_persons_own_parallel_sign_in_raises_nothing() {
    let mut events = vec![signed_in(-86_400, HOME)];
    events.extend(burst(5));
    events.push(approved(200, HOME));

    let last = run(&mut Detector::default(), &events, false).pop().unwrap();

    assert_eq!((last.stage, last.approval), (Stage::Suspected, ApprovalSeen::Own));
    assert_eq!(last.hostile_entry_at, None);
}

#[test]
fn an_approval_that_cannot_be_told_confirms() {
    let mut events = vec![signed_in(-86_400, HOME)];
    events.extend(burst(5));
    events.push(approved(200, "192.0.2.44"));

    let last = run(&mut Detector::default(), &events, false).pop().unwrap();

    assert_eq!((last.stage, last.approval), (Stage::Confirmed, ApprovalSeen::Unknown));
}

/// No hostile approval is absorbed without a fresh look.
#[test]
fn a_second_hostile_approval_is_told_too() {
    let mut events = burst(5);
    events.extend([approved(200, ATTACKER), denied(230), approved(260, ATTACKER)]);

    let entries: Vec<_> = run(&mut Detector::default(), &events, false)
        .iter()
        .filter_map(|signal| signal.hostile_entry_at)
        .collect();

    assert_eq!(entries, [at(200), at(260)]);
}

/// The attacker's success must not make the address a known one for the next burst.
#[test]
fn a_hostile_success_teaches_nothing() {
    let mut events = burst(5);
    events.push(approved(200, ATTACKER));
    events.extend((0..5).map(|i| denied(7_200 + i * 30)));

    let last = run(&mut Detector::default(), &events, false).pop().unwrap();

    assert_eq!(last.stage, Stage::Suspected);
    assert_eq!(last.first, at(7_200));
}

#[test]
fn only_a_proved_report_counts() {
    let report = |proof| Report {
        id: crate::model::id::ReportId::mint(at(0), [7; 10]),
        account: AccountName::default(),
        time: at(100),
        proof,
        text: String::new(),
        taken_by: None,
    };
    let about = About { privileged: false, open: None, now: at(100), ..About::default() };
    let told = |detector: &mut Detector, proof| {
        let signals = detector.observe_report("ana", &report(proof), &about);
        signals.iter().map(|signal| signal.stage).collect::<Vec<_>>()
    };

    assert!(told(&mut Detector::default(), Proof::Relayed).is_empty());
    assert_eq!(told(&mut Detector::default(), Proof::SelfProved), [Stage::Suspected]);
    let mut bombed = Detector::default();
    run(&mut bombed, &burst(3), false);
    assert_eq!(told(&mut bombed, Proof::SelfProved), [Stage::Confirmed]);
    assert!(told(&mut bombed, Proof::SelfProved).is_empty());
}

fn open(contained: Option<i64>) -> Open {
    Open {
        hostile: HostileContext {
            ips: vec![ATTACKER.parse().unwrap()],
            ..HostileContext::default()
        },
        first_event_at: at(0),
        last_evidence_at: at(300),
        contained_at: contained.map(at),
    }
}

fn in_incident(event: &Event, open: &Open) -> Vec<Signal> {
    let about = About { privileged: false, open: Some(open), now: event.time, ..About::default() };
    Detector::default().observe("ana", event, &about)
}

#[test]
fn a_success_from_the_hostile_context_after_containment_breaches() {
    let contained = open(Some(600));

    let told = in_incident(&signed_in(40_000, ATTACKER), &contained);

    assert_eq!(told[0].stage, Stage::Breached);
    assert_eq!(told[0].hostile_entry_at, Some(at(40_000)));
    assert!(in_incident(&signed_in(40_000, HOME), &contained).is_empty());
    assert!(in_incident(&signed_in(40_000, ATTACKER), &open(None)).is_empty());
}

#[test]
fn a_factor_added_after_the_first_hostile_prompt_breaches() {
    let mut added = event(500, EventKind::FactorChange, EventOutcome::Succeeded, ATTACKER);
    added.factor_id = Some("opf1".into());
    let told = in_incident(&added, &open(None));

    assert_eq!(told[0].stage, Stage::Breached);
    assert_eq!(told[0].hostile_factor.as_ref().unwrap().id, "opf1");

    added.changed_by = ChangedBy::Administrator;
    assert!(in_incident(&added, &open(None)).is_empty());
    added.changed_by = ChangedBy::Own;
    added.time = at(-60);
    assert!(in_incident(&added, &open(None)).is_empty());
}

#[test]
fn late_evidence_is_marked_and_future_evidence_refused() {
    let mut detector = Detector::default();
    let mut told = Vec::new();
    for event in burst(3) {
        let about = About { privileged: false, open: None, now: at(7_200), ..About::default() };
        told.extend(detector.observe("ana", &event, &about));
    }
    assert!(told[0].stale);

    let about = About { privileged: true, open: None, now: at(-600), ..About::default() };
    for event in burst(5) {
        assert!(Detector::default().observe("ana", &event, &about).is_empty());
    }
}

#[test]
fn when_too_many_events_are_kept_the_longest_idle_subject_goes_and_one_under_attack_stays() {
    let mut detector = Detector::default();
    let observe = |detector: &mut Detector, key: &str, event: &Event| {
        let about = About { privileged: false, open: None, now: event.time, ..About::default() };
        drop(detector.observe(key, event, &about));
    };
    for n in 0..8 {
        observe(&mut detector, "attacked", &denied(n * 20));
    }
    for n in 0..9 {
        for later in [0, 1] {
            let event = signed_in(1_000 + 2 * n + later, HOME);
            observe(&mut detector, &format!("idle-{n}"), &event);
        }
    }

    detector.events = EVENTS_MAX;
    observe(&mut detector, "anew", &signed_in(2_000, HOME));

    assert!(!detector.subjects.contains_key("idle-0"));
    assert!(detector.subjects.contains_key("idle-1"));
    assert!(detector.subjects.contains_key("attacked"));
    assert!(detector.events < EVENTS_MAX);
}

const HOTEL: &str = "192.0.2.80";

/// Three prompts that nobody answers and one that is approved, from a device that signed in at home so long before.
fn away(device: &str, home_before: i64, prompts: i64) -> Vec<Event> {
    let there = |mut event: Event, country: &str| {
        event.device = Some(device.to_owned());
        let place = crate::model::event::Place { country: Some(country.to_owned()), city: None };
        event.place = Some(place);
        event
    };
    let mut events = vec![there(signed_in(-home_before, HOME), "DE")];
    let failed = |n| event(n * 60, EventKind::Prompt, EventOutcome::TimedOut, HOTEL);
    events.extend((0..prompts).map(|n| there(failed(n), "PT")));
    events.push(there(approved(prompts * 60, HOTEL), "PT"));
    events
}

fn last_of(events: &[Event], privileged: bool) -> Option<(Stage, ApprovalSeen)> {
    let last = run(&mut Detector::default(), events, privileged).pop();
    last.map(|signal| (signal.stage, signal.approval))
}

/// Nobody else has a device that the provider vouches for.
#[test]
fn what_fails_on_ones_own_device_elsewhere_is_a_journey() {
    assert_eq!(last_of(&away("laptop", 86_400, 3), false), None);
    let many = last_of(&away("laptop", 86_400, 5), false);
    assert_eq!(many, Some((Stage::Suspected, ApprovalSeen::Own)), "a burst is looked at anyhow");
}

#[test]
fn nobodys_device_is_in_two_countries_at_once() {
    let told = last_of(&away("laptop", 3_600, 3), false);

    assert_eq!(told, Some((Stage::Confirmed, ApprovalSeen::Unknown)));
}

#[test]
fn of_who_may_change_much_a_journey_is_asked_about() {
    let told = last_of(&away("laptop", 86_400, 3), true);

    assert_eq!(told, Some((Stage::Confirmed, ApprovalSeen::Unknown)));
}

/// Whoever has seen a client's own name for itself can say it too.
#[test]
fn a_device_that_only_a_client_names_proves_nothing() {
    let told = last_of(&away("claimed:firefox", 86_400, 3), false);

    assert_eq!(told, Some((Stage::Breached, ApprovalSeen::Hostile)));
}

/// Somebody who signs in without any device: for days at home, then at a hotel, where prompts fail first.
fn without_a_device(outcomes: &[EventOutcome], home: i64, country: &str) -> Vec<Event> {
    let mut events = away("none", 3_600, 0);
    events.truncate(1);
    events.insert(0, event(-home, EventKind::SignIn, EventOutcome::Succeeded, HOME));
    let failed = outcomes
        .iter()
        .zip(0..)
        .map(|(outcome, n)| event(n * 60, EventKind::Prompt, *outcome, HOTEL));
    events.extend(failed);
    events.push(approved(300, HOTEL));
    for event in &mut events {
        event.device = None;
    }
    let place = crate::model::event::Place { country: Some(country.to_owned()), city: None };
    for event in events.iter_mut().skip(2) {
        event.place = Some(place.clone());
    }
    events
}

#[test]
fn a_journey_without_a_device_is_asked_about() {
    use EventOutcome::{Denied, TimedOut, WrongAnswer};
    let four_days = 4 * 86_400;
    let told =
        |outcomes: &[EventOutcome]| last_of(&without_a_device(outcomes, four_days, "DE"), false);
    let asked = Some((Stage::Confirmed, ApprovalSeen::Unknown));
    let breached = Some((Stage::Breached, ApprovalSeen::Hostile));

    assert_eq!(told(&[TimedOut, Denied, TimedOut]), asked);
    assert_eq!(told(&[Denied, Denied, TimedOut]), breached, "who says no twice did not ask");
    assert_eq!(told(&[TimedOut, WrongAnswer, TimedOut]), breached, "whoever asks sees the number");
    assert_eq!(told(&[TimedOut; 5]), breached, "a burst is no slip");
    let slips = [TimedOut; 3];
    let last = |home, country| last_of(&without_a_device(&slips, home, country), false);
    assert_eq!(last(86_400, "DE"), breached, "nothing is a habit yet");
    assert_eq!(last(four_days, "PT"), breached, "nobody is in two countries at once");
    let mut after = without_a_device(&slips, four_days, "DE");
    after.push(event(400, EventKind::Grant, EventOutcome::Succeeded, HOTEL));
    let told = run(&mut Detector::default(), &after, false);
    assert!(told.iter().any(|s| s.approval == ApprovalSeen::Hostile), "what follows settles it");
    let mut before = without_a_device(&slips, four_days, "DE");
    before.insert(1, event(-80_000, EventKind::Prompt, TimedOut, HOTEL));
    assert_eq!(last_of(&before, false), breached, "asked in vain the day before");
    assert_eq!(
        last_of(&without_a_device(&slips, four_days, "DE"), true).map(|told| told.0),
        Some(Stage::Breached),
        "nobody who may change much"
    );
}
