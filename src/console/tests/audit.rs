//! The audit page: what it finds, what it refuses, and that what it shows stays text.

use axum::http::StatusCode;
use chrono::TimeDelta;

use super::{HOSTILE, approver, case_of, with_role};
use crate::model::entry::Entry;
use crate::people::stand::Stand;

#[tokio::test]
async fn the_journal_is_searched_by_person_kind_and_time() {
    let stand = Stand::new().await;
    let first = stand.ask("mia", false).await;
    let (mut ann, browser) = approver(&stand).await;
    stand.clock.pass(TimeDelta::hours(2));
    let mut browser = browser;
    browser.sign_in(&mut ann).await;
    let second = stand.ask("noa", false).await;
    browser.decide(&mut ann, second, "deny", Vec::new()).await;
    let viewer = with_role(&stand, "vic", "viewer").await;
    let (mia, noa) = (case_of(&stand, first).0, case_of(&stand, second).0);

    for (query, has_mia, has_noa) in [
        ("", true, true),
        ("kind=approval", true, true),
        ("who=mia", true, false),
        ("who=ANN", false, true),
        ("who=noa&kind=approval&from=&until=&before=", false, true),
        ("until=2026-11-22T03:30", true, false),
        ("from=2026-11-22T03:30", false, true),
        ("until=2026-11-22T02:00", false, false),
        ("kind=token", false, false),
    ] {
        let page = viewer.get(&format!("/audit?{query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{query}");
        let has = |id| page.body.contains(&format!("href=\"/incidents/{id}\""));
        assert_eq!((has(mia), has(noa)), (has_mia, has_noa), "{query}: {}", page.body);
    }
    for wrong in ["kind=x", "from=yesterday", "until=2026-13-01T00:00", "before=-1", "x=1"] {
        let answer = viewer.get(&format!("/audit?{wrong}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert!(viewer.get("/audit").await.body.contains("quell audit verify"));
}

#[tokio::test]
async fn a_long_journal_is_read_in_pages_that_leave_nothing_out() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", false).await;
    let (_ann, browser) = approver(&stand).await;
    let incident = case_of(&stand, question).0;
    for n in 0..250 {
        let note = format!("note {n}.");
        let entry = Entry::IncidentNote { incident, by: "ann".to_owned(), note };
        stand.engine.commit(|tx| tx.push(entry)).await.unwrap();
    }

    let (mut path, mut found, mut pages) = ("/audit?kind=incident&who=mia".to_owned(), 0, 0);
    loop {
        let page = browser.get(&path).await.body;
        found += page.matches("<summary>As it was written").count();
        pages += 1;
        let Some(link) = page.split("<p><a href=\"?").nth(1) else { break };
        let query = link.split('"').next().unwrap().replace("&#38;", "&");
        path = format!("/audit?{query}");
    }

    assert_eq!(found, 251, "the notes, and that the incident was opened");
    assert!(pages >= 3);
    let refreshed = browser.get_with("/audit", &[("quell-refresh", "1")]).await.body;
    assert!(!refreshed.contains("As it was written"), "an open page does not search again");
}

#[tokio::test]
async fn the_last_checkpoint_and_its_key_are_shown() {
    let stand = Stand::new().await;
    let (_ann, browser) = approver(&stand).await;
    assert!(browser.get("/audit").await.body.contains("none among the newest lines"));
    let checkpoint = Entry::Checkpoint {
        head: "abc123".to_owned(),
        seq: 2,
        key: "the-key".to_owned(),
        signature: "s".to_owned(),
    };
    stand.engine.commit(|tx| tx.push(checkpoint)).await.unwrap();

    let page = browser.get("/audit").await.body;

    assert!(page.contains("<code>abc123</code>") && page.contains("<code>the-key</code>"));
}

#[tokio::test]
async fn what_attackers_wrote_stays_text_in_the_journals_lines() {
    let stand = Stand::new().await;
    let question = stand.ask(HOSTILE, true).await;
    let incident = case_of(&stand, question).0;
    let (_ann, browser) = approver(&stand).await;
    let entry = Entry::IncidentNote { incident, by: HOSTILE.to_owned(), note: HOSTILE.to_owned() };
    stand.engine.commit(|tx| tx.push(entry)).await.unwrap();
    let who = percent_encoding::utf8_percent_encode(HOSTILE, percent_encoding::NON_ALPHANUMERIC);

    for path in ["/audit".to_owned(), format!("/audit?who={who}")] {
        let html = browser.get(&path).await.body;
        super::inert(&html, &path);
        assert!(html.contains("alert(1)"), "{path}");
    }
}
