//! A drawn delivery as the facts that a source would send.

use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::story::{Delivery, Person, SOURCES, What};
use crate::engine::ingest::{Fact, Incoming};
use crate::engine::policy::SourceView;
use crate::model::alert::{Alert, AlertKind, Proof, Report};
use crate::model::event::{AccountName, ChangedBy, Event, EventKind, EventOutcome, Factor, Origin};
use crate::model::id::{AlertId, EventId, ReportId};
use crate::model::time::Time;

/// The attacker's address, and the person's own.
const HOSTILE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2));

/// A source's settings.
pub(super) fn view(source: usize) -> SourceView {
    let source = SOURCES[source];
    SourceView {
        id: source.id.into(),
        may_cause: source.may_cause,
        connections: source.connections.iter().map(|c| (*c).into()).collect(),
        aliases: BTreeMap::new(),
    }
}

/// A provider's id of a person's account.
pub(super) fn provider_id(person: &Person, account: usize) -> String {
    format!("{}-{account}", person.name.split('@').next().unwrap_or_default())
}

pub(super) fn incoming(delivery: &Delivery, person: &Person, now: Time) -> Incoming {
    let seconds = i64::try_from(delivery.age_s).unwrap_or_default();
    let facts = facts(delivery, person, now - TimeDelta::seconds(seconds));
    Incoming {
        source: view(delivery.source),
        delivery: format!("d{}", delivery.id),
        accepted: facts.len(),
        facts,
        rejected: Vec::new(),
        replayed: delivery.replayed,
    }
}

fn account_of(delivery: &Delivery, person: &Person) -> AccountName {
    let connections = SOURCES[delivery.source].connections;
    // A source names only accounts of its own connections by id.
    let by_id = delivery
        .by_id
        .map(|n| n % person.accounts.len())
        .filter(|n| connections.contains(&person.accounts[*n]));
    match by_id {
        Some(n) => AccountName { provider_id: Some(provider_id(person, n)), login: None },
        None => AccountName { provider_id: None, login: Some(person.name.clone()) },
    }
}

fn facts(delivery: &Delivery, person: &Person, at: Time) -> Vec<Fact> {
    let account = account_of(delivery, person);
    let event = |n: u64, kind, outcome, ip| Event {
        id: EventId::new(format!("e{}-{n}", delivery.id)),
        ..event(kind, outcome, &account, at, ip)
    };
    let failed = |n: u64| {
        let time = at - TimeDelta::seconds(i64::try_from(10 * (20 - n)).unwrap_or_default());
        Event { time, ..event(n, EventKind::Prompt, EventOutcome::Denied, HOSTILE) }
    };
    match delivery.what {
        What::Alert { stage, exposed } => {
            let id = u8::try_from(delivery.id).unwrap_or_default();
            vec![Fact::Alert(Box::new(Alert {
                id: AlertId::mint(at, [id; 10]),
                kind: AlertKind::MfaFatigue,
                account,
                time: at,
                stage,
                reason: format!("reason {}", delivery.id),
                rule: "drawn".into(),
                events: Vec::new(),
                password_exposed: exposed,
                link: None,
            }))]
        }
        What::Burst { prompts, approved } => {
            let mut events: Vec<Event> = (0..prompts).map(failed).collect();
            if approved {
                events.push(event(90, EventKind::Prompt, EventOutcome::Approved, HOSTILE));
            }
            events.into_iter().map(|e| Fact::Event(Box::new(e))).collect()
        }
        What::Entry => {
            vec![Fact::Event(Box::new(event(
                0,
                EventKind::SignIn,
                EventOutcome::Succeeded,
                HOSTILE,
            )))]
        }
        What::OwnSignIn => {
            vec![Fact::Event(Box::new(event(0, EventKind::SignIn, EventOutcome::Succeeded, HOME)))]
        }
        What::Factor(n) => vec![Fact::Event(Box::new(Event {
            factor_id: Some(format!("f{n}")),
            changed_by: ChangedBy::Own,
            ..event(0, EventKind::FactorChange, EventOutcome::Succeeded, HOSTILE)
        }))],
        What::Report { own } => vec![Fact::Report(Box::new(Report {
            id: ReportId::mint(at, [9; 10]),
            account,
            time: at,
            proof: if own { Proof::SelfProved } else { Proof::Relayed },
            text: String::new(),
            taken_by: None,
        }))],
    }
}

fn event(
    kind: EventKind,
    outcome: EventOutcome,
    account: &AccountName,
    time: Time,
    ip: IpAddr,
) -> Event {
    Event {
        id: EventId::new(""),
        kind,
        account: account.clone(),
        time,
        outcome,
        factor: Some(Factor::Push),
        origin: Origin::Password,
        ip: Some(ip),
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
