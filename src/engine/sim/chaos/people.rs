//! Everybody who may answer questions, and how they do.

use super::play::Play;
use super::story::{How, ON_CALL, Story};
use crate::approval::statement::unsigned;
use crate::engine::driver::Engine;
use crate::model::approval::{Approval, Asks, Decision, Signed, StatementItem};
use crate::model::entry::{DeploymentCreated, Entry, PersonEnrolled};
use crate::model::id::{DeploymentId, PersonId};

pub(super) fn id(who: usize) -> PersonId {
    PersonId(uuid::Uuid::from_u128(100 + who as u128))
}

fn name(story: &Story, who: usize) -> String {
    ON_CALL
        .get(who)
        .map_or_else(|| story.people[who - ON_CALL.len()].name.clone(), |n| (*n).to_owned())
}

/// The deployment, and its people with their passkeys.
pub(super) async fn found(engine: &Engine, story: &Story) {
    let founded = engine.commit(|tx| {
        tx.push(Entry::DeploymentCreated(DeploymentCreated {
            deployment: DeploymentId::mint(tx.at, [7; 10]),
            lab: true,
            key: String::new(),
        }));
        for who in 0..ON_CALL.len() + story.people.len() {
            tx.push(Entry::PersonEnrolled(Box::new(PersonEnrolled {
                person: id(who),
                name: name(story, who),
                roles: vec!["approver".into()],
                passkey: serde_json::Value::Null,
                user_handle: uuid::Uuid::nil(),
                ticket: String::new(),
                enrolled_at: None,
            })));
        }
    });
    founded.await.unwrap();
}

fn sign(
    story: &Story,
    question: &Approval,
    who: usize,
    decision: Decision,
    items: Vec<StatementItem>,
) -> Signed {
    unsigned(question, items, decision, id(who), &name(story, who))
}

/// Somebody answers one of the open questions.
pub(super) async fn decide(play: &mut Play<'_>, which: u64, who: usize, how: How) {
    let Some(question) = play.pending(which) else { return };
    let story = play.story;
    let mut items: Vec<StatementItem> = question.items.iter().map(StatementItem::from).collect();
    let yes = |items: Vec<StatementItem>| sign(story, &question, who, Decision::Approve, items);
    let no = || {
        let items = question.items.iter().map(StatementItem::from).collect();
        sign(story, &question, 1 - who.min(1), Decision::Deny, items)
    };
    match how {
        How::Yes => {
            play.decide(&question, who, yes(items.clone())).await;
            // Where one is not enough, the other one on call is asked as well.
            if question.quorum > 1 {
                let other = 1 - who.min(1);
                let also = sign(story, &question, other, Decision::Approve, items);
                play.decide(&question, other, also).await;
            }
        }
        How::Part => {
            items.truncate(items.len().div_ceil(2));
            play.decide(&question, who, yes(items)).await;
        }
        How::No => {
            let all = question.items.iter().map(StatementItem::from).collect();
            let signed = sign(story, &question, who.min(1), Decision::Deny, all);
            play.decide(&question, who.min(1), signed).await;
            if question.asks == Asks::Ratify {
                play.decide(&question, 1 - who.min(1), no()).await;
            }
        }
        How::Forged => {
            items[0].params = "00".into();
            if play.decide(&question, who, yes(items)).await == Some(true) {
                play.wrong
                    .push("a_decision_is_about_what_was_asked: other parameters were taken".into());
            }
        }
        How::Race => {
            let (a, b) = futures::join!(
                play.decide(&question, who, yes(items)),
                play.decide(&question, 1 - who.min(1), no())
            );
            if a == Some(true) && b == Some(true) && question.quorum == 1 {
                play.wrong
                    .push("the_first_decision_counts: two people decided one question".into());
            }
        }
    }
}
