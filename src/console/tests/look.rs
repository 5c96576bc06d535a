//! How a reader wants the pages, and how their playbooks did.

use axum::http::StatusCode;

use super::approver;
use crate::people::stand::Stand;

#[tokio::test]
async fn theme_and_keys_are_kept_in_cookies_that_can_say_nothing_else() {
    let stand = Stand::new().await;
    let (_ann, browser) = approver(&stand).await;
    let plain = browser.get("/me").await.body;
    assert!(plain.contains("data-theme=\"system\"") && plain.contains("data-keys=\"on\""));

    let kept = browser.form("/me/look", "theme=dark&keys=off").await;
    assert_eq!(kept.status, StatusCode::SEE_OTHER, "{}", kept.body);
    assert!(kept.header("set-cookie").contains("HttpOnly"));
    let session = browser.cookie().unwrap().clone();
    let dark = browser.clone().with_cookie(&format!("{session}; theme=dark; keys=off"));
    let page = dark.get("/").await.body;
    assert!(page.contains("data-theme=\"dark\"") && page.contains("data-keys=\"off\""), "{page}");

    let odd = browser.clone().with_cookie(&format!("{session}; theme=\"><b>; keys=<b>"));
    let page = odd.get("/").await.body;
    assert!(page.contains("data-theme=\"system\"") && page.contains("data-keys=\"on\""), "{page}");
    for wrong in ["theme=pink&keys=on", "theme=dark&keys=maybe", ""] {
        let refused = browser.form("/me/look", wrong).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}
