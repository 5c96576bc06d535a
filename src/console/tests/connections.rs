//! The connections' page says what the process knows, and nothing more.

use axum::http::StatusCode;

use super::approver;
use crate::people::stand::Stand;

#[tokio::test]
async fn a_connection_shows_what_it_can_and_cannot_do_for_whom() {
    let stand = Stand::new().await;
    let (_ann, browser) = approver(&stand).await;

    let page = browser.get("/connections").await;

    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("not used yet"), "{}", page.body);
    assert!(page.body.contains("No source may name accounts of this connection"));
    assert_eq!(page.body.matches("cannot be done").count(), 3, "one a class: {}", page.body);
    assert!(page.body.contains("no action for: identity.revoke_grant"));
    super::inert(&page.body, "/connections");
    assert!(page.body.contains("alert(1)"), "it is shown");
}
