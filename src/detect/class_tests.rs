//! Classes of people, each judged by detections of its own. All made up.

use super::tests::{ATTACKER, HOME, at, event, signed_in};
use super::*;
use crate::model::event::{EventKind, EventOutcome};
use crate::model::id::SubjectId;
use crate::model::incident::Stage;
use crate::model::subject::{Account, Authority, Link, Subject};

fn denied(n: i64, pause: i64) -> Vec<Event> {
    let one = |i: i64| event(i * pause, EventKind::Prompt, EventOutcome::Denied, ATTACKER);
    (0..n).map(one).collect()
}

fn judged(login: &str, who: Option<&Subject>, facts: &[Event]) -> Vec<(Stage, String)> {
    let mut detector = Detector::default();
    let mut said = Vec::new();
    for fact in facts {
        let about = About { now: at(5_000), who, ..About::default() };
        let signals = detector.observe(&format!("login:{login}"), fact, &about);
        said.extend(signals.into_iter().map(|s| (s.stage, s.rule)));
    }
    said
}

fn stage(login: &str, facts: &[Event]) -> Option<Stage> {
    judged(login, None, facts).into_iter().map(|(stage, _)| stage).max()
}

fn guest() -> Subject {
    Subject {
        id: SubjectId::mint(at(0), [1; 10]),
        name: "gus@partner.example".into(),
        aliases: Vec::new(),
        accounts: vec![Account {
            connection: "entra".into(),
            provider_id: "7".into(),
            login: "gus@partner.example".into(),
            name: String::new(),
            authority: Authority::Guest,
            status: "active".into(),
            privileged: false,
            protected: false,
            link: Link::Strong,
            roles_unread: false,
            read_at: at(0),
        }],
        resolved_at: Some(at(0)),
        merged_into: None,
        connections: Vec::new(),
        silent: Vec::new(),
    }
}

#[test]
fn any_prompt_at_a_workload_is_suspected_and_told_once() {
    let sent = event(0, EventKind::Prompt, EventOutcome::Prompted, HOME);
    let facts = [sent.clone(), event(20, EventKind::Prompt, EventOutcome::Approved, HOME), sent];

    let told = judged("svc-backup@example.com", None, &facts);

    assert_eq!(told, [(Stage::Suspected, "workload-prompted".to_owned())]);
    assert_eq!(stage("svc-backup@example.com", &[signed_in(0, HOME)]), None, "it signs in all day");
    assert_eq!(stage("ana@example.com", &facts), None);
}

#[test]
fn any_use_of_an_account_for_emergencies_is_suspected_and_no_more() {
    let failed = event(0, EventKind::SignIn, EventOutcome::Failed, ATTACKER);
    for fact in [failed, signed_in(0, HOME)] {
        assert_eq!(stage("break-glass-1@example.com", &[fact]), Some(Stage::Suspected));
    }
}

#[test]
fn a_guest_is_one_by_name_or_by_what_the_directory_says() {
    let facts = denied(4, 500);
    let (guest, login) = (guest(), "gus@partner.example");

    assert_eq!(stage("gus_partner.example#EXT#@example.com", &facts), Some(Stage::Suspected));
    assert_eq!(
        judged(login, Some(&guest), &facts).last().map(|(stage, _)| *stage),
        Some(Stage::Suspected)
    );
    assert!(stage(login, &facts) < Some(Stage::Suspected), "nobody has said so yet");
}

#[test]
fn a_service_desk_is_suspected_sooner_from_somewhere_new() {
    assert_eq!(stage("helpdesk.bo@example.com", &denied(2, 30)), Some(Stage::Suspected));
    assert_eq!(stage("bo@example.com", &denied(2, 30)), None);
}
