//! Deliveries judged again, connections tried, tokens revoked: by whom, with what trace, and what it never does.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::json;

use super::browser::{Browser, SECRET};
use super::{approver, inert, with_role};
use crate::delivery::{Kept, Proved, Shelf as _};
use crate::model::entry::{Entry, TokenChanged};
use crate::model::id::{ReceiptId, TokenId};
use crate::model::time::{Span, Time, rfc3339};
use crate::people::soft::SoftPerson;
use crate::people::stand::{Counting, Stand};
use crate::server::{Scope, mint};

/// An alert as the source signs it at a time, with the headers that prove it.
pub(super) fn signed(secret: &str, id: &str, at: Time) -> (String, Vec<(String, String)>) {
    let body = json!({
        "id": id, "kind": "mfa_fatigue", "account": "mia", "time": rfc3339(at),
        "stage": "suspected", "reason": "6 prompts denied in 4 minutes",
    })
    .to_string();
    let signer = standardwebhooks::Webhook::new(secret).unwrap();
    let signature = signer.sign(id, at.timestamp(), body.as_bytes()).unwrap();
    let headers = [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", at.timestamp().to_string()),
        ("webhook-signature", signature),
    ];
    (body, headers.map(|(name, value)| (name.to_owned(), value)).to_vec())
}

/// Puts such a delivery among those that were refused.
pub(super) async fn refused(
    browser: &Browser,
    (body, headers): (String, Vec<(String, String)>),
    received: Time,
) -> ReceiptId {
    let id = ReceiptId::mint(received, [u8::try_from(browser.shelf.all().len()).unwrap(); 10]);
    let kept = Kept {
        id,
        source: "siem".into(),
        at: received,
        kind: None,
        problem: "wrong-signature".to_owned(),
        detail: super::HOSTILE.to_owned(),
        proof: Proved::Signed { headers, held: false },
        answered: false,
    };
    browser.shelf.keep(kept, body.into()).await;
    id
}

fn judge(id: ReceiptId) -> String {
    format!("/sources/refused/{id}/judge")
}

fn count(stand: &Stand, which: impl Fn(&Entry) -> bool) -> usize {
    stand.store.submitted().iter().flat_map(|c| &c.entries).filter(|e| which(e)).count()
}

fn taken(stand: &Stand) -> usize {
    count(stand, |e| matches!(e, Entry::DeliveryAccepted(_)))
}

#[tokio::test]
async fn a_refused_delivery_is_judged_again_once_and_by_whom_is_written_down() {
    let stand = Stand::new().await;
    let (_ann, browser) = approver(&stand).await;
    let now = stand.engine.now();
    let id = refused(&browser, signed(SECRET, "a-1", now), now).await;
    let page = browser.get("/sources").await.body;
    assert!(page.contains("Judge it again") && page.contains("nobody proved it"), "{page}");
    inert(&page, "/sources");

    let first = browser.form(&judge(id), "").await;
    let second = browser.form(&judge(id), "").await;

    assert_eq!((first.status, second.status), (StatusCode::SEE_OTHER, StatusCode::NOT_FOUND));
    assert_eq!(taken(&stand), 1);
    let by_ann = |e: &Entry| matches!(e, Entry::DeliveryJudged(j) if j.by == "ann" && j.accepted == 1 && j.kept == id.to_string());
    assert_eq!(count(&stand, by_ann), 1);
    assert!(!browser.get("/sources").await.body.contains("Judge it again"));
}

#[tokio::test]
async fn nothing_is_proved_by_asking_again() {
    let stand = Stand::new().await;
    let (_ann, browser) = approver(&stand).await;
    let now = stand.engine.now();
    let other = SECRET.replace("MfK", "KfM");
    let (body, headers) = signed(SECRET, "a-2", now);
    let altered = (body.replace("mia", "eva"), headers.clone());
    let mut bare = headers.clone();
    bare.truncate(2);
    let wrong = [
        refused(&browser, signed(&other, "a-1", now), now).await,
        refused(&browser, altered, now).await,
        refused(&browser, (body.clone(), bare), now).await,
        // It was late when it came; that it is later still makes it no better.
        refused(&browser, (body, headers), now + TimeDelta::minutes(6)).await,
    ];

    for id in wrong {
        let answer = browser.form(&judge(id), "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.body);
        assert!(answer.body.contains("It is refused again"), "{}", answer.body);
    }

    assert_eq!(taken(&stand), 0);
    assert_eq!(browser.shelf.all().len(), wrong.len(), "they stay");
    let again = |e: &Entry| matches!(e, Entry::DeliveryJudged(j) if j.problem.is_some());
    assert_eq!(count(&stand, again), wrong.len());
}

#[tokio::test]
async fn a_connection_is_tried_from_its_page_and_the_result_outlives_a_restart() {
    let stand = Stand::new().await;
    let (_ann, browser) = approver(&stand).await;
    let name = stand.engine.ports().catalogue.connected().remove(0).id;
    let page = browser.get("/connections").await.body;
    assert!(page.contains("were not tried from here yet"), "{page}");
    let path = page.split("action=\"").find(|part| part.starts_with("/connections/")).unwrap();
    let path = path.split('"').next().unwrap().to_owned();

    assert_eq!(browser.form(&path, "").await.status, StatusCode::SEE_OTHER);
    assert_eq!(browser.form(&path, "").await.status, StatusCode::TOO_MANY_REQUESTS);
    stand.clock.pass(TimeDelta::minutes(1));
    assert_eq!(browser.form(&path, "").await.status, StatusCode::SEE_OTHER);
    assert_eq!(browser.form("/connections/none/test", "").await.status, StatusCode::NOT_FOUND);

    let page = browser.get("/connections").await.body;
    assert!(page.contains("does not work") && page.contains("quarantine_group"), "{page}");
    assert!(page.contains("by ann:"), "{page}");
    inert(&page, "/connections");
    assert_eq!(count(&stand, |e| matches!(e, Entry::ConnectionTested(_))), 2);
    let mut folded = crate::engine::state::State::default();
    stand.store.submitted().iter().for_each(|commit| folded.apply(commit));
    assert!(!folded.tests[&name].classes[1].works && folded.tests[&name].by == "ann");
}

async fn token(stand: &Stand, name: &str, by: Option<&str>) -> TokenChanged {
    let entropy = Counting::default();
    let lasts = Span::hours(1);
    let minted = mint(&entropy, stand.engine.now(), name, &[Scope::Read], None, lasts);
    let token = TokenId(uuid::Uuid::from_u128(name.bytes().map(u128::from).sum()));
    let kept = TokenChanged { token, by: by.map(str::to_owned), ..minted.kept };
    stand.engine.change_token(kept.clone()).await.unwrap();
    kept
}

fn revoke(token: &TokenChanged) -> String {
    format!("/me/tokens/{}/revoke", token.token)
}

#[tokio::test]
async fn people_see_and_revoke_the_tokens_that_they_made_and_an_administrator_all() {
    let stand = Stand::new().await;
    let (old, own) =
        (token(&stand, "old ci", None).await, token(&stand, "ann ci", Some("ann")).await);
    let ann = with_role(&stand, "ann", "approver").await;
    let page = ann.get("/me").await.body;
    assert!(page.contains("ann ci") && !page.contains("old ci"), "{page}");
    assert!(page.contains("not used since Quell was started"), "{page}");

    assert_eq!(ann.form(&revoke(&old), "").await.status, StatusCode::NOT_FOUND);
    for _ in 0..2 {
        assert_eq!(ann.form(&revoke(&own), "").await.status, StatusCode::SEE_OTHER);
    }
    let mut root = SoftPerson::enrol(&stand.people, "root", &["admin"]).await.unwrap();
    let mut admin = Browser::at(&stand);
    admin.sign_in(&mut root).await;
    let page = admin.get("/me").await.body;
    assert!(page.contains("ann ci") && page.contains("old ci") && page.contains("revoked"));
    assert_eq!(admin.form(&revoke(&old), "").await.status, StatusCode::SEE_OTHER);

    let kept = stand.engine.read(|core| core.state.tokens.clone());
    assert_eq!(kept[&own.token].revoked_by.as_deref(), Some("ann"));
    assert_eq!(kept[&old.token].revoked_by.as_deref(), Some("root"));
    let revoked = |e: &Entry| matches!(e, Entry::TokenChanged(t) if t.revoked);
    assert_eq!(count(&stand, revoked), 2, "a second time changes nothing");
}
