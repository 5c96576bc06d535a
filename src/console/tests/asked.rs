//! The link to the person concerned, from the incident's page to the answer.

use axum::http::StatusCode;

use super::{approver, case_of, with_role};
use crate::console::tests::browser::Browser;
use crate::model::asked::Reply;
use crate::model::entry::Entry;
use crate::model::incident::Incident;
use crate::people::stand::Stand;

fn link(page: &str) -> String {
    let from = page.split("/asked/").nth(1).unwrap();
    format!("/asked/{}", from.split('<').next().unwrap())
}

fn incident(stand: &Stand) -> Incident {
    stand.engine.read(|core| (**core.state.incidents.values().next().unwrap()).clone())
}

#[tokio::test]
async fn the_person_answers_once_and_looking_changes_nothing() {
    let stand = Stand::new().await;
    let question = stand.ask("mia@example.com", false).await;
    let (case, _) = case_of(&stand, question);
    let desk = with_role(&stand, "hugo", "helpdesk").await;
    let mia = Browser::at(&stand);

    let made = desk.form(&format!("/incidents/{case}/ask"), "channel=telephone").await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    assert!(made.body.contains("Silence says nothing"));
    let link = link(&made.body);
    let before = stand.engine.read(|core| core.state.seq);
    let page = mia.get(&link).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(stand.engine.read(|core| core.state.seq), before);
    assert!(page.body.contains("m…@example.com") && !page.body.contains("mia@"), "{}", page.body);
    for from in [None, Some(("origin", "https://evil.example"))] {
        let refused = mia.form_from(from, &link, "answer=yes").await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(mia.form(&link, "answer=maybe").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let said = mia.form(&link, "answer=no").await;
    let again = mia.form(&link, "answer=yes").await;

    assert_eq!(said.status, StatusCode::OK, "{}", said.body);
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    assert_eq!(mia.get(&link).await.status, StatusCode::NOT_FOUND);
    assert_eq!(incident(&stand).asked[0].reply, Some(Reply::No));
    let story = desk.get(&format!("/incidents/{case}")).await.body;
    assert!(story.contains("these prompts were not mine"), "{story}");
    assert!(story.contains("hugo asked the person concerned"), "{story}");
}

/// The secret opens the page, so nothing that is kept may hold it.
#[tokio::test]
async fn the_links_secret_is_kept_nowhere() {
    let stand = Stand::new().await;
    let question = stand.ask("mia@example.com", false).await;
    let (case, _) = case_of(&stand, question);
    let (_ann, browser) = approver(&stand).await;

    let made = browser.form(&format!("/incidents/{case}/ask"), "channel=in_person").await;
    let link = link(&made.body);
    Browser::at(&stand).form(&link, "answer=what").await;

    let secret = link.rsplit('/').next().unwrap();
    assert!(secret.len() >= 43, "{secret}");
    let kept = serde_json::to_string(&stand.store.submitted()).unwrap();
    assert!(kept.contains("person.asked") && !kept.contains(secret));
}

#[tokio::test]
async fn only_who_may_asks_and_only_over_a_channel_that_is_allowed() {
    let stand = Stand::new().await;
    let question = stand.ask("mia@example.com", false).await;
    let (case, _) = case_of(&stand, question);
    let path = format!("/incidents/{case}/ask");
    let (_ann, browser) = approver(&stand).await;

    for role in ["viewer", "author", "analyst"] {
        let refused = with_role(&stand, role, role).await.form(&path, "channel=telephone").await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{role}");
    }
    let mail = browser.form(&path, "channel=other_mail&to=mia@home.example").await;
    assert_eq!(mail.status, StatusCode::CONFLICT, "policy names no mail by default");
    let none = browser.form(&path, "channel=").await;
    assert_eq!(none.status, StatusCode::UNPROCESSABLE_ENTITY);
    let stranger = Browser::at(&stand).form(&path, "channel=telephone").await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);

    let asked = |entry: &Entry| matches!(entry, Entry::PersonAsked(_));
    assert!(!stand.store.submitted().iter().flat_map(|c| &c.entries).any(asked));
    assert!(browser.get(&format!("/incidents/{case}")).await.body.contains("hand, in person"));
}
