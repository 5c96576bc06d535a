//! Every ceremony with a software passkey, and every way to cheat that we could think of.

use base64::Engine as _;
use chrono::TimeDelta;

use super::offline::{Invalid, verify_decided, verify_signed};
use super::soft::{SoftError, SoftPerson, made};
use super::stand::{HERE, Stand};
use super::*;
use crate::approval::statement::challenge;
use crate::model::approval::{ApprovalState, Decision, Signed};
use crate::model::entry::{ApprovalDecided, Entry};
use crate::model::id::ApprovalId;

async fn approver(stand: &Stand) -> SoftPerson {
    SoftPerson::enrol(&stand.people, "ann", &["approver"]).await.unwrap()
}

fn wish(stand: &Stand, approval: ApprovalId, decision: Decision) -> Wish {
    let items = stand.people.ticks(approval);
    Wish {
        approval,
        decision,
        items,
        justification: "seen the evidence".into(),
        confirm: String::new(),
    }
}

fn decided(stand: &Stand) -> ApprovalDecided {
    let commits = stand.store.submitted();
    let mut entries = commits.into_iter().flat_map(|c| c.entries);
    entries
        .find_map(|e| match e {
            Entry::ApprovalDecided(decided) => Some(*decided),
            _ => None,
        })
        .unwrap()
}

#[tokio::test]
async fn a_person_enrols_signs_in_and_approves_and_anyone_can_check_it() {
    let stand = Stand::new().await;
    let mut ann = approver(&stand).await;
    let question = stand.ask("mia", false).await;

    let secret = ann.sign_in(&stand.people).unwrap();
    let state = ann.decide(&stand.people, question, Decision::Approve, "").await.unwrap();

    assert_eq!(stand.people.session(&secret, true).unwrap().person, ann.id);
    assert_eq!(state, ApprovalState::Approved);
    assert_eq!(stand.question(question).granted.len(), 2);
    let person = stand.people.person(ann.id).unwrap();
    assert_eq!(verify_decided(&decided(&stand), &person), Ok(()));
}

/// Fails when an upgrade of the library changes how its state is written.
#[tokio::test]
async fn the_passkey_signs_the_statements_own_digest() {
    let stand = Stand::new().await;
    let mut ann = approver(&stand).await;
    let question = stand.ask("mia", false).await;

    let (statement, begun) =
        stand.people.decide_begin(ann.id, &wish(&stand, question, Decision::Deny)).unwrap();
    assert_eq!(begun.options.public_key.challenge, challenge(&statement));
    let answer = ann.answer(begun.options).unwrap();

    let client: serde_json::Value =
        serde_json::from_slice(&answer.response.client_data_json).unwrap();
    let spelled = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(challenge(&statement));
    assert_eq!(client["challenge"], spelled);
    // User present and verified.
    assert_eq!(answer.response.authenticator_data[32] & 0b101, 0b101);
    let state = stand.people.decide_finish(ann.id, question, &begun.ceremony, &answer).await;
    assert_eq!(state.unwrap(), ApprovalState::Denied);
}

#[tokio::test]
async fn only_the_ticked_items_are_granted() {
    let stand = Stand::new().await;
    let mut ann = approver(&stand).await;
    let question = stand.ask("mia", false).await;
    let mut wish = wish(&stand, question, Decision::Approve);
    wish.items.truncate(1);

    let (_, begun) = stand.people.decide_begin(ann.id, &wish).unwrap();
    let answer = ann.answer(begun.options).unwrap();
    stand.people.decide_finish(ann.id, question, &begun.ceremony, &answer).await.unwrap();

    assert_eq!(decided(&stand).granted.len(), 1);
}

#[tokio::test]
async fn an_answer_from_another_origin_is_refused() {
    let stand = Stand::new().await;
    let mut ann = approver(&stand).await;
    let question = stand.ask("mia", false).await;
    let (_, begun) =
        stand.people.decide_begin(ann.id, &wish(&stand, question, Decision::Approve)).unwrap();

    let elsewhere = Url::parse("http://localhost:9").unwrap();
    let answer = ann.answer_at(&elsewhere, begun.options).unwrap();
    let refused = stand.people.decide_finish(ann.id, question, &begun.ceremony, &answer).await;

    assert!(matches!(refused, Err(Problem::Passkey(_))), "{refused:?}");
    assert_eq!(stand.question(question).state, ApprovalState::Pending);
}

#[tokio::test]
async fn an_answer_counts_once_and_for_its_own_question_only() {
    let stand = Stand::new().await;
    let mut ann = approver(&stand).await;
    let (first, second) = (stand.ask("mia", false).await, stand.ask("noa", false).await);
    let begin =
        |q| stand.people.decide_begin(ann.id, &wish(&stand, q, Decision::Approve)).unwrap().1;
    let (one, two, three) = (begin(first), begin(second), begin(second));
    let answer = ann.answer(one.options).unwrap();
    let finish = |q, ceremony: String| {
        let (people, answer, by) = (stand.people.clone(), answer.clone(), ann.id);
        async move { people.decide_finish(by, q, &ceremony, &answer).await }
    };

    // The first question's answer in the second's ceremony, and with the second's address.
    assert!(matches!(finish(second, two.ceremony).await, Err(Problem::Passkey(_))));
    assert!(matches!(finish(first, three.ceremony).await, Err(Problem::Ceremony)));
    assert_eq!(finish(first, one.ceremony.clone()).await.unwrap(), ApprovalState::Approved);
    assert!(matches!(finish(first, one.ceremony).await, Err(Problem::Ceremony)));
    assert_eq!(stand.question(second).state, ApprovalState::Pending);
}

#[tokio::test]
async fn a_ceremony_lasts_two_minutes_and_a_session_a_quarter_of_an_hour() {
    let stand = Stand::new().await;
    let mut ann = approver(&stand).await;
    let question = stand.ask("mia", false).await;
    let secret = ann.sign_in(&stand.people).unwrap();
    let (_, begun) =
        stand.people.decide_begin(ann.id, &wish(&stand, question, Decision::Approve)).unwrap();
    let answer = ann.answer(begun.options).unwrap();

    stand.clock.pass(TimeDelta::seconds(120));
    let late = stand.people.decide_finish(ann.id, question, &begun.ceremony, &answer).await;
    assert!(matches!(late, Err(Problem::Ceremony)));

    stand.clock.pass(TimeDelta::seconds(12 * 60));
    // An open page asks for its regions, which is nobody's doing.
    assert!(stand.people.session(&secret, false).is_some());
    stand.clock.pass(TimeDelta::seconds(60));
    assert!(stand.people.session(&secret, true).is_none());
}

#[tokio::test]
async fn a_session_ends_after_eight_hours_of_work() {
    let stand = Stand::new().await;
    let mut ann = approver(&stand).await;
    let secret = ann.sign_in(&stand.people).unwrap();

    for _ in 0..47 {
        stand.clock.pass(TimeDelta::minutes(10));
        assert!(stand.people.session(&secret, true).is_some());
    }
    stand.clock.pass(TimeDelta::minutes(10));

    assert!(stand.people.session(&secret, true).is_none());
}

#[tokio::test]
async fn the_victim_and_those_without_the_role_do_not_decide() {
    let stand = Stand::new().await;
    let question = stand.ask("ann@corp.example", false).await;
    let ann = approver(&stand).await;
    let vic = SoftPerson::enrol(&stand.people, "vic", &["viewer", "analyst"]).await.unwrap();

    let begin = |by| stand.people.decide_begin(by, &wish(&stand, question, Decision::Deny));

    assert!(matches!(begin(ann.id), Err(Problem::Bar(Bar::Concerned(_)))));
    assert!(matches!(begin(vic.id), Err(Problem::Bar(Bar::Role))));
}

#[tokio::test]
async fn what_changed_or_expired_is_not_decided() {
    let stand = Stand::new().await;
    let ann = approver(&stand).await;
    let question = stand.ask("mia", false).await;
    let begin = |wish| stand.people.decide_begin(ann.id, &wish).map(|_| ());

    let good = wish(&stand, question, Decision::Approve);
    let other = Wish { items: vec!["0".repeat(64)], ..good.clone() };
    assert!(matches!(begin(other), Err(Problem::Changed)));
    assert!(matches!(begin(Wish { items: Vec::new(), ..good.clone() }), Err(Problem::NoItems)));
    stand.clock.pass(TimeDelta::minutes(20));
    assert!(matches!(begin(good), Err(Problem::Bar(Bar::Closed("expired")))));
}

#[tokio::test]
async fn a_privileged_person_is_not_locked_out_without_a_written_reason() {
    let stand = Stand::new().await;
    let mut ann = approver(&stand).await;
    let question = stand.ask("mia", true).await;

    let bare = ann.decide(&stand.people, question, Decision::Approve, "ok").await;
    let deny = ann.decide(&stand.people, question, Decision::Deny, "").await;

    assert!(matches!(bare, Err(SoftError::People(Problem::Justification(_)))));
    assert_eq!(deny.unwrap(), ApprovalState::Denied);
}

#[tokio::test]
async fn a_ticket_enrols_once_within_a_day() {
    let stand = Stand::new().await;
    let used = stand.people.invite("ann", &["approver"]).await.unwrap();
    let begun = stand.people.enrol_begin(used.reveal()).unwrap();
    let again = stand.people.enrol_begin(used.reveal()).unwrap();
    let here = Url::parse(HERE).unwrap();
    let soft = |options| made(&here, options).unwrap().1;
    let (one, two) = (soft(begun.options), soft(again.options));

    let enrol = |ceremony: String, answer| {
        let (people, ticket) = (stand.people.clone(), used.reveal().to_owned());
        async move { people.enrol_finish(&ticket, &ceremony, &answer).await }
    };
    assert!(enrol(begun.ceremony, one).await.is_ok());
    assert!(matches!(enrol(again.ceremony, two).await, Err(Problem::Refused(_))));
    assert!(matches!(stand.people.enrol_begin(used.reveal()), Err(Problem::Ticket)));

    let late = stand.people.invite("bob", &["viewer"]).await.unwrap();
    stand.clock.pass(TimeDelta::hours(24));
    assert!(matches!(stand.people.enrol_begin(late.reveal()), Err(Problem::Ticket)));
}

/// A lost passkey: the old one and whatever it opened are worth nothing from then on.
#[tokio::test]
async fn a_second_ticket_replaces_the_passkey_and_ends_the_sessions() {
    let stand = Stand::new().await;
    let mut old = approver(&stand).await;
    let secret = old.sign_in(&stand.people).unwrap();

    let new = approver(&stand).await;

    assert_eq!(new.id, old.id);
    assert!(stand.people.session(&secret, true).is_none());
    assert!(old.sign_in(&stand.people).is_err());
}

#[tokio::test]
async fn an_unknown_name_is_answered_like_a_known_one() {
    let stand = Stand::new().await;
    let _ann = approver(&stand).await;
    let offer = |name| {
        let begun = stand.people.sign_in_begin(name).unwrap();
        begun.options.public_key.allow_credentials
    };

    assert_eq!(offer(Some("nobody")).len(), 1);
    assert_eq!(offer(Some("nobody"))[0].id, offer(Some("Nobody"))[0].id);
    assert_eq!(offer(Some("nobody"))[0].id.len(), offer(Some("ann"))[0].id.len());
    assert!(offer(None).is_empty());
}

#[tokio::test]
async fn a_decision_that_was_touched_no_longer_verifies() {
    let stand = Stand::new().await;
    let mut ann = approver(&stand).await;
    let mut bob = SoftPerson::enrol(&stand.people, "bob", &["admin"]).await.unwrap();
    let (first, second) = (stand.ask("mia", false).await, stand.ask("noa", false).await);
    ann.decide(&stand.people, first, Decision::Approve, "").await.unwrap();
    let good = decided(&stand);
    bob.decide(&stand.people, second, Decision::Deny, "").await.unwrap();
    let person = stand.people.person(ann.id).unwrap();
    let other = stand.people.person(bob.id).unwrap();

    let touched = |change: &dyn Fn(&mut Signed)| {
        let mut signed = good.signed.clone();
        change(&mut signed);
        verify_signed(&signed)
    };
    assert!(touched(&|_| ()).is_ok());
    assert!(touched(&|s| s.statement.decision = Decision::Deny).is_err());
    assert!(touched(&|s| s.statement.nonce.push('0')).is_err());
    assert!(touched(&|s| s.statement.items[0].params.push('0')).is_err());
    assert!(touched(&|s| s.statement.rp = "elsewhere.example".into()).is_err());
    assert!(touched(&|s| s.justification.push('!')).is_err());
    assert!(touched(&|s| s.credential = other.passkey.clone()).is_err());
    assert!(touched(&|s| s.assertion["response"]["signature"] = "AAAA".into()).is_err());

    assert_eq!(verify_decided(&good, &other), Err(Invalid::Statement("approver")));
    let replaced = PersonEnrolled { passkey: other.passkey.clone(), ..person };
    assert!(matches!(verify_decided(&good, &replaced), Err(Invalid::Credential(_))));
}

#[tokio::test]
async fn passkeys_need_a_name_and_a_secure_address() {
    let stand = Stand::new().await;
    for (url, fits) in [
        ("https://quell.example", true),
        ("http://localhost:7878", true),
        ("http://quell.example", false),
        ("http://127.0.0.1:7878", false),
    ] {
        let made = People::new(stand.engine.clone(), &Url::parse(url).unwrap());
        assert_eq!(made.is_ok(), fits, "{url}");
    }
}
