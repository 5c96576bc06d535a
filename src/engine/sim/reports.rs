//! Whoever may only tell cannot lock anybody out: reports of every proof, and whatever a stolen token posts.

use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::chaos::draw::Draw;
use super::{Sim, in_virtual_time, playbook};
use crate::engine::ingest::{Door, Fact, Incoming, Told};
use crate::engine::policy::SourceView;
use crate::model::alert::{Proof, Report};
use crate::model::entry::{Entry, PlanPublished};
use crate::model::event::{AccountName, ChangedBy, Event, EventKind, EventOutcome, Factor, Origin};
use crate::model::id::{EventId, PlanDigest, ReportId};
use crate::model::incident::{MayCause, Stage};
use crate::model::plan::{Mode, Trigger};
use crate::model::time::{Span, Time};

const PEOPLE: [&str; 2] = ["dana@example.com", "pete@example.com"];
const PROOFS: [Proof; 3] = [Proof::SelfProved, Proof::AuthenticatedOther, Proof::Relayed];

/// What would lock somebody out; the directory says so as well as the log of calls.
fn locked_out(sim: &Sim) -> Vec<String> {
    let log = sim.world.log.lock().unwrap();
    let locking = |action: &&String| *action == "idp/block" || *action == "idp/reset";
    log.iter().map(|did| did.action.clone()).filter(|a| locking(&a)).collect()
}

/// The shipped containment, started by reports as well.
pub(super) async fn answering_reports(mode: Mode, seed: u64) -> Sim {
    let sim = Sim::new(seed, mode).await;
    let mut plan = playbook();
    plan.triggers.push(Trigger::Report);
    let published = PlanPublished {
        name: plan.name.clone(),
        digest: PlanDigest::new("plan-2"),
        plan,
        source: String::new(),
        by: "test".into(),
        diff: String::new(),
        signed: None,
    };
    sim.engine.commit(|tx| tx.push(Entry::PlanPublished(Box::new(published)))).await.unwrap();
    sim
}

fn report(draw: &Draw, n: u64, at: Time) -> Fact {
    Fact::Report(Box::new(Report {
        id: ReportId::mint(at, [u8::try_from(n % 251).unwrap(); 10]),
        account: who(draw),
        time: at - TimeDelta::seconds(i64::try_from(draw.below(900)).unwrap()),
        proof: PROOFS[draw.index(PROOFS.len())],
        text: String::new(),
        taken_by: None,
    }))
}

fn who(draw: &Draw) -> AccountName {
    let login = PEOPLE[draw.index(PEOPLE.len())].to_owned();
    AccountName { login: Some(login), provider_id: None }
}

/// What a thief who knows the schema would post: a breach, as plainly as it can be said.
fn event(draw: &Draw, n: u64, at: Time) -> Fact {
    let (kind, outcome) = match draw.below(5) {
        0 | 1 => (EventKind::Prompt, EventOutcome::Denied),
        2 => (EventKind::Prompt, EventOutcome::Approved),
        3 => (EventKind::SignIn, EventOutcome::Succeeded),
        _ => (EventKind::FactorChange, EventOutcome::Succeeded),
    };
    let factor = kind == EventKind::FactorChange;
    Fact::Event(Box::new(Event {
        id: EventId::new(format!("forged-{n}")),
        kind,
        account: who(draw),
        time: at - TimeDelta::seconds(i64::try_from(draw.below(120)).unwrap()),
        outcome,
        factor: Some(Factor::Push),
        origin: Origin::Password,
        ip: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))),
        asn: None,
        place: None,
        device: None,
        client: None,
        app: None,
        session: Some("s".to_owned()),
        correlation: None,
        factor_id: factor.then(|| format!("f{n}")),
        changed_by: ChangedBy::Own,
        new_device: None,
        message: String::new(),
        synthetic: false,
    }))
}

/// Plays one story and counts its runs: so many deliveries in any order, at any pace, with waits in which silence is heard out.
fn play(seed: u64, mode: Mode, stolen_token: bool) -> usize {
    in_virtual_time(async {
        let draw = Draw::new(seed);
        let sim = answering_reports(mode, seed).await;
        if draw.chance(50) {
            sim.world.privileged(PEOPLE[0]);
        }
        for n in 0..draw.between(1, 40) {
            let now = sim.engine.now();
            let fact = match draw.below(if stolen_token { 3 } else { 1 }) {
                0 => report(&draw, n, now),
                1 => event(&draw, n, now),
                _ => {
                    let stage =
                        [Stage::Suspected, Stage::Confirmed, Stage::Breached][draw.index(3)];
                    Fact::Alert(Box::new(sim.an_alert(PEOPLE[draw.index(2)], stage)))
                }
            };
            // Reports stay harmless even where their source may cause anything; a token is held to revocation.
            let may_cause = if stolen_token { MayCause::Revoke } else { MayCause::Contain };
            if !stolen_token && draw.chance(30) {
                let (door, proof) =
                    ([Door::Form, Door::HelpDesk][draw.index(2)], PROOFS[draw.index(3)]);
                let login = PEOPLE[draw.index(2)].to_owned();
                let text = "a prompt".to_owned();
                let told = Told { login, proof, text, taken_by: None, once: format!("o{n}") };
                sim.engine.told(door, told).await.unwrap();
            }
            let delivery = format!("d{}", n - n.min(draw.below(2)));
            let incoming = Incoming {
                source: SourceView {
                    id: "stolen".into(),
                    may_cause,
                    connections: vec!["idp".into()],
                    aliases: BTreeMap::new(),
                },
                delivery,
                facts: vec![fact],
                accepted: 1,
                rejected: Vec::new(),
                replayed: false,
            };
            sim.engine.ingest(incoming).await.unwrap();
            sim.pass(Span::seconds(i64::try_from(draw.below(400)).unwrap())).await;
        }
        sim.pass(Span::hours(26)).await;

        let locked = locked_out(&sim);
        assert!(locked.is_empty(), "seed {seed}, {mode:?}: {locked:?}");
        for name in PEOPLE {
            assert!(sim.world.person(name).enabled, "seed {seed}, {mode:?}: {name} is shut out");
        }
        sim.engine.read(|core| core.state.runs.len())
    })
}

#[test]
fn reports_of_any_proof_and_number_lock_nobody_out_in_any_mode() {
    let modes = [Mode::Observe, Mode::Approve, Mode::Auto];
    let stories = (0..60).flat_map(|seed| modes.map(|mode| play(seed, mode, false)));
    assert!(stories.sum::<usize>() > 100, "too few led to anything");
}

#[test]
fn whatever_one_stolen_ingest_token_posts_locks_nobody_out_in_any_mode() {
    let modes = [Mode::Observe, Mode::Approve, Mode::Auto];
    let stories = (1_000..1_060).flat_map(|seed| modes.map(|mode| play(seed, mode, true)));
    assert!(stories.sum::<usize>() > 100, "too few led to anything");
}

/// The stories above would prove nothing if what they post could not be believed.
#[test]
fn the_same_evidence_from_a_source_that_may_contain_does_lock_out() {
    in_virtual_time(async {
        let draw = Draw::new(7);
        let sim = answering_reports(Mode::Auto, 7).await;
        let mut shut = false;
        for n in 0..60 {
            let (now, id) = (sim.engine.now(), format!("d{n}"));
            sim.deliver(&id, MayCause::Contain, event(&draw, n, now)).await.unwrap();
            sim.pass(Span::seconds(20)).await;
            shut |= !locked_out(&sim).is_empty();
        }
        assert!(shut);
    });
}
