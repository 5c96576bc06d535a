//! Sources that a mapping reads, and transmitters of event tokens, over a whole Quell.

use axum::http::StatusCode;
use serde_json::json;

use super::api_tests::World;

#[tokio::test]
async fn a_source_is_read_by_its_own_mapping_or_by_one_that_comes_with_quell() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acme.yaml");
    let mapping = "mapping: acme\nfields: { time: t, login: who }\nrules: [{ alert: mfa_fatigue, stage: suspected }]\n";
    std::fs::write(&file, mapping).unwrap();
    let sources = format!(
        "[sources.acme]\nkind = \"mapping\"\nmapping = {file:?}\nauth = \"bearer\"\nsecrets = [\"text:acme-secret-1\"]\n\
         [sources.idp]\nkind = \"keycloak\"\nauth = \"bearer\"\nsecrets = [\"text:acme-secret-1\"]\n"
    );
    let world = World::with(folder, &sources).await;
    let now = crate::model::time::rfc3339(world.quell.engine.now());

    let body = json!([{"t": now, "who": "ana@example.com"}, {"t": now}]).to_string();
    let (status, answer) = world.post("/v1/hooks/acme", "acme-secret-1", body).await;
    assert_eq!((status, &answer["accepted"]), (StatusCode::ACCEPTED, &json!(1)), "{answer}");
    assert_eq!(answer["incidents"].as_array().unwrap().len(), 1, "{answer}");
    assert_eq!(answer["rejected"][0]["problem"], "missing-field");

    let body = json!({"id": "1", "time": now, "type": "LOGIN", "userId": "u"}).to_string();
    let (status, answer) = world.post("/v1/hooks/idp", "acme-secret-1", body).await;
    assert_eq!((status, &answer["accepted"]), (StatusCode::ACCEPTED, &json!(1)), "{answer}");
    world.quell.stop().await.unwrap();
}

#[tokio::test]
async fn a_transmitter_of_event_tokens_is_answered_in_its_own_terms() {
    let folder = tempfile::tempdir().unwrap();
    let jwks = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let sources = format!(
        "[sources.idp]\nkind = \"shared-signals\"\nauth = {{ set = {{ issuer = \"https://idp.example.com/\", audience = \"https://quell.example.com\" }} }}\nsecrets = ['text:{jwks}']\n"
    );
    let world = World::with(folder, &sources).await;

    let (status, answer) = world.post("/v1/hooks/idp", "none", "rubbish").await;

    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer,
        json!({"err": "invalid_request", "description": "the body is no signed token"})
    );
    world.quell.stop().await.unwrap();
}
