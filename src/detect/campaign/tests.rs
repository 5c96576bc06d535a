//! Many people, one source. All of it is made up.

use proptest::prelude::*;
use std::collections::BTreeMap;

use super::super::tests::{ATTACKER, HOME, at, event, signed_in};
use super::super::{About, Detector, Open, Told};
use super::SOURCES_MAX;
use crate::model::event::{AccountName, Event, EventKind, EventOutcome, Factor};
use crate::model::id::{EventId, SourceId};
use crate::model::incident::{ApprovalSeen, HostileContext, MayCause, Stage};

/// What the caller keeps of one person's incident.
#[derive(Debug, Default)]
struct Case {
    open: Option<Open>,
    stage: Option<Stage>,
    approval: ApprovalSeen,
    campaign: Option<String>,
    reason: String,
}

#[derive(Default)]
struct Cases {
    detector: Detector,
    of: BTreeMap<String, Case>,
}

impl Cases {
    fn tell(&mut self, now: i64, person: &str, fact: &Event, told: Option<Told<'_>>) {
        let open = self.of.get(person).and_then(|case| case.open.clone());
        let about = About { open: open.as_ref(), now: at(now), told, ..About::default() };
        let signals = self.detector.observe(person, fact, &about);
        self.join(person, signals);
        for other in self.detector.stirred() {
            let open = self.of.get(&other.key).and_then(|case| case.open.clone());
            let about = About { open: open.as_ref(), now: at(now), ..About::default() };
            let signals = self.detector.look_again(&other.key, &about);
            self.join(&other.key, signals);
        }
    }

    fn join(&mut self, person: &str, signals: Vec<super::super::Signal>) {
        for signal in signals {
            let case = self.of.entry(person.to_owned()).or_default();
            if case.stage < Some(signal.stage) {
                case.reason.clone_from(&signal.reason);
            }
            case.stage = case.stage.max(Some(signal.stage));
            case.approval = case.approval.max(signal.approval);
            case.campaign = signal.campaign.map(|c| c.id).or_else(|| case.campaign.take());
            let open = case.open.get_or_insert_with(|| Open {
                hostile: HostileContext::default(),
                first_event_at: signal.first,
                last_evidence_at: signal.last,
                contained_at: None,
            });
            open.first_event_at = open.first_event_at.min(signal.first);
            open.last_evidence_at = open.last_evidence_at.max(signal.last);
        }
    }

    fn said(&self) -> Vec<(&str, Option<Stage>, Option<&str>)> {
        let all = self.of.iter();
        all.map(|(who, case)| (who.as_str(), case.stage, case.campaign.as_deref())).collect()
    }

    fn stage(&self, person: &str) -> Option<Stage> {
        self.of.get(person)?.stage
    }
}

fn of(person: &str, fact: Event) -> Event {
    let id = EventId::new(format!("{person}:{}", fact.id.as_str()));
    let account = AccountName { provider_id: None, login: Some(person.to_owned()) };
    Event { id, account, ..fact }
}

fn denied(person: &str, seconds: i64, ip: &str) -> Event {
    of(person, event(seconds, EventKind::Prompt, EventOutcome::Denied, ip))
}

fn mistyped(person: &str, seconds: i64, ip: &str) -> Event {
    let fact = event(seconds, EventKind::SignIn, EventOutcome::Failed, ip);
    of(person, Event { factor: Some(Factor::Password), ..fact })
}

fn told(facts: &[(i64, String, Event)]) -> Cases {
    let mut cases = Cases::default();
    for (now, person, fact) in facts {
        cases.tell(*now, person, fact, None);
    }
    cases
}

/// `prompts` for each of `people`, one person after the other, ten minutes apart.
fn round(people: usize, prompts: i64, ip: &str) -> Vec<(i64, String, Event)> {
    let of_one = |n: usize| {
        let (person, from) = (format!("p{n}"), i64::try_from(n).unwrap() * 600);
        (0..prompts).map(move |i| {
            let when = from + i * 30;
            (when, person.clone(), denied(&person, when, ip))
        })
    };
    (0..people).flat_map(of_one).collect()
}

#[test]
fn one_address_against_four_people_raises_each_of_them_and_says_so() {
    assert_eq!(told(&round(3, 3, ATTACKER)).stage("p0"), Some(Stage::Noted));

    let cases = told(&round(4, 3, ATTACKER));

    for person in ["p0", "p1", "p2", "p3"] {
        assert_eq!(cases.stage(person), Some(Stage::Suspected), "{person}");
    }
    let ids: Vec<_> = cases.of.values().map(|case| case.campaign.clone()).collect();
    assert!(ids[0].is_some() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let reason = &cases.of["p0"].reason;
    assert!(
        reason.ends_with("the same address 203.0.113.9 asked 4 people (a campaign)"),
        "{reason}"
    );
}

#[test]
fn what_others_suffer_raises_nobody_without_prompts_of_their_own() {
    let mut facts = round(8, 3, ATTACKER);
    facts.push((9_000, "bystander".into(), denied("bystander", 4_300, ATTACKER)));
    facts.push((9_100, "other".into(), denied("other", 4_300, HOME)));

    let cases = told(&facts);

    assert_eq!((cases.stage("bystander"), cases.stage("other")), (None, None));
}

#[test]
fn passwords_sprayed_before_the_prompts_make_few_prompts_count() {
    let spray = (0..10).map(|n| {
        let (person, when) = (format!("p{n}"), i64::from(n) * 120);
        (when, person.clone(), mistyped(&person, when, ATTACKER))
    });
    let pushes = |n: i64| {
        (0..n).map(|i| (7_200 + i * 30, "p7".to_owned(), denied("p7", 7_200 + i * 30, ATTACKER)))
    };

    let two = told(&spray.clone().chain(pushes(2)).collect::<Vec<_>>());
    let three = told(&spray.chain(pushes(3)).collect::<Vec<_>>());

    assert_eq!(two.stage("p7"), Some(Stage::Noted));
    assert_eq!(three.stage("p7"), Some(Stage::Suspected));
    assert!(three.of["p7"].reason.contains("tried the passwords of 10 people"));
    assert_eq!(three.of.len(), 1);
}

#[test]
fn addresses_that_change_within_a_network_are_one_source() {
    let facts: Vec<_> = round(8, 3, ATTACKER)
        .into_iter()
        .map(|(now, person, fact)| {
            let n: u8 = person[1..].parse().unwrap();
            let ip = std::net::IpAddr::from([203, 0, 113, 20 + n]);
            (now / 2, person, Event { ip: Some(ip), time: at(now / 2), ..fact })
        })
        .collect();

    let cases = told(&facts);

    assert_eq!(cases.stage("p0"), Some(Stage::Suspected));
    assert!(cases.of["p0"].reason.contains("network 203.0.113.0/24 asked 8 people"));
}

#[test]
fn a_day_of_prompts_from_ever_other_addresses_is_suspected() {
    let prompt = |i: i64| {
        let ip = format!("203.0.{}.9", 100 + i);
        (i * 10_800, "ana".to_owned(), denied("ana", i * 10_800, &ip))
    };

    assert_eq!(told(&(0..4).map(prompt).collect::<Vec<_>>()).stage("ana"), Some(Stage::Noted));
    assert_eq!(told(&(0..5).map(prompt).collect::<Vec<_>>()).stage("ana"), Some(Stage::Suspected));
}

/// Whoever holds an ingest token that may only record must not be able to make others suspect.
#[test]
fn a_source_that_may_only_record_is_no_evidence_about_others() {
    let (forger, log) = (SourceId::new("forger"), SourceId::new("log"));
    let mut cases = Cases::default();
    for (now, person, fact) in round(6, 3, ATTACKER) {
        let told = if person == "p0" {
            Told { source: &log, may_cause: MayCause::Contain }
        } else {
            Told { source: &forger, may_cause: MayCause::Record }
        };
        cases.tell(now, &person, &fact, Some(told));
    }

    assert_eq!(cases.stage("p0"), Some(Stage::Noted));
}

#[test]
fn sources_are_forgotten_when_there_are_too_many_and_campaigns_last() {
    let mut cases = told(&round(4, 3, ATTACKER));
    for n in 0..u32::try_from(SOURCES_MAX).unwrap() + 10 {
        let ip = std::net::Ipv4Addr::from_bits(0x0a00_0000 + n * 256).to_string();
        cases.tell(3_000, "noise", &mistyped("noise", 3_000, &ip), None);
    }

    assert!(cases.detector.campaigns.sources.len() <= SOURCES_MAX);
    assert!(cases.detector.campaigns.sources.contains_key("address 203.0.113.9"));
}

/// Tries of up to eight people from one address, and when each is told.
fn storm() -> impl Strategy<Value = Vec<(usize, i64, bool, i64)>> {
    prop::collection::vec(
        (0_usize..8, 0_i64..5_400, prop::bool::weighted(0.2), 0_i64..1_800),
        1..40,
    )
}

fn facts(storm: &[(usize, i64, bool, i64)], late: bool) -> Vec<(i64, String, Event)> {
    let fact = |(n, when, password, delay): &(usize, i64, bool, i64)| {
        let person = format!("p{n}");
        let fact = if *password { mistyped } else { denied }(&person, *when, ATTACKER);
        (if late { when + delay } else { *when }, person, fact)
    };
    let mut facts: Vec<_> = storm.iter().map(fact).collect();
    facts.sort_by_key(|(told, _, _)| *told);
    facts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn late_repeated_and_out_of_order_facts_are_the_same_campaign(storm in storm(), again in 0_usize..40) {
        let clean = facts(&storm, false);
        let mut torn = facts(&storm, true);
        let repeated: Vec<_> = torn.iter().take(again).cloned().collect();
        torn.extend(repeated.into_iter().map(|(_, person, fact)| (7_300, person, fact)));

        let (clean, torn) = (told(&clean), told(&torn));

        prop_assert_eq!(torn.said(), clean.said());
    }

    /// A company's way out, at an address that is new for whoever is asked.
    #[test]
    fn a_source_from_which_as_many_sign_in_with_vouched_devices_is_no_campaign(storm in storm()) {
        let mut cases = Cases::default();
        for n in 0..8 {
            let colleague = format!("colleague-{n}");
            let fact = of(&colleague, signed_in(-7_200, ATTACKER));
            let fact = Event { device: Some(format!("laptop-{n}")), ..fact };
            cases.tell(-7_200, &colleague, &fact, None);
        }
        for (now, person, fact) in facts(&storm, false) {
            cases.tell(now, &person, &fact, None);
        }

        prop_assert!(cases.of.values().all(|case| case.campaign.is_none()), "{:?}", cases.said());
    }

    /// What many suffer is no proof about one: only a person's own approval or report confirms.
    #[test]
    fn a_campaign_alone_confirms_nothing(storm in storm()) {
        let cases = told(&facts(&storm, false));

        prop_assert!(cases.of.values().all(|case| case.stage <= Some(Stage::Suspected)));
    }
}
