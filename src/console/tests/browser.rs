//! A browser: keeps its cookie, says where it comes from, and has a passkey when it is handed one.

use axum::Router;
use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tower::ServiceExt;
use webauthn_rs::prelude::{PublicKeyCredential, Url};

use super::super::{ConsoleState, router};
use crate::delivery::{Kept, Origin, Shelf};
use crate::engine::policy::SourceView;
use crate::intake::{Auth, Kind, Verifier};
use crate::jwks::Renewals;
use crate::model::alert::Proof;
use crate::model::entry::ClassTested;
use crate::model::id::{ApprovalId, ConnectionId, IncidentId, ReceiptId, RunId};
use crate::model::incident::{MayCause, Stage};
use crate::model::time::Span;
use crate::people::People;
use crate::people::soft::{SoftPerson, made};
use crate::people::stand::{HERE, Stand};
use crate::poll::Meters;
use crate::server::{Again, Answers, Bucket, Received, Roster, Source, Used};

/// The secret of the one source that tests have.
pub(super) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Refused deliveries, in memory.
#[derive(Default)]
pub(super) struct Shelved(Mutex<BTreeMap<ReceiptId, (Kept, Bytes)>>);

#[async_trait::async_trait]
impl Shelf for Shelved {
    async fn keep(&self, kept: Kept, body: Bytes) {
        self.0.lock().unwrap().insert(kept.id, (kept, body));
    }
    fn all(&self) -> Vec<Kept> {
        self.0.lock().unwrap().values().rev().map(|(kept, _)| kept.clone()).collect()
    }
    async fn body(&self, id: ReceiptId) -> Option<(Kept, Bytes)> {
        self.0.lock().unwrap().get(&id).cloned()
    }
    async fn forget(&self, id: ReceiptId) {
        self.0.lock().unwrap().remove(&id);
    }
}

/// One connection, with a vendor that answers what an attacker may have written.
struct Tried;

#[async_trait::async_trait]
impl crate::console::Probe for Tried {
    async fn test(&self, connection: &ConnectionId) -> Option<crate::console::Tried> {
        let class = |of: &str, problem: Option<&str>| ClassTested {
            of: of.to_owned(),
            credential: "bearer".to_owned(),
            works: problem.is_none(),
            problem: problem.map(str::to_owned),
        };
        let classes = vec![class("ordinary", None), class("privileged", Some(super::HOSTILE))];
        let unset = BTreeMap::from([("quarantine_group".to_owned(), vec!["block".to_owned()])]);
        let known = connection.as_str() == "idp" || super::HOSTILE.contains(connection.as_str());
        known.then_some(crate::console::Tried { classes, unset })
    }
}

/// A source whose deliveries are signed.
fn source() -> Source {
    let auth = Auth::StandardWebhooks { secrets: Vec::new(), tolerance: Span::minutes(5) };
    let view = SourceView {
        id: "siem".into(),
        may_cause: MayCause::Contain,
        connections: vec!["idp".into()],
        aliases: BTreeMap::new(),
    };
    let (format, highest_stage) = (Kind::Alerts.into(), Stage::Confirmed);
    Source {
        origin: Origin { view, format, highest_stage, proof: Proof::Relayed },
        verifier: Some(Verifier::new(auth, vec![SECRET.as_bytes().to_vec()]).unwrap()),
        bucket: Bucket::per_minute(600),
    }
}

#[derive(Clone)]
pub(super) struct Browser {
    router: Router,
    pub(super) shelf: Arc<Shelved>,
    people: People,
    origin: String,
    cookie: Option<String>,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: String,
    headers: HeaderMap,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Nothing of [`HOSTILE`](super::HOSTILE) became markup, and nothing of it can act.
pub(super) fn inert(html: &str, page: &str) {
    assert_eq!(html.matches("<script").count(), 1, "{page}: {html}");
    for broken in ["<img", "<b>alert", "\u{202e}", "\u{0}", "eve<b>", "onerror=alert(2)>"] {
        assert!(!html.contains(broken), "{page}: {broken}");
    }
    assert!(!html.contains(" style="), "{page}: the policy forbids inline styles");
}

/// Every page behind a session.
pub(super) fn pages(question: ApprovalId, (incident, run): (IncidentId, RunId)) -> Vec<String> {
    let mut pages: Vec<String> = [
        "/",
        "/approvals",
        "/approvals/together",
        "/incidents",
        "/in-force",
        "/oncall",
        "/desk",
        "/sources",
        "/playbooks",
        "/people",
        "/audit",
        "/connections",
        "/guardrails",
        "/me",
        "/stream",
    ]
    .map(str::to_owned)
    .to_vec();
    pages.push(format!("/approvals/{question}"));
    pages.push(format!("/incidents/{incident}"));
    pages.push(format!("/runs/{run}"));
    pages
}

/// Every address behind a session that changes something.
pub(super) fn changes(question: ApprovalId, incident: IncidentId) -> Vec<String> {
    vec![
        "/pause".to_owned(),
        "/contain".to_owned(),
        "/desk/calls".to_owned(),
        format!("/incidents/{incident}/notes"),
        format!("/incidents/{incident}/restore"),
        format!("/incidents/{incident}/close"),
        format!("/incidents/{incident}/ask"),
        format!("/v1/approvals/{question}/begin"),
        format!("/v1/approvals/{question}/finish"),
        "/v1/approvals/together/begin".to_owned(),
        "/v1/approvals/together/finish".to_owned(),
        format!("/v1/incidents/{incident}/restore"),
        format!("/v1/incidents/{incident}/close"),
        "/v1/deeds/begin".to_owned(),
        "/v1/deeds/finish".to_owned(),
        "/sign-out".to_owned(),
        "/me/look".to_owned(),
        "/me/sessions/0/end".to_owned(),
        format!("/me/tokens/{question}/revoke"),
        format!("/sources/refused/{question}/judge"),
        "/connections/idp/test".to_owned(),
    ]
}

/// An assertion exactly as the script spells it.
fn as_sent(answer: &PublicKeyCredential) -> Value {
    let response = &answer.response;
    json!({
        "id": answer.id,
        "rawId": URL_SAFE_NO_PAD.encode(&answer.raw_id),
        "type": answer.type_,
        "extensions": {},
        "response": {
            "authenticatorData": URL_SAFE_NO_PAD.encode(&response.authenticator_data),
            "clientDataJSON": URL_SAFE_NO_PAD.encode(&response.client_data_json),
            "signature": URL_SAFE_NO_PAD.encode(&response.signature),
            "userHandle": null,
        },
    })
}

impl Browser {
    pub(super) fn at(stand: &Stand) -> Self {
        let received = Received::of([("siem".to_owned(), "alerts".to_owned())]);
        Self::with_sources(stand, &Meters::default(), &received)
    }

    /// Of a deployment whose sources stand so.
    pub(super) fn with_sources(stand: &Stand, polls: &Meters, received: &Received) -> Self {
        let heard = (polls.clone(), received.clone(), Renewals::default());
        Self::of(stand, stand.people.clone(), HERE, heard)
    }

    /// Of a deployment that reads the keys of its transmitters.
    pub(super) fn with_keys(stand: &Stand, received: &Received, keys: Renewals) -> Self {
        let heard = (Meters::default(), received.clone(), keys);
        Self::of(stand, stand.people.clone(), HERE, heard)
    }

    pub(super) fn over_https(stand: &Stand) -> Self {
        let here = "https://quell.example";
        let people = People::new(stand.engine.clone(), &Url::parse(here).unwrap()).unwrap();
        Self::of(stand, people, here, Default::default())
    }

    fn of(
        stand: &Stand,
        people: People,
        here: &str,
        (polls, received, keys): (Meters, Received, Renewals),
    ) -> Self {
        let shelf = Arc::new(Shelved::default());
        let sources = Roster::new(BTreeMap::from([("siem".into(), source())]));
        let heard = (Answers::default(), received.clone());
        let router = router(ConsoleState {
            engine: stand.engine.clone(),
            people: people.clone(),
            public_url: Url::parse(here).unwrap(),
            lab: true,
            candidates: crate::server::Candidates::default(),
            refusals: crate::console::Refusals::default(),
            polls,
            keys,
            received,
            again: Again::new(stand.engine.clone(), (sources, false), heard, shelf.clone()),
            used: Used::default(),
            tries: crate::console::Tries::new(Arc::new(Tried)),
            oidc: None,
            strangers: crate::console::Strangers::default(),
        });
        Self { router, shelf, people, origin: here.to_owned(), cookie: None }
    }

    pub(super) fn with_cookie(self, cookie: &str) -> Self {
        Self { cookie: Some(cookie.to_owned()), ..self }
    }

    pub(super) fn cookie(&self) -> Option<&String> {
        self.cookie.as_ref()
    }

    pub(super) fn people(&self) -> &People {
        &self.people
    }

    async fn send(&self, request: Builder, body: String) -> Answer {
        let host = self.origin.split("//").nth(1).unwrap();
        let mut request = request.header("host", host).header("user-agent", "a test <b>");
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let response = self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await;
        let (parts, body) = response.unwrap().into_parts();
        let streams = parts.headers.get("content-type").is_some_and(|t| t == "text/event-stream");
        let bytes =
            if streams { Vec::new() } else { body.collect().await.unwrap().to_bytes().to_vec() };
        let body = String::from_utf8(bytes).unwrap();
        Answer { status: parts.status, body, headers: parts.headers }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub(super) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request, String::new()).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = Request::post(path)
            .header("origin", &self.origin)
            .header("content-type", "application/json");
        self.send(request, body.to_string()).await
    }

    pub(super) async fn form(&self, path: &str, body: &str) -> Answer {
        self.form_from(Some(("origin", &self.origin)), path, body).await
    }

    pub(super) async fn form_from(
        &self,
        from: Option<(&str, &str)>,
        path: &str,
        body: &str,
    ) -> Answer {
        let mut request =
            Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        if let Some((name, value)) = from {
            request = request.header(name, value);
        }
        self.send(request, body.to_owned()).await
    }

    /// Uses a ticket up as the page does.
    pub(super) async fn enrol(&self, ticket: &str) -> Answer {
        let begun = self.post(&format!("/enrol/{ticket}/begin"), &json!({})).await;
        assert_eq!(begun.status, StatusCode::OK, "{}", begun.body);
        let begun: Value = serde_json::from_str(&begun.body).unwrap();
        let wish = &begun["options"]["publicKey"]["authenticatorSelection"];
        assert_eq!(wish["residentKey"], "preferred");
        assert_eq!(wish["userVerification"], "required");
        let options = serde_json::from_value(begun["options"].clone()).unwrap();
        let origin = Url::parse(&self.origin).unwrap();
        let (_, made) = made(&origin, options).unwrap();
        let answer = json!({
            "id": made.id,
            "rawId": URL_SAFE_NO_PAD.encode(&made.raw_id),
            "type": made.type_,
            "extensions": {},
            "response": {
                "attestationObject": URL_SAFE_NO_PAD.encode(&made.response.attestation_object),
                "clientDataJSON": URL_SAFE_NO_PAD.encode(&made.response.client_data_json),
            },
        });
        let given = json!({ "ceremony": begun["ceremony"], "answer": answer });
        self.post(&format!("/enrol/{ticket}/finish"), &given).await
    }

    /// The first message of the stream.
    pub(super) async fn first_message(&self) -> String {
        let host = self.origin.split("//").nth(1).unwrap();
        let cookie = self.cookie.clone().unwrap_or_default();
        let request = Request::get("/stream").header("host", host).header("cookie", cookie);
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await;
        let frame = response.unwrap().into_body().frame().await.unwrap().unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    }

    /// Signs in as the page does; returns the cookie as it was set.
    pub(super) async fn sign_in(&mut self, person: &mut SoftPerson) -> String {
        let begun = self.post("/sign-in/begin", &json!({ "name": person.name })).await;
        assert_eq!(begun.status, StatusCode::OK, "{}", begun.body);
        let begun: Value = serde_json::from_str(&begun.body).unwrap();
        let options = serde_json::from_value(begun["options"].clone()).unwrap();
        let answer = person.answer(options).unwrap();
        let given = json!({ "ceremony": begun["ceremony"], "answer": as_sent(&answer) });
        let done = self.post("/sign-in/finish", &given).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.body);
        let set = done.header("set-cookie").to_owned();
        self.cookie = set.split(';').next().map(str::to_owned);
        set
    }

    /// What the script sends at the end of a decision.
    pub(super) async fn signed(
        &self,
        person: &mut SoftPerson,
        question: ApprovalId,
        decision: &str,
        items: Vec<String>,
    ) -> Value {
        let wish = json!({ "decision": decision, "items": items, "justification": "" });
        self.signed_at(person, &format!("/v1/approvals/{question}/begin"), &wish).await
    }

    /// What the script sends at the end of a ceremony that begins at `path`.
    pub(super) async fn signed_at(
        &self,
        person: &mut SoftPerson,
        path: &str,
        wish: &Value,
    ) -> Value {
        let begun = self.post(path, wish).await;
        assert_eq!(begun.status, StatusCode::OK, "{}", begun.body);
        let begun: Value = serde_json::from_str(&begun.body).unwrap();
        let options = serde_json::from_value(begun["options"].clone()).unwrap();
        let answer = person.answer(options).unwrap();
        json!({ "ceremony": begun["ceremony"], "answer": as_sent(&answer) })
    }

    /// What the script sends at the end of an act.
    pub(super) async fn deed(&self, person: &mut SoftPerson, deed: &Value) -> Value {
        self.signed_at(person, "/v1/deeds/begin", deed).await
    }

    /// Does something by passkey, as a page does.
    pub(super) async fn does(&self, person: &mut SoftPerson, deed: &Value) -> Answer {
        let signed = self.deed(person, deed).await;
        self.post("/v1/deeds/finish", &signed).await
    }

    pub(super) async fn decide(
        &self,
        person: &mut SoftPerson,
        question: ApprovalId,
        decision: &str,
        items: Vec<String>,
    ) -> Answer {
        let signed = self.signed(person, question, decision, items).await;
        self.post(&format!("/v1/approvals/{question}/finish"), &signed).await
    }
}
