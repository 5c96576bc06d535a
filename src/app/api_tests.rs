//! The API, called in this process over a real store.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::io::Write as _;
use tower::ServiceExt as _;

use super::tests::lab;
use super::{Quell, Running, SystemEntropy};
use crate::model::id::SourceId;
use crate::model::time::Span;
use crate::server::{Scope, mint};

const SOURCES: &str = r#"
[sources.siem]
kind = "alerts"
auth = "bearer"
secrets = ["text:siem-secret-1"]
may_cause = "contain"
[sources.okta]
kind = "okta"
auth = { header = { name = "authorization" } }
secrets = ["text:okta-secret-1"]
[sources.tools]
kind = "events"
[sources.slow]
kind = "alerts"
auth = "bearer"
secrets = ["text:slow-secret-1"]
per_minute = 1
"#;

pub(super) struct World {
    pub(super) quell: Running,
    router: Router,
    pub(super) folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        Self::with(tempfile::tempdir().unwrap(), SOURCES).await
    }

    pub(super) async fn with(folder: tempfile::TempDir, sources: &str) -> Self {
        Self::of(Quell::start(lab(folder.path(), sources)).await.unwrap(), folder)
    }

    /// One that is up over this folder.
    pub(super) fn of(quell: Running, folder: tempfile::TempDir) -> Self {
        let router = quell.router.clone();
        Self { quell, router, folder }
    }

    /// The same folder under other settings.
    pub(super) async fn restart(self, sources: &str) -> Self {
        Self::with(self.stopped().await, sources).await
    }

    /// Stops it; what is left is its folder.
    pub(super) async fn stopped(self) -> tempfile::TempDir {
        self.quell.stop().await.unwrap();
        drop(self.router);
        self.folder
    }

    pub(super) async fn token(&self, scopes: &[Scope], source: Option<&str>) -> String {
        let now = self.quell.engine.now();
        let source = source.map(SourceId::from);
        let minted = mint(&SystemEntropy, now, "test", scopes, source, Span::hours(1));
        self.quell.engine.change_token(minted.kept).await.unwrap();
        minted.text
    }

    pub(super) async fn send(
        &self,
        request: Request<Body>,
    ) -> (StatusCode, header::HeaderMap, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub(super) async fn post(
        &self,
        path: &str,
        token: &str,
        body: impl Into<Body>,
    ) -> (StatusCode, Value) {
        let request = Request::post(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.into())
            .unwrap();
        let (status, _, body) = self.send(request).await;
        (status, body)
    }

    pub(super) async fn get(&self, path: &str, token: &str) -> (StatusCode, Value) {
        let request = Request::get(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        let (status, _, body) = self.send(request).await;
        (status, body)
    }
}

fn alert(login: &str) -> String {
    let now =
        crate::model::time::rfc3339(crate::engine::ports::Clock::now(&crate::app::SystemClock));
    json!({
        "id": format!("a-{login}"), "kind": "mfa_fatigue", "account": login, "time": now,
        "stage": "confirmed", "reason": "6 prompts denied in 4 minutes",
    })
    .to_string()
}

fn slug(problem: &Value) -> &str {
    problem["type"].as_str().unwrap_or_default().rsplit('/').next().unwrap()
}

#[tokio::test]
async fn what_a_tool_gets_wrong_about_its_delivery_is_named() {
    let world = World::new().await;
    let token = world.token(&[Scope::Ingest], Some("tools")).await;
    let slug = |answer: (StatusCode, Value)| {
        let whole = answer.1["type"].as_str().unwrap_or_default().to_owned();
        (answer.0.as_u16(), whole.rsplit('/').next().unwrap_or_default().to_owned())
    };

    let stranger = slug(world.post("/v1/events?unknown=1", "qll_x", "[]").await);
    let query = slug(world.post("/v1/events?unknown=1", &token, "[]").await);
    let address = slug(world.post("/v1/hooks/tools/more", &token, "[]").await);
    let two_keys = Request::post("/v1/events")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header("idempotency-key", "a")
        .header("idempotency-key", "b")
        .body(Body::from("[]"))
        .unwrap();
    let (status, _, body) = world.send(two_keys).await;

    assert_eq!(stranger, (401, "unauthenticated".to_owned()));
    assert_eq!(query, (422, "invalid-query".to_owned()));
    assert_eq!(address, (404, "not-found".to_owned()));
    assert_eq!(slug((status, body)), (400, "bad-request".to_owned()));
}

#[tokio::test]
async fn a_repeated_delivery_gets_the_same_answer() {
    let world = World::new().await;
    let body = alert("dana@x.example");

    let (status, first) = world.post("/v1/hooks/siem", "siem-secret-1", body.clone()).await;
    let (_, again) = world.post("/v1/hooks/siem", "siem-secret-1", body.clone()).await;

    assert_eq!(status, StatusCode::ACCEPTED, "{first}");
    assert_eq!(first["accepted"], 1, "{first}");
    assert_eq!((&first["duplicate"], &again["duplicate"]), (&json!(false), &json!(true)));
    assert_eq!(first["receipt"], again["receipt"]);
    assert_eq!(first["incidents"], again["incidents"]);
    assert_eq!(first["incidents"].as_array().unwrap().len(), 1, "{first}");
    world.quell.stop().await.unwrap();
}

/// Otherwise a stranger learns which sources are configured.
#[tokio::test]
async fn a_repetition_is_told_the_first_of_many_refused_records() {
    let world = World::new().await;
    let bad = vec!["1"; 5_000].join(",");
    let body = format!("[{},{bad}]", alert("ana@example.com"));

    let (_, first) = world.post("/v1/hooks/siem", "siem-secret-1", body.clone()).await;
    let (status, second) = world.post("/v1/hooks/siem", "siem-secret-1", body).await;

    assert_eq!((first["accepted"].as_u64(), status.as_u16()), (Some(1), 202), "{first}");
    assert_eq!(first["rejected"].as_array().unwrap().len(), 5_000);
    assert_eq!(second["rejected"].as_array().unwrap().len(), 20, "what is kept is bounded");
    assert_eq!(second["receipt"], first["receipt"]);
}

#[tokio::test]
async fn streams_beyond_the_bound_are_told_to_come_back_and_a_closed_one_makes_room() {
    let world = World::new().await;
    let token = world.token(&[Scope::Read], None).await;
    let open = || {
        let request = Request::get("/v1/stream")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        world.router.clone().oneshot(request)
    };

    let mut streams = Vec::new();
    loop {
        let answer = open().await.unwrap();
        if answer.status() != StatusCode::OK {
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(answer.headers().contains_key(header::RETRY_AFTER));
            break;
        }
        streams.push(answer);
        assert!(streams.len() <= 64);
    }

    drop(streams.pop());
    assert_eq!(open().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_unknown_source_is_answered_like_a_wrong_secret() {
    let world = World::new().await;

    let (status, mut wrong) = world.post("/v1/hooks/siem", "not-the-secret", alert("d")).await;
    let (other, mut unknown) = world.post("/v1/hooks/nobody", "not-the-secret", alert("d")).await;
    let (tokens_only, _) = world.post("/v1/hooks/tools", "not-the-secret", "{}").await;

    assert_eq!(
        (status, other, tokens_only),
        (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED)
    );
    wrong["instance"] = Value::Null;
    unknown["instance"] = Value::Null;
    assert_eq!(wrong, unknown);
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_and_no_more() {
    let world = World::new().await;
    let all = [
        (Scope::Ingest, "POST", "/v1/events"),
        (Scope::Read, "GET", "/v1/incidents"),
        (Scope::Contain, "POST", "/v1/pause"),
        (Scope::Author, "POST", "/v1/playbooks"),
        (Scope::Admin, "GET", "/v1/tokens"),
    ];
    for has in Scope::ALL {
        let token = world.token(&[has], (has == Scope::Ingest).then_some("tools")).await;
        for (needed, method, path) in all {
            let (status, body) = match method {
                "GET" => world.get(path, &token).await,
                _ => world.post(path, &token, "[]").await,
            };
            let may = has == needed || (has == Scope::Admin && needed == Scope::Read);
            assert_eq!(status != StatusCode::FORBIDDEN, may, "{has:?} {path}: {body}");
        }
    }
    let (status, problem) = world.get("/v1/incidents", "qll_nonsense").await;
    assert_eq!((status, slug(&problem)), (StatusCode::UNAUTHORIZED, "unauthenticated"));
    world.quell.stop().await.unwrap();
}

/// Whatever a token may, it decides nothing, opens nothing and closes nothing.
#[tokio::test]
async fn a_token_with_every_scope_decides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = lab(folder.path(), SOURCES);
    settings.console = Some(super::console(&settings.config, None));
    let quell = Quell::start(settings).await.unwrap();
    let world = World { router: quell.router.clone(), quell, folder };
    let token = world.token(&Scope::ALL, None).await;
    let alert = json!({ "kind": "mfa_fatigue", "account": { "login": "mia@corp.example" },
        "time": world.quell.engine.now(), "stage": "confirmed", "reason": "six denied" });
    let request = Request::post("/v1/hooks/siem")
        .header("authorization", "Bearer siem-secret-1")
        .body(Body::from(json!([alert]).to_string()))
        .unwrap();
    let (status, _, told) = world.send(request).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    let incident = told["incidents"][0]["incident"].as_str().unwrap();
    let run = told["incidents"][0]["run"].as_str().unwrap();
    let before = world.quell.engine.read(|core| core.state.incidents.len());

    for (path, body) in [
        (format!("/v1/approvals/{run}/begin"), json!({ "decision": "approve" })),
        (format!("/v1/approvals/{run}/finish"), json!({})),
        (format!("/v1/incidents/{incident}/restore"), json!({})),
        (format!("/v1/incidents/{incident}/close"), json!({ "text": "done" })),
        ("/v1/deeds/begin".to_owned(), json!({ "deed": "resume", "run": run })),
        ("/v1/deeds/begin".to_owned(), json!({ "deed": "release", "reason": "go" })),
        ("/v1/deeds/finish".to_owned(), json!({})),
        ("/pause".to_owned(), json!({ "paused": false })),
    ] {
        let request = Request::post(&path)
            .header("authorization", format!("Bearer {token}"))
            .header("origin", "http://localhost:7040")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let (status, _, told) = world.send(request).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}: {told}");
    }

    let state = world.quell.engine.read(|core| {
        let refused = core.state.incidents.values().next().map(|i| i.status);
        (core.state.incidents.len(), refused)
    });
    assert_eq!(state, (before, Some(crate::model::incident::IncidentStatus::Open)));
    world.quell.stop().await.unwrap();
}

#[tokio::test]
async fn every_refusal_is_a_problem_that_names_the_request() {
    let world = World::new().await;
    let read = world.token(&[Scope::Read], None).await;
    let contain = world.token(&[Scope::Contain], None).await;

    for (path, token, body, status, kind) in [
        ("/v1/nowhere", &read, "", 404, "not-found"),
        ("/v1/incidents", &read, "", 405, "method-not-allowed"),
        ("/v1/pause", &contain, "{", 422, "invalid-body"),
        ("/v1/pause", &contain, r#"{"paused":false}"#, 403, "needs-person"),
        ("/v1/subjects/nobody/contain", &contain, "{}", 404, "not-found"),
        ("/v1/playbooks/none/runs", &contain, r#"{"subject":"x"}"#, 404, "not-found"),
    ] {
        let (given, problem) = world.post(path, token, body).await;
        assert_eq!((given.as_u16(), slug(&problem)), (status, kind), "{path}: {problem}");
        assert!(problem["instance"].as_str().unwrap().starts_with("urn:uuid:"), "{path}");
        assert_eq!(problem["status"], status);
    }
    let (status, problem) = world.get("/v1/incidents?stage=nonsense", &read).await;
    assert_eq!((status.as_u16(), slug(&problem)), (422, "invalid-query"));
    let plain = Request::post("/v1/pause")
        .header(header::AUTHORIZATION, format!("Bearer {contain}"))
        .header(header::CONTENT_TYPE, "text/plain")
        .body(Body::from("{}"))
        .unwrap();
    let (status, headers, problem) = world.send(plain).await;
    assert_eq!((status.as_u16(), slug(&problem)), (415, "wrong-media-type"));
    assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    world.quell.stop().await.unwrap();
}

#[tokio::test]
async fn a_body_is_capped_before_and_after_it_is_inflated() {
    let world = World::new().await;

    let long = "x".repeat(300 * 1024);
    let (status, problem) = world.post("/v1/hooks/siem", "siem-secret-1", long).await;
    assert_eq!((status.as_u16(), slug(&problem)), (413, "body-too-large"));

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![b' '; 8 << 20]).unwrap();
    let bomb = Request::post("/v1/hooks/siem")
        .header(header::AUTHORIZATION, "Bearer siem-secret-1")
        .header(header::CONTENT_ENCODING, "gzip")
        .body(Body::from(gzip.finish().unwrap()))
        .unwrap();
    let (status, _, problem) = world.send(bomb).await;
    assert_eq!((status.as_u16(), slug(&problem)), (413, "body-too-large"));
    world.quell.stop().await.unwrap();
}

#[tokio::test]
async fn a_source_that_sends_too_fast_is_told_when_to_come_back() {
    let world = World::new().await;
    let request = || {
        Request::post("/v1/hooks/slow")
            .header(header::AUTHORIZATION, "Bearer slow-secret-1")
            .body(Body::from(alert("dana@x.example")))
            .unwrap()
    };

    let (first, _, _) = world.send(request()).await;
    let (second, headers, problem) = world.send(request()).await;

    assert_eq!(first, StatusCode::ACCEPTED);
    assert_eq!((second.as_u16(), slug(&problem)), (429, "too-many-requests"));
    assert!(headers[header::RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    world.quell.stop().await.unwrap();
}

#[tokio::test]
async fn okta_may_check_a_hook_and_nobody_else_learns_of_it() {
    let world = World::new().await;
    let check = |source: &str| {
        Request::get(format!("/v1/hooks/{source}"))
            .header("x-okta-verification-challenge", "abc")
            .body(Body::empty())
            .unwrap()
    };

    let (status, _, body) = world.send(check("okta")).await;
    assert_eq!((status, body), (StatusCode::OK, json!({"verification": "abc"})));
    assert_eq!(world.send(check("siem")).await.0, StatusCode::NOT_FOUND);
    world.quell.stop().await.unwrap();
}

#[tokio::test]
async fn an_incident_can_be_listed_shown_and_followed() {
    let world = World::new().await;
    let read = world.token(&[Scope::Read], None).await;
    let (_, answer) = world.post("/v1/hooks/siem", "siem-secret-1", alert("dana@x.example")).await;
    let id = answer["incidents"][0]["incident"].as_str().unwrap().to_owned();

    let (_, list) = world.get("/v1/incidents?status=open", &read).await;
    let (_, shown) = world.get(&format!("/v1/incidents/{id}"), &read).await;
    let (_, timeline) = world.get(&format!("/v1/incidents/{id}/timeline"), &read).await;
    let (_, subject) = world.get("/v1/subjects/dana@x.example", &read).await;

    assert_eq!(list["items"][0]["id"], *id, "{list}");
    assert_eq!(shown["subject"]["name"], "dana@x.example");
    let kinds: Vec<_> =
        timeline["items"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"incident.opened"), "{kinds:?}");
    assert_eq!(subject["incidents"], json!([id]));
    world.quell.stop().await.unwrap();
}

#[tokio::test]
async fn a_submitted_playbook_is_checked_and_published_in_a_lab() {
    let world = World::new().await;
    let author = world.token(&[Scope::Author], None).await;

    let (status, problem) =
        world.post("/v1/playbooks", &author, "playbook: x\nsteps: [{us: a}]\n").await;
    assert_eq!((status.as_u16(), slug(&problem)), (422, "playbook-problems"));
    assert!(problem["errors"][0]["at"]["line"].is_u64(), "{problem}");

    let text = crate::playbook::skeleton("my-own").unwrap();
    let (status, shown) = world.post("/v1/playbooks", &author, text).await;
    assert_eq!(status, StatusCode::CREATED, "{shown}");
    assert_eq!(shown["published"]["by"], "token:test (lab)");
    world.quell.stop().await.unwrap();
}

#[tokio::test]
async fn the_description_of_the_api_has_every_route() {
    let world = World::new().await;
    let (_, described) = world.get("/openapi.json", "").await;
    let source = include_str!("../server.rs");

    let routes: Vec<&str> =
        source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();

    assert!(routes.len() > 20);
    for route in routes {
        assert!(described["paths"][route].is_object(), "{route} is not described");
    }
}

#[tokio::test]
async fn an_incident_is_told_as_a_story_in_three_forms() {
    let world = World::new().await;
    let token = world.token(&[Scope::Ingest], Some("siem")).await;
    let reader = world.token(&[Scope::Read], None).await;
    let evil = alert("ana@example.com").replace("6 prompts", "=HYPERLINK(<b>x</b>) | 6 prompts");
    let (status, answer) = world.post("/v1/alerts", &token, evil).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let id = answer["incidents"][0]["incident"].as_str().unwrap().to_owned();
    let told = async |form: &str| {
        let request = Request::get(format!("/v1/incidents/{id}/story?format={form}"))
            .header(header::AUTHORIZATION, format!("Bearer {reader}"))
            .body(Body::empty())
            .unwrap();
        let response = world.router.clone().oneshot(request).await.unwrap();
        let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (kind, String::from_utf8(body.to_vec()).unwrap())
    };

    let (kind, json) = told("json").await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(kind, "application/json");
    assert_eq!(json["attack"][0], "T1621");
    assert!(json["csf"].as_array().unwrap().contains(&json!("DE.AE-08")), "{json}");
    assert_eq!(json["incident"]["id"], *id);

    let (kind, csv) = told("csv").await;
    assert!(kind.starts_with("text/csv"), "{kind}");
    assert!(csv.contains("Incident opened as confirmed"), "{csv}");
    // Where the evidence's own words begin a cell, they begin it as text.
    assert!(csv.contains("'=HYPERLINK") && !csv.contains(",=HYPERLINK"), "{csv}");

    let (kind, markdown) = told("markdown").await;
    assert!(kind.starts_with("text/markdown"), "{kind}");
    assert!(markdown.contains("&lt;b&gt;x&lt;/b&gt;\\) \\| 6 prompts"), "{markdown}");
    assert_eq!(world.get("/v1/incidents/x/story", &reader).await.0, StatusCode::NOT_FOUND);
    world.quell.stop().await.unwrap();
}
