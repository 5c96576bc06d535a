//! The lists narrowed down, and the drawing of how long containment took.

use axum::http::StatusCode;
use chrono::TimeDelta;

use super::{HOSTILE, approver, case_of, with_role};
use crate::model::entry::Entry;
use crate::model::id::ApprovalId;
use crate::people::stand::Stand;

async fn contained(stand: &Stand, question: ApprovalId) {
    let (incident, _) = case_of(stand, question);
    let watch_until = stand.engine.now() + TimeDelta::hours(24);
    let entry = Entry::IncidentContained { incident, watch_until };
    stand.engine.commit(|tx| tx.push(entry)).await.unwrap();
}

#[tokio::test]
async fn questions_are_narrowed_down_to_what_a_reader_asks_for() {
    let stand = Stand::new().await;
    let done = stand.ask("mia", false).await;
    let (mut ann, browser) = approver(&stand).await;
    browser.decide(&mut ann, done, "deny", Vec::new()).await;
    let open = stand.ask("noa", false).await;
    let viewer = with_role(&stand, "vic", "viewer").await;
    let link = |id: ApprovalId| format!("href=\"/approvals/{id}\"");

    for (show, has, has_not) in
        [("open", open, done), ("mine", open, done), ("decided", done, open)]
    {
        let page = browser.get(&format!("/approvals?show={show}")).await.body;
        assert!(page.contains(&link(has)) && !page.contains(&link(has_not)), "{show}: {page}");
        assert!(page.contains(&format!("<option value=\"{show}\" selected>")), "{page}");
    }
    let all = browser.get("/approvals").await.body;
    assert!(all.contains(&link(open)) && all.contains(&link(done)));
    let none = viewer.get("/approvals?show=mine").await.body;
    assert!(none.contains("No question is like this"), "{none}");
    for wrong in ["show=%3Cb%3E", "show=x", "before=x", "other=1"] {
        let answer = browser.get(&format!("/approvals?{wrong}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn incidents_are_found_by_status_stage_and_person() {
    let stand = Stand::new().await;
    let first = stand.ask("mia", false).await;
    stand.ask("noa", false).await;
    contained(&stand, first).await;
    let (_ann, browser) = approver(&stand).await;

    for (query, mia, noa) in [
        ("", true, true),
        ("status=contained&stage=&who=", true, false),
        ("status=open", false, true),
        ("stage=confirmed", true, true),
        ("stage=breached", false, false),
        ("who=MI", true, false),
        ("who=noa&status=contained", false, false),
        ("who=nobody", false, false),
    ] {
        let page = browser.get(&format!("/incidents?{query}")).await.body;
        assert_eq!(page.contains("<strong>mia</strong>"), mia, "{query}: {page}");
        assert_eq!(page.contains("<strong>noa</strong>"), noa, "{query}: {page}");
    }
    for wrong in ["status=x", "stage=x", "before=1", "status=open&status=open"] {
        let answer = browser.get(&format!("/incidents?{wrong}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn containment_is_drawn_once_there_is_one_and_each_point_leads_to_its_incident() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", false).await;
    let (mut ann, browser) = approver(&stand).await;
    assert!(!browser.get("/incidents").await.body.contains("Time to contain"));

    browser.decide(&mut ann, question, "approve", stand.people.ticks(question)).await;
    stand.clock.pass(TimeDelta::seconds(9));
    contained(&stand, question).await;
    let page = browser.get("/incidents").await.body;

    let (incident, _) = case_of(&stand, question);
    let told = "4 min 9 s since the first hostile prompt, 9 s since approval";
    assert!(page.contains(told), "{page}");
    let point = format!("<a href=\"/incidents/{incident}\" aria-label=\"mia: 4 min 9 s, 9 s");
    assert!(page.contains(&point), "{page}");
    assert!(page.contains("<td>4 min 9 s</td><td>9 s</td>"), "the table says the same: {page}");
}

#[tokio::test]
async fn hostile_names_stay_text_in_forms_and_drawings() {
    let stand = Stand::new().await;
    let question = stand.ask(HOSTILE, false).await;
    contained(&stand, question).await;
    let (_ann, browser) = approver(&stand).await;
    let who = percent_encoding::utf8_percent_encode(HOSTILE, percent_encoding::NON_ALPHANUMERIC);

    for path in ["/incidents".to_owned(), format!("/incidents?who={who}")] {
        let html = browser.get(&path).await.body;
        super::inert(&html, &path);
        assert!(html.contains("alert(1)"), "{path}");
    }
}
