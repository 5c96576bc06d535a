//! People's doors that machines stand in, over a real store: Slack, mail, and what a token may cause.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::Arc;
use tower::ServiceExt as _;

use super::tests::lab;
use super::{Quell, Running, SystemClock, SystemEntropy, found};
use crate::engine::ports::Clock;
use crate::model::alert::{Proof, Report};
use crate::model::id::SourceId;
use crate::model::incident::{Incident, MayCause};
use crate::model::time::Span;
use crate::server::{Scope, mint};

const SOURCES: &str = r#"
[sources.slack]
kind = "slack"
secrets = ["text:slack-signing-secret"]
aliases = { U1 = "ana@example.com" }
auth = { hmac = { header = "x-slack-signature", prefix = "v0=", timestamp_header = "x-slack-request-timestamp", signed = "v0:{timestamp}:{body}" } }
[sources.mail]
kind = "mail"
auth = "bearer"
secrets = ["text:forwarder-secret"]
proof = "authenticated_other"
[sources.siem]
kind = "alerts"
may_cause = "contain"
"#;

/// As Teams shows it when a webhook is made.
const TEAMS: &str = "vqF0En+Z0ucuRTM/01o2GuhMH3hKKk/N2bOmlM31zaA=";

async fn send(quell: &Running, request: Request<Body>) -> (StatusCode, Value) {
    let response = quell.router.clone().oneshot(request).await.unwrap();
    let (status, body) = (response.status(), response.into_body().collect().await.unwrap());
    (status, serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null))
}

async fn command(quell: &Running, body: &str, secret: &str) -> (StatusCode, Value) {
    let sent = quell.engine.now().timestamp();
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let tag = mac.chain_update(format!("v0:{sent}:{body}")).finalize().into_bytes();
    let request = Request::post("/v1/hooks/slack")
        .header("x-slack-signature", format!("v0={}", hex::encode(tag)))
        .header("x-slack-request-timestamp", sent)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(body.to_owned()))
        .unwrap();
    send(quell, request).await
}

async fn mail(quell: &Running, body: &str) -> (StatusCode, Value) {
    let request = Request::post("/v1/hooks/mail")
        .header("authorization", "Bearer forwarder-secret")
        .body(Body::from(body.to_owned()))
        .unwrap();
    send(quell, request).await
}

fn cases(quell: &Running) -> Vec<(String, Incident)> {
    quell.engine.read(|core| {
        let all = core.state.incidents.values();
        let named = |i: &Incident| core.state.subject(i.subject).unwrap().name.clone();
        all.map(|i| (named(i), (**i).clone())).collect()
    })
}

fn report(quell: &Running, name: &str) -> Report {
    let cases = cases(quell);
    let (_, case) = cases.iter().find(|(of, _)| of == name).expect(name);
    (**case.report.as_ref().unwrap()).clone()
}

#[tokio::test]
async fn a_slack_user_is_answered_where_only_they_see_it_and_is_known_by_an_alias() {
    let folder = tempfile::tempdir().unwrap();
    let quell = Quell::start(lab(folder.path(), SOURCES)).await.unwrap();

    let known = "command=%2Fmfa-report&user_id=U1&text=ten+prompts&trigger_id=1";
    let (status, answer) = command(&quell, known, "slack-signing-secret").await;
    let (_, again) = command(&quell, known, "slack-signing-secret").await;
    let stranger = "command=%2Fmfa-report&user_id=U9&text=&trigger_id=2";
    let (other, _) = command(&quell, stranger, "slack-signing-secret").await;
    let (forged, _) = command(&quell, known, "another-secret").await;
    let (checked, check) = command(&quell, "ssl_check=1", "slack-signing-secret").await;

    assert_eq!((status, other, checked), (StatusCode::OK, StatusCode::OK, StatusCode::OK));
    assert_eq!(forged, StatusCode::UNAUTHORIZED);
    assert_eq!(answer["response_type"], "ephemeral");
    let ana = report(&quell, "ana@example.com");
    assert_eq!((ana.proof, ana.text.as_str()), (Proof::AuthenticatedOther, "ten prompts"));
    assert!(answer["text"].as_str().unwrap().contains(&ana.reference()), "{answer}");
    assert_eq!(again, answer, "a repetition gets the same number");
    assert_eq!(report(&quell, "U9").proof, Proof::Relayed);
    assert!(check["text"].as_str().unwrap().starts_with("Nothing"), "{check}");
    quell.stop().await.unwrap();
}

#[tokio::test]
async fn a_forwarder_is_given_the_answer_for_whoever_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let quell = Quell::start(lab(folder.path(), SOURCES)).await.unwrap();
    let raw = "From: Ana <ana@example.com>\r\nSubject: prompts\r\n\r\nmy phone rings";

    let (status, proved) = mail(&quell, &json!({"raw": raw, "dmarc": "pass"}).to_string()).await;
    let first = report(&quell, "ana@example.com");
    let (plain, _) = mail(&quell, raw).await;
    let (_, machine) =
        mail(&quell, "From: a@example.com\r\nAuto-Submitted: auto-replied\r\n\r\nx").await;

    assert_eq!((status, plain), (StatusCode::ACCEPTED, StatusCode::ACCEPTED), "{proved}");
    assert_eq!(first.proof, Proof::AuthenticatedOther);
    assert!(proved["reply"].as_str().unwrap().contains(&first.reference()), "{proved}");
    assert_eq!(report(&quell, "ana@example.com").proof, Proof::Relayed);
    assert!(machine.get("reply").is_none(), "a machine is not answered: {machine}");
    quell.stop().await.unwrap();
}

/// The token may be stolen; what the source's section says was said of the source.
#[tokio::test]
async fn a_token_causes_revocation_at_most_outside_of_a_lab() {
    for (is_lab, most) in [(true, MayCause::Contain), (false, MayCause::Revoke)] {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = lab(folder.path(), SOURCES);
        settings.config.server.lab = is_lab;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        found(&settings.config.store.path, is_lab, &clock, &SystemEntropy).await.unwrap();
        let quell = Quell::start(settings).await.unwrap();
        let source = Some(SourceId::from("siem"));
        let token =
            mint(&SystemEntropy, quell.engine.now(), "t", &[Scope::Ingest], source, Span::hours(1));
        quell.engine.change_token(token.kept).await.unwrap();

        let alert =
            json!({"kind": "mfa_fatigue", "account": "ana@example.com", "stage": "breached"});
        let request = Request::post("/v1/alerts")
            .header("authorization", format!("Bearer {}", token.text))
            .body(Body::from(alert.to_string()))
            .unwrap();
        let (status, answer) = send(&quell, request).await;

        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        assert_eq!(cases(&quell)[0].1.may_cause, most, "lab: {is_lab}");
        quell.stop().await.unwrap();
    }
}

async fn teams(quell: &Running, from: &Value, id: &str) -> (StatusCode, Value) {
    let key = base64::engine::general_purpose::STANDARD;
    let body = json!({"type": "message", "id": id, "timestamp": quell.engine.now(), "from": from,
        "conversation": {"id": "19:x@thread.tacv2"}, "text": "<at>Quell</at> ten prompts"})
    .to_string();
    let secret = key.decode(TEAMS).unwrap();
    let mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap().chain_update(&body).finalize();
    let request = Request::post("/v1/hooks/teams")
        .header("authorization", format!("HMAC {}", key.encode(mac.into_bytes())))
        .body(Body::from(body))
        .unwrap();
    send(quell, request).await
}

#[tokio::test]
async fn a_teams_user_is_known_by_their_object_id_where_entra_can_be_asked() {
    let (ana, bo) =
        ("7d0f7b3e-0f4c-4f58-9c2e-3a3f6f1f0001", "7d0f7b3e-0f4c-4f58-9c2e-3a3f6f1f0002");
    for (connections, strangers) in
        [("[]", Proof::Relayed), ("['entra']", Proof::AuthenticatedOther)]
    {
        let folder = tempfile::tempdir().unwrap();
        let sources = format!(
            "[sources.teams]\nkind = 'teams'\nauth = 'teams'\nsecrets = ['text:{TEAMS}']\nconnections = {connections}\n\
             aliases = {{ '{ana}' = 'ana@example.com' }}\n"
        );
        let quell = Quell::start(lab(folder.path(), &sources)).await.unwrap();

        let (status, answer) = teams(&quell, &json!({"aadObjectId": ana}), "1").await;
        teams(&quell, &json!({"aadObjectId": bo}), "2").await;
        let (nobody, unread) = teams(&quell, &json!({"id": "28:bot"}), "3").await;

        assert_eq!((status, nobody), (StatusCode::OK, StatusCode::OK));
        let known = report(&quell, "ana@example.com");
        assert_eq!((known.proof, known.text.as_str()), (Proof::AuthenticatedOther, "ten prompts"));
        assert_eq!(answer["type"], "message");
        assert!(answer["text"].as_str().unwrap().contains(&known.reference()), "{answer}");
        assert_eq!(report(&quell, bo).proof, strangers, "{connections}");
        assert!(unread["text"].as_str().unwrap().starts_with("Nothing"), "{unread}");
        quell.stop().await.unwrap();
    }
}
