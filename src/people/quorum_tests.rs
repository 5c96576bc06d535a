//! Questions that take several people, and people who may not answer.

use chrono::TimeDelta;
use serde_json::Value;

use super::decisions::first_problem;
use super::soft::{SoftError, SoftPerson};
use super::stand::Stand;
use super::{Bar, Problem, Wish};
use crate::engine::people::Refusal;
use crate::engine::policy::Policy;
use crate::model::approval::{ApprovalState, Decision};
use crate::model::entry::Entry;
use crate::model::id::ApprovalId;

const WHY: &str = "called back on a known number";

async fn enrol(stand: &Stand, name: &str) -> SoftPerson {
    SoftPerson::enrol(&stand.people, name, &["approver"]).await.unwrap()
}

/// One answer about some of the items.
async fn answer(
    stand: &Stand,
    who: &mut SoftPerson,
    question: ApprovalId,
    ticks: &[usize],
) -> Result<ApprovalState, Problem> {
    let all = stand.people.ticks(question);
    let wish = Wish {
        approval: question,
        decision: Decision::Approve,
        items: ticks.iter().map(|n| all[*n].clone()).collect(),
        justification: WHY.into(),
        confirm: "mia".into(),
    };
    let (_, begun) = stand.people.decide_begin(who.id, &wish)?;
    let signed = who.answer(begun.options).unwrap();
    stand.people.decide_finish(who.id, question, &begun.ceremony, &signed).await
}

#[tokio::test]
async fn a_privileged_person_takes_two_people_and_what_both_of_them_ticked() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", true).await;
    let (mut ann, mut bob) = (enrol(&stand, "ann").await, enrol(&stand, "bob").await);

    let first = answer(&stand, &mut ann, question, &[0, 1]).await.unwrap();
    assert_eq!(first, ApprovalState::Pending);
    assert!(stand.question(question).granted.is_empty());
    let again = answer(&stand, &mut ann, question, &[0, 1]).await;
    assert!(matches!(again, Err(Problem::Bar(Bar::Voted))), "{again:?}");
    let second = answer(&stand, &mut bob, question, &[1]).await.unwrap();

    assert_eq!(second, ApprovalState::Approved);
    let granted = stand.question(question).granted;
    assert_eq!(granted, [stand.question(question).items[1].cell.clone()]);
    assert_eq!(first_problem(&stand.journal()), None);
}

#[tokio::test]
async fn answers_with_nothing_in_common_grant_nothing_and_one_no_ends_it() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", true).await;
    let (mut ann, mut bob) = (enrol(&stand, "ann").await, enrol(&stand, "bob").await);
    answer(&stand, &mut ann, question, &[0]).await.unwrap();

    let other = answer(&stand, &mut bob, question, &[1]).await;
    let refused = matches!(other, Err(Problem::Refused(Refusal::NothingInCommon)));
    assert!(refused, "{other:?}");
    let no = bob.decide(&stand.people, question, Decision::Deny, "").await.unwrap();

    assert_eq!(no, ApprovalState::Denied);
    assert_eq!(first_problem(&stand.journal()), None);
}

#[tokio::test]
async fn two_people_of_one_group_are_not_two_where_there_are_groups() {
    let groups = [("ann", "soc"), ("bob", "soc"), ("cleo", "iam")];
    let groups = groups.map(|(name, group)| (name.to_owned(), vec![group.to_owned()]));
    let policy = Policy { groups: groups.into(), ..Policy::default() };
    let stand = Stand::with(policy).await;
    let question = stand.ask("mia", true).await;
    let mut all = Vec::new();
    for name in ["ann", "bob", "cleo"] {
        all.push(enrol(&stand, name).await);
        stand.clock.pass(TimeDelta::milliseconds(1));
    }
    // The third passkey decides a day later.
    answer(&stand, &mut all[0], question, &[0]).await.unwrap();

    let same = answer(&stand, &mut all[1], question, &[0]).await;

    assert!(matches!(same, Err(Problem::Refused(Refusal::SameGroup))), "{same:?}");
    assert_eq!(stand.question(question).state, ApprovalState::Pending);
}

#[tokio::test]
async fn a_new_passkey_waits_a_day_once_two_others_decide() {
    let stand = Stand::new().await;
    let (_ann, _bob) = (enrol(&stand, "ann").await, enrol(&stand, "bob").await);
    stand.clock.pass(TimeDelta::hours(25));
    let mut eve = enrol(&stand, "eve").await;
    let question = stand.ask("mia", false).await;

    let fresh = answer(&stand, &mut eve, question, &[0]).await;
    assert!(matches!(fresh, Err(Problem::Bar(Bar::Fresh(_)))), "{fresh:?}");
    // A ticket for somebody who is enrolled already replaces their passkey: it is as new.
    let mut ann = enrol(&stand, "ann").await;
    stand.clock.pass(TimeDelta::minutes(1));
    assert!(answer(&stand, &mut ann, question, &[0]).await.is_ok(), "only bob is left beside her");
    stand.clock.pass(TimeDelta::hours(24));
    let later = stand.ask("noa", false).await;
    assert!(answer(&stand, &mut eve, later, &[0]).await.is_ok());
}

#[tokio::test]
async fn whoever_let_an_attacker_in_does_not_decide_about_others() {
    let stand = Stand::new().await;
    let (mut ann, _bob) = (enrol(&stand, "ann").await, enrol(&stand, "bob").await);
    let own = stand.ask("ann@corp.example", false).await;
    let question = stand.ask("mia", false).await;

    assert!(answer(&stand, &mut ann, question, &[0]).await.is_ok(), "being bombed bars nobody");
    let next = stand.ask("noa", false).await;
    stand.let_in(own).await;
    let barred = answer(&stand, &mut ann, next, &[0]).await;

    assert!(matches!(barred, Err(Problem::Bar(Bar::OwnCase(..)))), "{barred:?}");
}

#[tokio::test]
async fn whom_it_concerns_is_typed_where_a_privileged_person_is() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", true).await;
    let ann = enrol(&stand, "ann").await;
    let wish = |confirm: &str| Wish {
        approval: question,
        decision: Decision::Approve,
        items: stand.people.ticks(question),
        justification: WHY.into(),
        confirm: confirm.into(),
    };

    for wrong in ["", "noa", "mia2"] {
        let begun = stand.people.decide_begin(ann.id, &wish(wrong));
        assert!(matches!(begun, Err(Problem::Confirm(_))), "{wrong:?}");
    }
    let (statement, _) = stand.people.decide_begin(ann.id, &wish(" Mia ")).unwrap();
    assert_eq!(statement.typed.as_deref(), Some("mia"));
}

#[tokio::test]
async fn a_role_that_is_lost_between_the_question_and_the_signature_counts() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", false).await;
    let mut ann = enrol(&stand, "ann").await;
    let wish = Wish {
        approval: question,
        decision: Decision::Approve,
        items: stand.people.ticks(question),
        justification: String::new(),
        confirm: String::new(),
    };
    let (_, begun) = stand.people.decide_begin(ann.id, &wish).unwrap();
    let signed = ann.answer(begun.options).unwrap();
    let demoted = crate::model::entry::PersonEnrolled {
        roles: vec!["viewer".into()],
        ..stand.people.person(ann.id).unwrap()
    };
    let demote = stand.engine.commit(|tx| tx.push(Entry::PersonEnrolled(Box::new(demoted))));
    demote.await.unwrap();

    let late = stand.people.decide_finish(ann.id, question, &begun.ceremony, &signed).await;

    assert!(matches!(late, Err(Problem::Bar(Bar::Role))), "{late:?}");
    assert_eq!(stand.question(question).state, ApprovalState::Pending);
}

#[tokio::test]
async fn answers_that_come_together_are_counted_one_after_the_other() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", false).await;
    let (mut ann, mut bob) = (enrol(&stand, "ann").await, enrol(&stand, "bob").await);

    let (one, two) = futures::join!(
        answer(&stand, &mut ann, question, &[0]),
        answer(&stand, &mut bob, question, &[0, 1])
    );

    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1, "{one:?} {two:?}");
    let decided = |e: &&Entry| matches!(e, Entry::ApprovalDecided(_));
    assert_eq!(stand.journal().iter().filter(decided).count(), 1);
}

type Change = (&'static str, Box<dyn Fn(&mut Vec<Value>)>);

fn change(what: &'static str, change: impl Fn(&mut Vec<Value>) + 'static) -> Change {
    (what, Box::new(change))
}

/// Everything that somebody could change in an export whose hashes they made anew.
fn changes(place: impl Fn(&str, usize) -> usize) -> Vec<Change> {
    let (vote, yes, no) =
        (place("approval.voted", 0), place("approval.decided", 0), place("approval.decided", 1));
    let (asked, begun) = (place("approval.opened", 0), place("step.intent", 0));
    let statement = |e: &mut Vec<Value>, at: usize, key: &str, value: &str| {
        e[at]["signed"]["statement"][key] = value.into();
    };
    vec![
        change("an altered statement", move |e| statement(e, yes, "nonce", "00")),
        change("another decision", move |e| statement(e, no, "decision", "approve")),
        change("a no turned into a yes", move |e| e[no]["state"] = "approved".into()),
        change("a swapped assertion", move |e| {
            e[yes]["signed"]["assertion"] = e[no]["signed"]["assertion"].clone();
        }),
        change("a decision that is missing", move |e| drop(e.remove(yes))),
        change("an answer that is missing", move |e| drop(e.remove(vote))),
        change("an answer counted twice", move |e| e.insert(vote, e[vote].clone())),
        change("another plan", move |e| e[asked]["approval"]["plan"] = "plan-2".into()),
        change("another target", move |e| {
            e[asked]["approval"]["items"][0]["target"] = "idp:9".into();
        }),
        change("more granted than everybody ticked", move |e| {
            let cell = e[vote]["vote"]["cells"][1].clone();
            e[yes]["granted"].as_array_mut().unwrap().push(cell);
        }),
        change("other inputs sent than approved", move |e| {
            e[begun]["call"]["inputs"]["account"]["id"] = "9".into();
        }),
        change("a step that was left out begun all the same", move |e| {
            e[begun]["cell"]["item"] = "idp:2".into();
        }),
        change("somebody else's name on an answer", move |e| {
            e[vote]["vote"]["by"] = e[yes]["by"].clone();
        }),
        change("another reason", move |e| e[yes]["signed"]["justification"] = "none".into()),
    ]
}

#[tokio::test]
async fn a_journal_that_was_touched_is_found_out_by_its_decisions_alone() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", true).await;
    let (mut ann, mut bob) = (enrol(&stand, "ann").await, enrol(&stand, "bob").await);
    answer(&stand, &mut ann, question, &[0, 1]).await.unwrap();
    answer(&stand, &mut bob, question, &[0]).await.unwrap();
    let second = stand.ask("noa", false).await;
    ann.decide(&stand.people, second, Decision::Deny, "").await.unwrap();
    stand.begin(question).await;
    let good: Vec<Value> =
        stand.journal().iter().map(|e| serde_json::to_value(e).unwrap()).collect();
    let place = |kind: &str, n: usize| {
        let all = good.iter().enumerate().filter(|(_, e)| e["type"] == kind);
        all.map(|(at, _)| at).nth(n).unwrap()
    };
    let said_of = |entries: Vec<Value>| {
        let entries = entries.into_iter().map(|e| serde_json::from_value(e).unwrap());
        first_problem(&entries.collect::<Vec<_>>())
    };

    assert_eq!(said_of(good.clone()), None);
    for (what, change) in changes(place) {
        let mut touched = good.clone();
        change(&mut touched);
        assert!(said_of(touched).is_some(), "{what} was not found");
    }
}

#[tokio::test]
async fn a_typed_name_and_a_reason_are_part_of_what_is_signed() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", true).await;
    let mut ann = enrol(&stand, "ann").await;
    let bare = ann.decide(&stand.people, question, Decision::Approve, "ok").await;
    assert!(matches!(bare, Err(SoftError::People(Problem::Justification(_)))));

    answer(&stand, &mut ann, question, &[0]).await.unwrap();

    let signed = stand.journal().into_iter().find_map(|e| match e {
        Entry::ApprovalVoted(voted) => Some(voted.signed),
        _ => None,
    });
    let mut signed = signed.unwrap();
    assert!(super::offline::verify_signed(&signed).is_ok());
    signed.statement.typed = None;
    assert!(super::offline::verify_signed(&signed).is_err());
}
