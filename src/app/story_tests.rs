//! What attackers send of themselves, as incident stories tell it.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::api_tests::World;
use crate::model::time::{Span, rfc3339};
use crate::server::Scope;

async fn told(world: &World, path: &str, token: &str) -> String {
    let request = Request::get(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap();
    let response = world.quell.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Opens an incident by prompts whose requests say this of their client, and nothing else of where they come from.
async fn prompted(world: &World, client: &str) -> String {
    let ingest = world.token(&[Scope::Ingest], Some("tools")).await;
    let now = world.quell.engine.now();
    let prompt = |n: i64| {
        let time = rfc3339(now - Span::seconds(60 - n).delta());
        json!({"id": format!("e{n}"), "kind": "prompt", "outcome": "denied", "factor": "push",
            "origin": "password", "account": "ana@example.com", "time": time, "user_agent": client})
    };
    let prompts: Value = (0..6).map(prompt).collect();
    let (status, answer) = world.post("/v1/events", &ingest, prompts.to_string()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    answer["incidents"][0]["incident"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_story_says_what_the_client_claims_to_be_and_no_form_of_it_obeys_the_claim() {
    let sources = "[sources.tools]\nkind = \"events\"\n";
    let world = World::with(tempfile::tempdir().unwrap(), sources).await;
    let evil = "=HYPERLINK(\"https://evil.example\",\"x\")|<b>\u{202e}txt.exe\u{7}";
    let id = prompted(&world, evil).await;
    let reader = world.token(&[Scope::Read], None).await;

    let story = format!("/v1/incidents/{id}/story?format=");
    let json = told(&world, &format!("{story}json"), &reader).await;
    let csv = told(&world, &format!("{story}csv"), &reader).await;
    let markdown = told(&world, &format!("{story}markdown"), &reader).await;

    let whole: Value = serde_json::from_str(&json).unwrap();
    let lines = whole["lines"].as_array().unwrap();
    let claims =
        "claims to be =HYPERLINK(\"https://evil.example\",\"x\")|<b>⟪U+202E⟫txt.exe⟪U+0007⟫";
    assert_eq!(lines.iter().filter(|line| line["detail"] == claims).count(), 6, "{json}");
    assert!(csv.contains("claims to be =HYPERLINK"), "{csv}");
    for row in csv::Reader::from_reader(csv.as_bytes()).records() {
        for cell in &row.unwrap() {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
        }
    }
    assert!(markdown.contains("claims to be \\=HYPERLINK"), "{markdown}");
    assert!(!markdown.contains("<b>") && !markdown.contains("://evil"), "{markdown}");
    for form in [&json, &csv, &markdown] {
        assert!(!form.contains('\u{202e}') && !form.contains('\u{7}'), "{form}");
    }
    world.quell.stop().await.unwrap();
}
