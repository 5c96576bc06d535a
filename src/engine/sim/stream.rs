//! One story told in many ways: late, out of order, twice, in other batches, under other delivery ids, and replayed.
//! It is the same incidents, the same answer, and nothing is done twice.
//!
//! Kept inside what the doctrine lets depend on order: a record comes within ten minutes of its moment (what is an hour
//! old never acts by itself), and whatever comes from the hostile side follows the last failed prompt within
//! half an hour (later it counts only after containment, and when that was depends on the telling). A burst that was
//! reported before it was told is one reported fraud, not fatigue and then fraud: triggers are not compared.

use chrono::TimeDelta;
use std::collections::BTreeMap;

use super::chaos::draw::Draw;
use super::chaos::soak::asked;
use super::reports::answering_reports;
use super::{Sim, in_virtual_time};
use crate::engine::ingest::{Fact, Incoming};
use crate::engine::policy::SourceView;
use crate::model::alert::{Alert, AlertKind, Proof, Report};
use crate::model::event::{AccountName, ChangedBy, Event, EventKind, EventOutcome, Factor, Origin};
use crate::model::id::{AlertId, EventId, ReportId};
use crate::model::incident::{Incident, MayCause, Stage};
use crate::model::plan::Mode;
use crate::model::subject::Alias;
use crate::model::time::{Span, Time};

const PEOPLE: [&str; 3] = ["dana@example.com", "pete@example.com", "ruth@example.com"];
/// Stories that are told unless `QUELL_STORIES` says how many.
const STORIES: u64 = 150;
/// No record is later than this.
const LATE: u64 = 600;
/// The story's length, in seconds.
const LENGTH: u64 = 20 * 60;

/// What was posted when, in seconds from the story's beginning.
struct Post {
    at: u64,
    delivery: String,
    facts: Vec<Fact>,
}

pub(super) fn event(
    id: String,
    who: &str,
    time: Time,
    kind: EventKind,
    outcome: EventOutcome,
) -> Event {
    Event {
        id: EventId::new(id),
        kind,
        account: AccountName { login: Some(who.to_owned()), provider_id: None },
        time,
        outcome,
        factor: Some(Factor::Push),
        origin: Origin::Password,
        ip: None,
        asn: None,
        place: None,
        device: None,
        client: None,
        app: None,
        session: None,
        correlation: None,
        factor_id: None,
        changed_by: ChangedBy::Own,
        new_device: None,
        message: String::new(),
        synthetic: true,
    }
}

fn at_home(person: usize, event: Event) -> Event {
    let ip = format!("198.51.100.{}", person + 1).parse().ok();
    Event { ip, device: Some(format!("laptop-{person}")), ..event }
}

pub(super) fn hostile(event: Event) -> Event {
    let session = event.account.login.as_ref().map(|login| format!("stolen-{login}"));
    Event { ip: "203.0.113.7".parse().ok(), session, ..event }
}

/// Each with its moment, by the moment.
fn story(seed: u64, begins: Time) -> Vec<(u64, Fact)> {
    let draw = Draw::new(seed);
    let mut told = Vec::new();
    for (person, who) in PEOPLE.iter().enumerate() {
        let mut ids = 0;
        let mut say = |at: u64, kind, outcome, from_home: bool| {
            ids += 1;
            let time = begins + TimeDelta::seconds(i64::try_from(at).unwrap());
            let one = event(format!("{who}:{ids}"), who, time, kind, outcome);
            let one = if from_home { at_home(person, one) } else { hostile(one) };
            let factor = kind == EventKind::FactorChange;
            let one = Event { factor_id: factor.then(|| format!("f-{who}")), ..one };
            told.push((at, Fact::Event(Box::new(one))));
        };
        let failed = [EventOutcome::Denied, EventOutcome::TimedOut, EventOutcome::WrongAnswer];
        let (mut at, begin) = (0, draw.below(LENGTH / 2));
        for _ in 0..draw.between(0, 8) {
            at += draw.between(3, 90);
            say(begin + at, EventKind::Prompt, draw.pick(&failed), draw.chance(10));
        }
        let after = |draw: &Draw| begin + at + draw.between(1, 240);
        if draw.chance(40) {
            let when = after(&draw);
            say(when, EventKind::Prompt, EventOutcome::Approved, draw.chance(20));
            say(when + 1, EventKind::SignIn, EventOutcome::Succeeded, draw.chance(20));
        }
        if draw.chance(30) {
            say(after(&draw), EventKind::FactorChange, EventOutcome::Succeeded, draw.chance(20));
        }
        if draw.chance(30) {
            say(after(&draw), EventKind::InboxRule, EventOutcome::Succeeded, draw.chance(50));
        }
        if draw.chance(30) {
            let when = after(&draw);
            let report = Report {
                id: ReportId::mint(begins, [u8::try_from(person).unwrap(); 10]),
                account: AccountName { login: Some((*who).to_owned()), provider_id: None },
                time: begins + TimeDelta::seconds(i64::try_from(when).unwrap()),
                proof: draw.pick(&[Proof::SelfProved, Proof::Relayed]),
                text: String::new(),
                taken_by: None,
            };
            told.push((when, Fact::Report(Box::new(report))));
        }
        if draw.chance(15) {
            let when = draw.below(LENGTH);
            told.push((when, Fact::Alert(Box::new(alert(&draw, who, begins, when)))));
        }
    }
    told.sort_by_key(|(at, _)| *at);
    told
}

/// What a detector says of somebody, on its own account.
fn alert(draw: &Draw, who: &str, begins: Time, when: u64) -> Alert {
    Alert {
        id: AlertId::mint(begins, [u8::try_from(when % 251).unwrap(); 10]),
        kind: AlertKind::MfaFatigue,
        account: AccountName { login: Some(who.to_owned()), provider_id: None },
        time: begins + TimeDelta::seconds(i64::try_from(when).unwrap()),
        stage: draw.pick(&[Stage::Suspected, Stage::Confirmed]),
        reason: "a detector's alert".to_owned(),
        rule: "theirs".to_owned(),
        events: Vec::new(),
        password_exposed: draw.chance(50),
        link: None,
    }
}

/// Each by itself, in order, soon.
fn plainly(story: &[(u64, Fact)]) -> Vec<Post> {
    let posts = story.iter().enumerate().map(|(n, (at, fact))| Post {
        at: at + 2,
        delivery: format!("plain-{n}"),
        facts: vec![fact.clone()],
    });
    posts.collect()
}

/// As networks, queues and forwarders tell it.
fn somehow(story: &[(u64, Fact)], draw: &Draw) -> Vec<Post> {
    let mut late: Vec<(u64, Fact)> =
        story.iter().map(|(at, fact)| (at + draw.between(2, LATE), fact.clone())).collect();
    for (at, fact) in story {
        if draw.chance(30) {
            late.push((at + draw.between(2, LATE), fact.clone()));
        }
    }
    late.sort_by_key(|(at, _)| *at);
    let mut posts: Vec<Post> = Vec::new();
    for (at, fact) in late {
        match posts.last_mut() {
            // A forwarder waits for more, and does not sort what it has.
            Some(open) if draw.chance(40) && at < open.at + 60 => {
                open.facts.insert(draw.index(open.facts.len() + 1), fact);
                open.at = at;
            }
            _ => {
                let delivery = format!("some-{}", posts.len());
                posts.push(Post { at, delivery, facts: vec![fact] });
            }
        }
    }
    for n in 0..posts.len() {
        if draw.chance(30) {
            let Post { at, delivery, facts } = &posts[n];
            let again = at + draw.below(LATE);
            posts.push(Post { at: again, delivery: delivery.clone(), facts: facts.clone() });
        }
    }
    posts.sort_by_key(|post| post.at);
    posts
}

pub(super) async fn post(sim: &Sim, delivery: String, facts: Vec<Fact>, replayed: bool) {
    let incoming = Incoming {
        source: SourceView {
            id: "log".into(),
            may_cause: MayCause::Contain,
            connections: vec!["idp".into()],
            aliases: BTreeMap::new(),
        },
        delivery,
        accepted: facts.len(),
        facts,
        rejected: Vec::new(),
        replayed,
    };
    sim.engine.ingest(incoming).await.unwrap();
}

/// What came of it, for each person: whatever may depend on the telling is left out.
fn summary(sim: &Sim) -> Vec<String> {
    let of = |who: &&str| {
        let cases: Vec<Incident> = sim.engine.read(|core| {
            let subject = core.state.subject_by_alias(&Alias::login(who)).map(|s| s.id);
            let mine = core.state.incidents.values().filter(|i| Some(i.subject) == subject);
            mine.map(|i| (**i).clone()).collect()
        });
        let cases: Vec<String> = cases.iter().map(case).collect();
        let log = sim.world.log.lock().unwrap();
        let did =
            |what: &str| log.iter().filter(|d| d.account == **who && d.action == what).count();
        let (blocks, resets) = (did("idp/block"), did("idp/reset"));
        let revoked = did("idp/revoke") > 0;
        let enabled = sim.world.person(who).enabled;
        format!(
            "{who}: {cases:?}; {blocks} blocks, {resets} resets, revoked: {revoked}, open: {enabled}"
        )
    };
    let mut lines: Vec<String> = PEOPLE.iter().map(of).collect();
    lines.push(format!("{} tickets", sim.world.tickets.lock().unwrap().len()));
    lines
}

fn case(case: &Incident) -> String {
    let factors: Vec<&str> = case.hostile_factors.iter().map(|f| f.id.as_str()).collect();
    let counts = &case.counts;
    format!(
        "{:?} {:?} {:?} {:?}, exposed {}, stale {}, factors {factors:?}, {} denied, {} ignored, {} wrong, {} approved, {} reports",
        case.status,
        case.stage,
        case.approval,
        case.severity,
        case.password_exposed,
        case.stale,
        counts.denied,
        counts.timed_out,
        counts.wrong_answer,
        counts.approved,
        counts.reports,
    )
}

/// Plays posts after three days of everyday life; an hour later all of it is replayed, and that changes nothing.
fn told(seed: u64, way: impl Fn(&[(u64, Fact)]) -> Vec<Post>) -> Vec<String> {
    in_virtual_time(async {
        let sim = answering_reports(Mode::Auto, 1).await;
        let begins = sim.engine.now();
        for (person, who) in PEOPLE.iter().enumerate() {
            let signed_in = |day: i64| {
                let time = begins - TimeDelta::days(day);
                let (kind, outcome) = (EventKind::SignIn, EventOutcome::Succeeded);
                let one = event(format!("{who}:day-{day}"), who, time, kind, outcome);
                Fact::Event(Box::new(at_home(person, one)))
            };
            post(&sim, format!("{who}:days"), (1..4).map(signed_in).collect(), false).await;
        }
        let story = story(seed, begins);
        for one in way(&story) {
            let at = begins + TimeDelta::seconds(i64::try_from(one.at).unwrap());
            sim.engine.ports().clock.sleep_until(at).await;
            post(&sim, one.delivery, one.facts, false).await;
        }
        sim.pass(Span::hours(2)).await;
        let before = summary(&sim);
        let all = story.into_iter().map(|(_, fact)| fact).collect();
        post(&sim, "all of it again".to_owned(), all, true).await;
        sim.pass(Span::hours(2)).await;
        assert_eq!(summary(&sim), before, "seed {seed}: a replay says nothing new");
        before
    })
}

#[test]
fn however_a_story_is_told_it_is_the_same_incidents_and_nothing_is_done_twice() {
    let stories = asked("QUELL_STORIES").unwrap_or(STORIES);
    let mut led_to = BTreeMap::<&str, usize>::new();
    for seed in 0..stories {
        let plain = told(seed, plainly);
        for way in 0..2 {
            let varied = told(seed, |story| somehow(story, &Draw::new(seed * 31 + way)));
            assert_eq!(varied, plain, "seed {seed}, way {way}");
        }
        for what in ["Suspected", "Confirmed", "Breached", " 1 blocks", " 0 blocks", "Contained"] {
            *led_to.entry(what).or_default() += plain.join("\n").matches(what).count();
        }
        assert!(!plain.iter().any(|line| line.contains(" 2 blocks") || line.contains(" 2 resets")));
    }
    assert_eq!(led_to.len(), 6);
    assert!(
        led_to.values().all(|times| *times * 20 > usize::try_from(stories).unwrap()),
        "{led_to:?}"
    );
}
