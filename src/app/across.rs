//! Many people, one source, through the whole intake: who came first rises when the last one comes in.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;

use super::rig::{Rig, in_one_runtime};
use crate::connector::catalogue::Catalogue;
use crate::engine::ingest::{Fact, Incoming};
use crate::engine::policy::SourceView;
use crate::engine::ports::Clock as _;
use crate::model::event::{AccountName, Event, EventKind, EventOutcome, Origin};
use crate::model::id::EventId;
use crate::model::incident::{Incident, MayCause, Stage};
use crate::model::subject::Alias;

/// Three denied prompts of one person, as a source tells them.
fn burst(rig: &Rig, person: &str, source: &str, may_cause: MayCause) -> Incoming {
    let prompt = |n: i64| Event {
        id: EventId::new(format!("{person}:{n}")),
        kind: EventKind::Prompt,
        account: AccountName { provider_id: None, login: Some(person.to_owned()) },
        time: rig.clock.now() - TimeDelta::seconds(90 - 30 * n),
        outcome: EventOutcome::Denied,
        factor: None,
        origin: Origin::Password,
        ip: "203.0.113.9".parse().ok(),
        asn: None,
        place: None,
        device: None,
        client: None,
        app: None,
        session: None,
        correlation: None,
        factor_id: None,
        changed_by: crate::model::event::ChangedBy::Unknown,
        new_device: None,
        message: String::new(),
        synthetic: true,
    };
    Incoming {
        source: SourceView {
            id: source.into(),
            may_cause,
            connections: Vec::new(),
            aliases: BTreeMap::new(),
        },
        delivery: format!("{source}:{person}"),
        facts: (0..3).map(|n| Fact::Event(Box::new(prompt(n)))).collect(),
        accepted: 3,
        rejected: Vec::new(),
        replayed: false,
    }
}

fn case(rig: &Rig, person: &str) -> Incident {
    rig.engine.read(|core| {
        let subject = core.state.subject_by_alias(&Alias::login(person)).unwrap().id;
        let newest = core.state.newest[&subject];
        (*core.state.incidents[&newest]).clone()
    })
}

#[test]
fn the_fourth_person_raises_the_first_by_the_firsts_own_sources_word() {
    let catalogue = Arc::new(Catalogue::builtin().unwrap());
    in_one_runtime(async {
        let rig = Rig::new(&catalogue, 0);
        for person in ["a@x.test", "b@x.test", "c@x.test"] {
            rig.engine.ingest(burst(&rig, person, "weak", MayCause::Revoke)).await.unwrap();
        }
        assert_eq!(case(&rig, "a@x.test").stage, Stage::Noted);

        rig.engine.ingest(burst(&rig, "d@x.test", "strong", MayCause::Contain)).await.unwrap();

        let first = case(&rig, "a@x.test");
        assert_eq!((first.stage, first.may_cause), (Stage::Suspected, MayCause::Revoke));
        assert!(first.reason.contains("asked 4 people (a campaign)"), "{}", first.reason);
        let campaign = first.campaign.unwrap();
        assert_eq!((campaign.key.as_str(), campaign.people), ("address 203.0.113.9", 4));
        assert_eq!(case(&rig, "d@x.test").campaign.unwrap().id, campaign.id);
        let lines = rig.journal().await.len();
        rig.engine.ingest(burst(&rig, "d@x.test", "strong", MayCause::Contain)).await.unwrap();
        assert_eq!(rig.journal().await.len(), lines, "a repetition says nothing new");
    });
}

#[test]
fn what_a_recording_source_says_raises_nobody_else() {
    let catalogue = Arc::new(Catalogue::builtin().unwrap());
    in_one_runtime(async {
        let rig = Rig::new(&catalogue, 0);
        rig.engine.ingest(burst(&rig, "a@x.test", "log", MayCause::Contain)).await.unwrap();
        for n in 0..6 {
            let person = format!("forged-{n}@x.test");
            rig.engine.ingest(burst(&rig, &person, "forger", MayCause::Record)).await.unwrap();
        }

        let first = case(&rig, "a@x.test");
        assert_eq!((first.stage, first.campaign), (Stage::Noted, None));
    });
}

/// A grant beside failed prompts: told by its own delivery, from an address.
fn grant(rig: &Rig, delivery: &str, ip: &str) -> Incoming {
    let mut incoming = burst(rig, "a@x.test", "log", MayCause::Contain);
    incoming.facts.truncate(1);
    for fact in &mut incoming.facts {
        if let Fact::Event(event) = fact {
            event.id = EventId::new(delivery);
            event.kind = EventKind::Grant;
            event.outcome = EventOutcome::Succeeded;
            event.time = rig.clock.now();
            event.ip = ip.parse().ok();
        }
    }
    Incoming { delivery: delivery.to_owned(), ..incoming }
}

#[test]
fn a_grant_in_an_open_incident_is_told_once_and_a_breach_only_from_the_hostile_side() {
    let catalogue = Arc::new(Catalogue::builtin().unwrap());
    in_one_runtime(async {
        let rig = Rig::new(&catalogue, 0);
        rig.engine.ingest(burst(&rig, "a@x.test", "log", MayCause::Contain)).await.unwrap();

        rig.engine.ingest(grant(&rig, "everyday", "198.51.100.7")).await.unwrap();
        let everyday = case(&rig, "a@x.test");
        rig.engine.ingest(grant(&rig, "hostile", "203.0.113.9")).await.unwrap();
        let lines = rig.journal().await.len();
        let mut again = grant(&rig, "hostile", "203.0.113.9");
        again.delivery = "the same event, told by another delivery".to_owned();
        rig.engine.ingest(again).await.unwrap();

        assert_eq!((everyday.stage, everyday.counts.events), (Stage::Noted, 4));
        let hostile = case(&rig, "a@x.test");
        assert_eq!((hostile.stage, hostile.counts.events), (Stage::Breached, 5));
        assert_eq!(rig.journal().await.len(), lines, "a repetition says nothing new");
    });
}
