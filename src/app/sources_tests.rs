//! Sources that a mapping reads, and transmitters of event tokens, over a whole Quell.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::path::Path;
use tower::ServiceExt as _;

use super::api_tests::World;
use crate::server::Scope;

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

/// The source `acme`, read by a mapping.
pub(super) fn acme(mapping: &Path) -> String {
    format!(
        "[sources.acme]\nkind = \"mapping\"\nmapping = {mapping:?}\nauth = \"bearer\"\nsecrets = [\"text:acme-secret-1\"]\n"
    )
}

/// From here on the mapping of [`acme`] says where the sign-in name is.
pub(super) fn map_acme(mapping: &Path, login: &str) {
    let text = format!(
        "mapping: acme\nfields: {{ time: t, login: {login} }}\nrules: [{{ alert: mfa_fatigue, stage: suspected }}]\n"
    );
    std::fs::write(mapping, text).unwrap();
}

/// What a mapping did not understand is understood when the mapping is mended, and only once.
#[tokio::test]
async fn a_refused_delivery_is_taken_when_its_mapping_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acme.yaml");
    let mapping = |login: &str| map_acme(&file, login);
    mapping("user_name");
    let sources = acme(&file);
    let world = World::with(folder, &sources).await;
    let now = crate::model::time::rfc3339(world.quell.engine.now());
    let body = json!([{"t": now, "who": "ana@example.com"}]).to_string();
    let (status, answer) = world.post("/v1/hooks/acme", "acme-secret-1", body).await;
    assert_eq!((status, &answer["accepted"]), (StatusCode::ACCEPTED, &json!(0)), "{answer}");
    // A wrong secret proves nothing, now or later: nothing is kept of it.
    world.post("/v1/hooks/acme", "acme-secret-2", "[]").await;
    let admin = world.token(&[Scope::Admin], None).await;
    let (_, listed) = world.get("/v1/deliveries/refused", &admin).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    assert!(!listed.to_string().contains("ana@"), "never what is in it");
    let judge =
        format!("/v1/deliveries/refused/{}/judge", listed["items"][0]["id"].as_str().unwrap());
    let (status, problem) = world.post(&judge, &admin, "null").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");

    mapping("who");
    let world = world.restart(&sources).await;
    for scope in [Scope::Read, Scope::Author, Scope::Contain] {
        let token = world.token(&[scope], None).await;
        assert_eq!(world.post(&judge, &token, "null").await.0, StatusCode::FORBIDDEN, "{scope:?}");
    }
    let (status, answer) = world.post(&judge, &admin, "null").await;
    assert_eq!((status, &answer["accepted"]), (StatusCode::ACCEPTED, &json!(1)), "{answer}");
    assert_eq!(answer["incidents"].as_array().unwrap().len(), 1, "{answer}");
    assert_eq!(world.post(&judge, &admin, "null").await.0, StatusCode::NOT_FOUND);
    let (_, tokens) = world.get("/v1/tokens", &admin).await;
    let used = |t: &&Value| t["last_used_at"].is_string();
    assert_eq!(tokens["items"].as_array().unwrap().iter().filter(used).count(), 4, "{tokens}");
    world.quell.stop().await.unwrap();
}

/// A sender that signs is proved by the secret of now; the one that it had then would do as well.
#[tokio::test]
async fn a_refused_signature_is_proved_again_by_the_secret_that_is_mended() {
    let secret = |text: &str| {
        format!(
            "[sources.acme]\nkind = \"alerts\"\nauth = \"standard_webhooks\"\nsecrets = [\"text:{text}\"]\n"
        )
    };
    let (wrong, right) =
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_KfMQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let world = World::with(tempfile::tempdir().unwrap(), &secret(wrong)).await;
    let now = world.quell.engine.now();
    let body = json!({"id": "a-1", "kind": "mfa_fatigue", "account": "ana", "time": crate::model::time::rfc3339(now),
        "stage": "suspected", "reason": "6 prompts denied"}).to_string();
    let signer = standardwebhooks::Webhook::new(right).unwrap();
    let signature = signer.sign("m-1", now.timestamp(), body.as_bytes()).unwrap();
    let send = || {
        Request::post("/v1/hooks/acme")
            .header("webhook-id", "m-1")
            .header("webhook-timestamp", now.timestamp().to_string())
            .header("webhook-signature", &signature)
            .body(Body::from(body.clone()))
            .unwrap()
    };
    assert_eq!(world.send(send()).await.0, StatusCode::UNAUTHORIZED);
    let admin = world.token(&[Scope::Admin], None).await;
    let (_, listed) = world.get("/v1/deliveries/refused", &admin).await;
    assert_eq!(listed["items"][0]["proved"], false, "{listed}");
    let judge =
        format!("/v1/deliveries/refused/{}/judge", listed["items"][0]["id"].as_str().unwrap());
    assert_eq!(world.post(&judge, &admin, "null").await.0, StatusCode::UNAUTHORIZED);

    let world = world.restart(&secret(right)).await;
    let (status, answer) = world.post(&judge, &admin, "null").await;
    assert_eq!((status, &answer["duplicate"]), (StatusCode::ACCEPTED, &json!(false)), "{answer}");

    // Its sender comes back with the same delivery: it was taken.
    let (status, _, answer) = world.send(send()).await;
    assert_eq!((status, &answer["duplicate"]), (StatusCode::ACCEPTED, &json!(true)), "{answer}");
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

/// One `CloudEvent`, in any mode, to the source `name`.
async fn event(
    world: &World,
    name: &str,
    heads: &[(&str, &str)],
    body: &str,
) -> (StatusCode, Value) {
    let mut request = Request::post(format!("/v1/hooks/{name}"));
    for (header, value) in heads {
        request = request.header(*header, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = world.quell.router.clone().oneshot(request).await.unwrap();
    let (status, body) = (response.status(), response.into_body().collect().await.unwrap());
    (status, serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null))
}

#[tokio::test]
async fn cloudevents_are_taken_in_every_mode_and_once_by_source_and_id() {
    let sources = "[sources.bus]\nkind = \"cloudevents\"\nauth = \"bearer\"\nsecrets = [\"text:bus-secret-1\"]\n";
    let world = World::with(tempfile::tempdir().unwrap(), sources).await;
    let now = crate::model::time::rfc3339(world.quell.engine.now());
    let (token, json_body) =
        (("authorization", "Bearer bus-secret-1"), ("content-type", "application/json"));
    let binary = |id: &'static str| {
        [
            token,
            json_body,
            ("ce-specversion", "1.0"),
            ("ce-type", "com.example.mfa.fatigue"),
            ("ce-source", "/idp"),
            ("ce-id", id),
        ]
    };
    let data = json!({"account": "ana@example.com", "time": now}).to_string();

    let (status, first) = event(&world, "bus", &binary("1"), &data).await;
    assert_eq!((status, &first["accepted"]), (StatusCode::ACCEPTED, &json!(1)), "{first}");
    assert_eq!(first["incidents"].as_array().unwrap().len(), 1, "{first}");
    let (_, again) = event(&world, "bus", &binary("1"), &data).await;
    assert_eq!((&again["receipt"], &again["duplicate"]), (&first["receipt"], &json!(true)));
    // The same data is another event under another id.
    let (_, second) = event(&world, "bus", &binary("2"), &data).await;
    assert_eq!(second["duplicate"], json!(false), "{second}");

    // The same event, told in another mode.
    let whole = json!({"specversion": "1.0", "type": "com.example.mfa.fatigue", "source": "/idp", "id": "1",
        "data": {"account": "ana@example.com", "time": now}});
    let structured = [token, ("content-type", "application/cloudevents+json")];
    let (_, told) = event(&world, "bus", &structured, &whole.to_string()).await;
    assert_eq!((&told["receipt"], &told["duplicate"]), (&first["receipt"], &json!(true)), "{told}");
    let batch = json!([whole, {"specversion": "1.0", "type": "x", "source": "/idp"}]).to_string();
    let heads = [token, ("content-type", "application/cloudevents-batch+json")];
    let (status, told) = event(&world, "bus", &heads, &batch).await;
    assert_eq!((status, &told["accepted"]), (StatusCode::ACCEPTED, &json!(1)), "{told}");
    assert_eq!(told["rejected"], json!([{"index": 1, "problem": "missing-field"}]));

    let (status, refused) = event(&world, "bus", &binary("3")[..5], &data).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused["detail"], "`id` is missing");
    // Whoever proves nothing learns nothing.
    let (status, _) = event(&world, "bus", &binary("4")[1..5], &data).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    world.quell.stop().await.unwrap();
}

#[tokio::test]
async fn a_sender_of_cloudevents_may_ask_first_and_others_are_not_told_of() {
    let sources = "[sources.bus]\nkind = \"cloudevents\"\nauth = \"bearer\"\nsecrets = [\"text:bus-secret-1\"]\n\
                   [sources.siem]\nkind = \"alerts\"\nauth = \"bearer\"\nsecrets = [\"text:siem-secret-1\"]\n";
    let world = World::with(tempfile::tempdir().unwrap(), sources).await;
    let ask = async |name: &str| {
        let request = Request::options(format!("/v1/hooks/{name}"))
            .header("webhook-request-origin", "eventgrid.example.net")
            .body(Body::empty())
            .unwrap();
        world.quell.router.clone().oneshot(request).await.unwrap()
    };

    let told = ask("bus").await;

    assert_eq!(told.status(), StatusCode::OK);
    assert_eq!(told.headers()["webhook-allowed-origin"], "eventgrid.example.net");
    for other in ["siem", "nonsuch"] {
        assert_eq!(ask(other).await.status(), StatusCode::NOT_FOUND, "{other}");
    }
    world.quell.stop().await.unwrap();
}
