//! One signature under several people's cases: all of it counts, or nothing.

use super::decisions::first_problem;
use super::soft::SoftPerson;
use super::stand::Stand;
use super::{Part, Problem, TOGETHER_MAX, Together};
use crate::model::approval::{ApprovalState, Decision};
use crate::model::entry::{ApprovalDecided, Entry};
use crate::model::id::ApprovalId;

async fn enrol(stand: &Stand, name: &str) -> SoftPerson {
    SoftPerson::enrol(&stand.people, name, &["approver"]).await.unwrap()
}

fn part(stand: &Stand, approval: ApprovalId, first: usize) -> Part {
    Part { approval, items: stand.people.ticks(approval).into_iter().skip(first).collect() }
}

fn wish(parts: Vec<Part>) -> Together {
    Together { parts, decision: Decision::Approve, justification: "one campaign".into() }
}

async fn answered(
    stand: &Stand,
    who: &mut SoftPerson,
    wish: &Together,
) -> Result<Vec<(ApprovalId, ApprovalState)>, Problem> {
    let (_, begun) = stand.people.together_begin(who.id, wish)?;
    let signed = who.answer(begun.options).unwrap();
    stand.people.together_finish(who.id, &begun.ceremony, &signed).await
}

#[tokio::test]
async fn one_signature_decides_what_is_ticked_of_each_and_each_can_be_checked_alone() {
    let stand = Stand::new().await;
    let (mia, tom) = (stand.ask("mia", false).await, stand.ask("tom", false).await);
    let mut ann = enrol(&stand, "ann").await;

    let parts = vec![part(&stand, mia, 0), part(&stand, tom, 1)];
    let done = answered(&stand, &mut ann, &wish(parts)).await.unwrap();

    assert_eq!(done, [(mia, ApprovalState::Approved), (tom, ApprovalState::Approved)]);
    assert_eq!(stand.question(mia).granted.len(), 2);
    assert_eq!(stand.question(tom).granted, [stand.question(tom).items[1].cell.clone()]);
    assert_eq!(first_problem(&stand.journal()), None);
}

#[tokio::test]
async fn an_answer_that_was_not_among_those_signed_is_found_offline() {
    let stand = Stand::new().await;
    let (mia, tom) = (stand.ask("mia", false).await, stand.ask("tom", false).await);
    let mut ann = enrol(&stand, "ann").await;
    let parts = vec![part(&stand, mia, 0), part(&stand, tom, 0)];
    answered(&stand, &mut ann, &wish(parts)).await.unwrap();

    let touch = |change: fn(&mut ApprovalDecided)| {
        let mut entries = stand.journal();
        let decided = entries.iter_mut().find_map(|e| match e {
            Entry::ApprovalDecided(decided) => Some(decided),
            _ => None,
        });
        change(decided.unwrap());
        first_problem(&entries)
    };

    for change in [
        |d: &mut ApprovalDecided| d.signed.together.clear(),
        |d: &mut ApprovalDecided| d.signed.together.swap(0, 1),
        |d: &mut ApprovalDecided| d.signed.together.push("00".repeat(32)),
        |d: &mut ApprovalDecided| drop(d.signed.together.remove(0)),
        |d: &mut ApprovalDecided| d.signed.statement.nonce = "00".repeat(32),
    ] {
        assert!(touch(change).is_some());
    }
}

#[tokio::test]
async fn if_one_of_them_cannot_be_decided_none_is() {
    let stand = Stand::new().await;
    let (mia, tom) = (stand.ask("mia", false).await, stand.ask("tom", false).await);
    let (mut ann, mut bob) = (enrol(&stand, "ann").await, enrol(&stand, "bob").await);
    let both = wish(vec![part(&stand, mia, 0), part(&stand, tom, 0)]);
    let (_, begun) = stand.people.together_begin(ann.id, &both).unwrap();
    let signed = ann.answer(begun.options).unwrap();
    bob.decide(&stand.people, tom, Decision::Deny, "").await.unwrap();

    let late = stand.people.together_finish(ann.id, &begun.ceremony, &signed).await;

    assert!(matches!(late, Err(Problem::Bar(_))), "{late:?}");
    assert_eq!(stand.question(mia).state, ApprovalState::Pending);
}

#[tokio::test]
async fn privileged_people_own_cases_repetitions_and_great_numbers_do_not_join() {
    let stand = Stand::new().await;
    let (mia, root) = (stand.ask("mia", false).await, stand.ask("root", true).await);
    let own = stand.ask("ann", false).await;
    let ann = enrol(&stand, "ann").await;
    let refused = |parts: Vec<Part>| stand.people.together_begin(ann.id, &wish(parts)).err();
    let fine = part(&stand, mia, 0);

    let privileged = refused(vec![fine.clone(), part(&stand, root, 0)]);
    assert!(matches!(privileged, Some(Problem::Alone(whom)) if whom == "root"));
    let victim = refused(vec![fine.clone(), part(&stand, own, 0)]);
    assert!(matches!(victim, Some(Problem::Bar(_))));
    assert!(matches!(refused(vec![fine.clone(), fine.clone()]), Some(Problem::Changed)));
    assert!(matches!(refused(Vec::new()), Some(Problem::NoItems)));
    let many = vec![fine.clone(); TOGETHER_MAX + 1];
    assert!(matches!(refused(many), Some(Problem::TooMany(TOGETHER_MAX))));
    let other = Part { items: vec!["0".repeat(64)], ..fine.clone() };
    assert!(matches!(refused(vec![other]), Some(Problem::Changed)));
    let nothing = Part { items: Vec::new(), ..fine };
    assert!(matches!(refused(vec![nothing]), Some(Problem::NoItems)));
}

#[tokio::test]
async fn a_signature_under_several_is_none_under_one() {
    let stand = Stand::new().await;
    let (mia, tom) = (stand.ask("mia", false).await, stand.ask("tom", false).await);
    let mut ann = enrol(&stand, "ann").await;
    let both = wish(vec![part(&stand, mia, 0), part(&stand, tom, 0)]);
    let (_, begun) = stand.people.together_begin(ann.id, &both).unwrap();
    let signed = ann.answer(begun.options).unwrap();

    let alone = stand.people.decide_finish(ann.id, mia, &begun.ceremony, &signed).await;

    assert!(matches!(alone, Err(Problem::Ceremony)), "{alone:?}");
    assert_eq!(stand.question(mia).state, ApprovalState::Pending);
}
