//! Evidence that rises at any point of a run's life gets its continuation, and nothing is done a second time.
//!
//! Every kind of evidence that raises an open incident, at every moment: before there is a run, after each of its
//! commits, while it waits for people, after its end, after containment, before and after the process
//! died; and then several of them, one after another. Whatever is asked is answered with yes.

use chrono::TimeDelta;

use super::chaos::draw::Draw;
use super::reports::answering_reports;
use super::stream::{event, hostile, post};
use super::{Sim, describe, in_virtual_time};
use crate::engine::ingest::Fact;
use crate::model::alert::{Proof, Report};
use crate::model::approval::Decision;
use crate::model::event::{AccountName, Event, EventKind, EventOutcome};
use crate::model::id::ReportId;
use crate::model::incident::{IncidentStatus, Stage};
use crate::model::plan::Mode;
use crate::model::time::{Span, Time};

const DANA: &str = "dana@example.com";

/// What comes in while the incident is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One more prompt, and this one is approved.
    Approval,
    /// Somebody signs in from where the prompts came from.
    SignIn,
    /// A factor is enrolled.
    Factor,
    /// The person reports the prompts.
    Report,
    /// A detector is sure.
    Alert,
}

const KINDS: [Kind; 5] = [Kind::Approval, Kind::SignIn, Kind::Factor, Kind::Report, Kind::Alert];

impl Kind {
    fn stage(self) -> Stage {
        match self {
            Self::Approval | Self::SignIn | Self::Factor => Stage::Breached,
            Self::Report | Self::Alert => Stage::Confirmed,
        }
    }

    /// Whether the hostile side came in, so that what was revoked before is revoked again.
    fn is_entry(self) -> bool {
        matches!(self, Self::Approval | Self::SignIn)
    }

    fn facts(self, sim: &Sim, n: usize) -> Vec<Fact> {
        let now = sim.engine.now();
        let say = |what: &str, ago: i64, kind, outcome| {
            let time = now - TimeDelta::seconds(ago);
            hostile(event(format!("{what}-{n}"), DANA, time, kind, outcome))
        };
        let fact = |event: Event| Fact::Event(Box::new(event));
        match self {
            Self::Approval => vec![
                fact(say("asked", 5, EventKind::Prompt, EventOutcome::Denied)),
                fact(say("approved", 0, EventKind::Prompt, EventOutcome::Approved)),
            ],
            Self::SignIn => vec![fact(say("in", 0, EventKind::SignIn, EventOutcome::Succeeded))],
            Self::Factor => {
                let one = say("factor", 0, EventKind::FactorChange, EventOutcome::Succeeded);
                vec![fact(Event { factor_id: Some(format!("f{n}")), ..one })]
            }
            Self::Report => vec![Fact::Report(Box::new(Report {
                id: ReportId::mint(now, [u8::try_from(n % 250).unwrap(); 10]),
                account: AccountName { login: Some(DANA.to_owned()), provider_id: None },
                time: now,
                proof: Proof::SelfProved,
                text: String::new(),
                taken_by: None,
            }))],
            Self::Alert => vec![Fact::Alert(Box::new(sim.an_alert(DANA, Stage::Confirmed)))],
        }
    }
}

/// When it comes in.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// Three failed prompts were noted, and nothing runs.
    BeforeTheRun,
    /// So many commits after the burst.
    Commit(usize),
    /// So long after the burst; whatever was asked by then stands unanswered.
    Later(Span),
}

/// Where the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    Never,
    /// Right before the evidence comes in.
    Before,
    /// Right after it was acknowledged.
    After,
}

fn burst(sim: &Sim, prompts: i64) -> Vec<Fact> {
    let now = sim.engine.now();
    let prompt = |n: i64| {
        let time = now - TimeDelta::seconds(20 * (prompts - n));
        let one = format!("burst-{n}");
        let one = event(one, DANA, time, EventKind::Prompt, EventOutcome::Denied);
        Fact::Event(Box::new(hostile(one)))
    };
    (0..prompts).map(prompt).collect()
}

/// Waits until the journal has so many commits, if it ever does.
async fn until_commit(sim: &Sim, n: usize) {
    for _ in 0..100_000 {
        if sim.store.written().len() >= n {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_micros(100)).await;
    }
}

async fn comes_in(sim: &mut Sim, kind: Kind, n: usize, death: Death) {
    if death == Death::Before {
        sim.crash();
    }
    let facts = kind.facts(sim, n);
    post(sim, format!("rise-{n}"), facts, false).await;
    if death == Death::After {
        sim.crash();
    }
}

/// People answer within half a minute, for as long as anything goes on.
async fn rest(sim: &Sim) {
    for _ in 0..120 {
        sim.pass(Span::seconds(30)).await;
        sim.answer(Decision::Approve).await;
    }
}

/// What must be so in the end, whenever it came in.
fn check(sim: &Sim, kinds: &[Kind], entered: Option<Time>, told: &str) {
    let case = sim.incident();
    let runs: String = sim.runs().iter().map(describe).collect();
    let stage = kinds.iter().map(|kind| kind.stage()).max().unwrap();
    assert_eq!(case.stage, stage, "{told}\n{runs}");
    assert_eq!(sim.engine.read(|c| c.state.incidents.len()), 1, "{told}: one incident");
    assert_eq!(sim.world.did("idp/block"), 1, "{told}: blocks\n{runs}");
    assert_eq!(sim.world.did("idp/reset"), 1, "{told}: resets\n{runs}");
    assert_eq!(sim.world.tickets.lock().unwrap().len(), 1, "{told}: tickets\n{runs}");
    assert!(!sim.world.person(DANA).enabled, "{told}: open\n{runs}");
    assert_eq!(case.status, IncidentStatus::Contained, "{told}\n{runs}");
    let last = |action: &str| {
        sim.world.log.lock().unwrap().iter().filter(|d| d.action == action).map(|d| d.at).max()
    };
    let revoked = last("idp/revoke");
    assert!(revoked > last("idp/reset") && revoked > last("idp/block"), "{told}\n{runs}");
    assert!(revoked >= entered, "{told}: revoked before the entry of {entered:?}\n{runs}");
}

fn play(mode: Mode, kind: Kind, moment: Moment, death: Death) {
    let told = format!("{mode:?}, {kind:?} at {moment:?}, dies {death:?}");
    in_virtual_time(async {
        let mut sim = answering_reports(mode, 7).await;
        let prompts = if matches!(moment, Moment::BeforeTheRun) { 3 } else { 5 };
        let first = burst(&sim, prompts);
        post(&sim, "burst".to_owned(), first, false).await;
        match moment {
            Moment::BeforeTheRun => {}
            Moment::Commit(n) => until_commit(&sim, n).await,
            Moment::Later(span) => sim.pass(span).await,
        }
        comes_in(&mut sim, kind, 0, death).await;
        let entered = kind.is_entry().then(|| sim.engine.now());
        rest(&sim).await;
        check(&sim, &[kind], entered, &told);
    });
}

/// Commits from the foundation to the burst, and to the end of what it leads to.
fn commits(mode: Mode) -> (usize, usize) {
    in_virtual_time(async {
        let sim = answering_reports(mode, 7).await;
        let facts = burst(&sim, 5);
        post(&sim, "burst".to_owned(), facts, false).await;
        let begun = sim.store.written().len();
        sim.pass(Span::minutes(5)).await;
        (begun, sim.store.written().len())
    })
}

fn moments(mode: Mode) -> Vec<Moment> {
    let (begun, done) = commits(mode);
    assert!(done > begun + 6, "{begun} to {done}");
    let later = [Span::minutes(1), Span::minutes(25), Span::hours(2), Span::hours(20)];
    let mut all = vec![Moment::BeforeTheRun];
    all.extend((begun..=done).map(Moment::Commit));
    all.extend(later.map(Moment::Later));
    all
}

#[test]
fn rising_evidence_is_answered_at_every_moment_of_a_runs_life_and_nothing_twice() {
    for mode in [Mode::Auto, Mode::Approve] {
        for moment in moments(mode) {
            for kind in KINDS {
                play(mode, kind, moment, Death::Never);
            }
        }
    }
}

#[test]
fn rising_evidence_is_answered_whenever_the_process_dies_around_it() {
    for moment in moments(Mode::Auto) {
        for kind in KINDS {
            play(Mode::Auto, kind, moment, Death::Before);
            play(Mode::Auto, kind, moment, Death::After);
        }
    }
}

/// Several, with pauses from none to an hour, with deaths among them.
#[test]
fn evidence_that_rises_again_and_again_is_answered_once_each() {
    for seed in 0..200 {
        let draw = Draw::new(seed);
        let mode = draw.pick(&[Mode::Auto, Mode::Approve]);
        let kinds: Vec<Kind> = (0..draw.between(2, 5)).map(|_| draw.pick(&KINDS)).collect();
        in_virtual_time(async {
            let mut sim = answering_reports(mode, seed).await;
            let facts = burst(&sim, 5);
            post(&sim, "burst".to_owned(), facts, false).await;
            let mut entered = None;
            for (n, kind) in kinds.iter().enumerate() {
                let pauses = [0, 1, 40, 400, 3_000, 60_000, 3_600_000];
                let mut pause = draw.below(draw.pick(&pauses) + 1);
                // Silence would be an answer too.
                while pause > 300_000 {
                    sim.pass(Span::minutes(5)).await;
                    sim.answer(Decision::Approve).await;
                    pause -= 300_000;
                }
                tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
                if draw.chance(40) {
                    sim.answer(Decision::Approve).await;
                }
                let death = draw.pick(&[Death::Never, Death::Never, Death::Before, Death::After]);
                comes_in(&mut sim, *kind, n, death).await;
                entered = kind.is_entry().then(|| sim.engine.now()).or(entered);
            }
            rest(&sim).await;
            check(&sim, &kinds, entered, &format!("seed {seed}, {mode:?}: {kinds:?}"));
        });
    }
}

/// The no was said of weaker evidence, whatever the hostile side did since.
#[test]
fn what_people_denied_is_asked_again_once_the_hostile_side_acts() {
    for kind in KINDS.into_iter().filter(|kind| kind.stage() == Stage::Breached) {
        in_virtual_time(async {
            let mut sim = answering_reports(Mode::Approve, 11).await;
            let facts = burst(&sim, 5);
            post(&sim, "burst".to_owned(), facts, false).await;
            comes_in(&mut sim, Kind::Report, 0, Death::Never).await;
            sim.pass(Span::seconds(30)).await;
            assert!(sim.pending().is_some(), "{kind:?}");
            sim.answer(Decision::Deny).await;
            sim.pass(Span::minutes(5)).await;
            assert!(sim.pending().is_none(), "{kind:?}");
            assert_eq!(sim.world.did("idp/block"), 0, "{kind:?}");

            comes_in(&mut sim, kind, 1, Death::Never).await;
            sim.pass(Span::seconds(30)).await;
            let runs: String = sim.runs().iter().map(describe).collect();
            assert!(sim.pending().is_some(), "{kind:?} asks again\n{runs}");
            sim.answer(Decision::Approve).await;
            sim.pass(Span::minutes(5)).await;
            assert_eq!(sim.world.did("idp/block"), 1, "{kind:?}");
            assert_eq!(sim.incident().status, IncidentStatus::Contained, "{kind:?}");
        });
    }
}

/// What came back after containment does not make the first containment later.
#[test]
fn the_first_containment_stays_when_an_incident_is_opened_again() {
    in_virtual_time(async {
        let mut sim = answering_reports(Mode::Auto, 12).await;
        let facts = burst(&sim, 5);
        post(&sim, "burst".to_owned(), facts, false).await;
        sim.pass(Span::minutes(5)).await;
        let first = sim.incident();
        assert_eq!(first.first_contained_at, first.contained_at);
        assert_eq!(first.reopened_at, None);

        comes_in(&mut sim, Kind::Approval, 0, Death::Never).await;
        let opened = sim.engine.now();
        sim.pass(Span::hours(1)).await;
        let again = sim.incident();
        assert_eq!(again.status, IncidentStatus::Contained);
        assert_eq!(again.first_contained_at, first.contained_at);
        assert!(again.reopened_at > first.contained_at);
        assert!(again.contained_at > again.reopened_at);
        assert_eq!(first.entry_contained_at, None, "nobody had come in");
        assert_eq!(again.entry_contained_at, again.contained_at, "told after the first time");
        assert!(again.reopened_at <= Some(opened + TimeDelta::seconds(1)));
    });
}
