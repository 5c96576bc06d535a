//! A small transmitter over real HTTP, a whole Quell that it pushes to, and the command between them.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

use super::*;
use crate::app::Quell;
use crate::app::tests::lab;
use crate::cli::ColorWhen;
use crate::model::time::Span;
use crate::server::{Scope, mint};

const AUDIENCE: &str = "https://quell.example.com";
const ACCESS: &str = "transmitter-access-token";

#[derive(Clone)]
struct There(Arc<Tenant>);

/// What the transmitter knows.
struct Tenant {
    issuer: String,
    key: EncodingKey,
    jwks: Value,
    audience: Mutex<String>,
    streams: Mutex<Vec<Value>>,
    /// What came of pushes.
    pushed: Mutex<Vec<StatusCode>>,
}

impl There {
    fn new(issuer: String) -> Self {
        let pkcs8 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public = pkcs8.public_key().as_ref();
        let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&public[range]);
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "alg": "ES256",
            "x": part(1..33), "y": part(33..65)});
        Self(Arc::new(Tenant {
            issuer,
            key: EncodingKey::from_ec_der(pkcs8.to_pkcs8v1().unwrap().as_ref()),
            jwks: json!({"keys": [jwk]}),
            audience: Mutex::new(AUDIENCE.to_owned()),
            streams: Mutex::default(),
            pushed: Mutex::default(),
        }))
    }

    fn router(&self) -> Router {
        Router::new()
            .route("/.well-known/ssf-configuration/acme", get(described))
            .route("/keys", get(async |State(there): State<There>| Json(there.0.jwks.clone())))
            .route("/streams", get(list).post(create).delete(delete))
            .route("/status", get(status))
            .route("/verify", post(verify))
            .with_state(self.clone())
    }

    fn sign(&self, stream: &str, kind: &str, event: &Value) -> String {
        let kind = format!("https://schemas.openid.net/secevent/ssf/event-type/{kind}");
        let claims = json!({"iss": self.0.issuer, "jti": format!("{kind} {event}"), "iat": 1_777_976_130,
            "aud": AUDIENCE, "sub_id": {"format": "opaque", "id": stream}, "events": {kind: event}});
        let mut header = Header::new(Algorithm::ES256);
        (header.typ, header.kid) = (Some("secevent+jwt".into()), Some("k1".into()));
        encode(&header, &claims, &self.0.key).unwrap()
    }

    async fn push(&self, stream: &str, kind: &str, event: &Value) {
        let to = self.0.streams.lock().unwrap()[0]["delivery"]["endpoint_url"]
            .as_str()
            .unwrap()
            .to_owned();
        let request =
            reqwest::Client::new().post(to).header("content-type", "application/secevent+jwt");
        let answer = request.body(self.sign(stream, kind, event)).send().await.unwrap();
        self.0.pushed.lock().unwrap().push(answer.status());
    }
}

fn allowed(heads: &HeaderMap) -> Result<(), StatusCode> {
    let right = heads.get("authorization").is_some_and(|v| v == &format!("Bearer {ACCESS}"));
    right.then_some(()).ok_or(StatusCode::UNAUTHORIZED)
}

async fn described(State(there): State<There>) -> Json<Value> {
    let issuer = &there.0.issuer;
    let base = issuer.trim_end_matches("/acme");
    Json(json!({"issuer": issuer, "jwks_uri": format!("{base}/keys"), "spec_version": "1_0",
        "delivery_methods_supported": [PUSH], "configuration_endpoint": format!("{base}/streams"),
        "status_endpoint": format!("{base}/status"), "verification_endpoint": format!("{base}/verify")}))
}

async fn list(State(there): State<There>, heads: HeaderMap) -> Result<Json<Value>, StatusCode> {
    allowed(&heads)?;
    Ok(Json(json!(*there.0.streams.lock().unwrap())))
}

async fn create(
    State(there): State<There>,
    heads: HeaderMap,
    Json(mut stream): Json<Value>,
) -> Result<(StatusCode, Json<Value>), StatusCode> {
    allowed(&heads)?;
    stream["stream_id"] = "s-1".into();
    stream["iss"] = there.0.issuer.clone().into();
    stream["aud"] = there.0.audience.lock().unwrap().clone().into();
    stream["events_delivered"] = json!([stream["events_requested"][0]]);
    there.0.streams.lock().unwrap().push(stream.clone());
    Ok((StatusCode::CREATED, Json(stream)))
}

type Named = Query<HashMap<String, String>>;

async fn delete(
    State(there): State<There>,
    Query(named): Named,
    heads: HeaderMap,
) -> Result<StatusCode, StatusCode> {
    allowed(&heads)?;
    there
        .0
        .streams
        .lock()
        .unwrap()
        .retain(|stream| stream["stream_id"] != named["stream_id"].as_str());
    Ok(StatusCode::NO_CONTENT)
}

async fn status(Query(named): Named, heads: HeaderMap) -> Result<Json<Value>, StatusCode> {
    allowed(&heads)?;
    Ok(Json(json!({"stream_id": named["stream_id"], "status": "enabled"})))
}

async fn verify(
    State(there): State<There>,
    heads: HeaderMap,
    Json(asked): Json<Value>,
) -> Result<StatusCode, StatusCode> {
    allowed(&heads)?;
    let stream = asked["stream_id"].as_str().unwrap();
    there.push(stream, "verification", &json!({"state": asked["state"]})).await;
    Ok(StatusCode::NO_CONTENT)
}

/// A transmitter, a Quell that takes its tokens, and settings for the command.
struct Bench {
    runtime: tokio::runtime::Runtime,
    there: There,
    quell: Option<crate::app::Running>,
    here: Url,
    folder: tempfile::TempDir,
    token: String,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (there, quell, here, token) = runtime.block_on(async {
            let (listener, at) = listen().await;
            let there = There::new(format!("{at}acme"));
            spawn(listener, there.router());
            let (listener, here) = listen().await;
            let sources = sources(&there);
            let quell = Quell::start(lab(folder.path(), &sources)).await.unwrap();
            spawn(listener, quell.router.clone());
            let minted =
                mint(&SystemEntropy, quell.engine.now(), "t", &[Scope::Read], None, Span::hours(1));
            quell.engine.change_token(minted.kept).await.unwrap();
            let text = format!("[server]\nlab = true\npublic_url = '{here}'\n{sources}");
            std::fs::write(folder.path().join("quell.toml"), text).unwrap();
            (there, quell, here, minted.text)
        });
        Self { runtime, there, quell: Some(quell), here, folder, token }
    }

    fn asked(&self, source: &str, access: &str) -> Asked {
        Asked {
            source: source.to_owned(),
            access: Some(format!("text:{access}").parse().unwrap()),
            discovery: None,
            config: ConfigArgs { config: Some(self.folder.path().join("quell.toml")) },
            format: Format::Json,
        }
    }

    fn stream(&self) -> Value {
        let all = self.there.0.streams.lock().unwrap();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    /// What Quell says of its source.
    fn source(&self) -> Value {
        let server = ServerArgs::at(self.here.clone(), Some(self.token.clone()));
        let client = Client::new(&server).unwrap();
        self.runtime.block_on(client.get("/v1/sources")).unwrap()[0].clone()
    }

    fn stop(mut self) {
        self.runtime.block_on(self.quell.take().unwrap().stop()).unwrap();
    }
}

fn ends(command: &Command) -> Result<Verdict, String> {
    run(command, &mut Output::new(ColorWhen::Never)).map_err(|error| format!("{error:#}"))
}

fn sources(there: &There) -> String {
    format!(
        "[sources.idp]\nkind = 'shared-signals'\nauth = {{ set = {{ issuer = '{}', audience = '{AUDIENCE}' }} }}\n\
         secrets = ['text:{}']\n[sources.siem]\nkind = 'alerts'\nauth = 'bearer'\nsecrets = ['text:siem-secret-1']\n",
        there.0.issuer, there.0.jwks
    )
}

async fn listen() -> (TcpListener, Url) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    (listener, at)
}

#[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
fn spawn(listener: TcpListener, router: Router) {
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
}

#[test]
fn a_stream_is_created_proved_shown_and_ended() {
    let bench = Bench::new();
    let asked = || bench.asked("idp", ACCESS);
    let quell = || ServerArgs::at(bench.here.clone(), Some(bench.token.clone()));

    assert_eq!(ends(&Command::Create { asked: asked(), event: Vec::new() }), Ok(Verdict::Fine));
    let stream = bench.stream();
    assert_eq!(
        stream["delivery"],
        json!({"method": PUSH, "endpoint_url": format!("{}v1/hooks/idp", bench.here)})
    );
    assert_eq!(stream["events_requested"], json!(EVENTS));
    let again = ends(&Command::Create { asked: asked(), event: Vec::new() });
    assert!(again.unwrap_err().contains("`s-1` pushes to"));
    assert_eq!(told(&stream, None)["not_delivered"], json!(EVENTS[1..]));

    // The command ends well only when the transmitter's proof has come in here.
    let proof = Command::Verify { asked: asked(), stream: None, server: quell() };
    assert_eq!(ends(&proof), Ok(Verdict::Fine));
    assert_eq!(*bench.there.0.pushed.lock().unwrap(), [StatusCode::ACCEPTED]);
    let source = bench.source();
    assert_eq!(source["stream"]["state"].as_str().unwrap().len(), 32, "{source}");
    let paused = json!({"status": "paused", "reason": "quota\u{202e}"});
    bench.runtime.block_on(bench.there.push("s-1", "stream-updated", &paused));
    let source = bench.source();
    assert_eq!(
        (&source["stream"]["status"], &source["stream"]["reason"]),
        (&json!("paused"), &json!("quota⟪U+202E⟫"))
    );

    assert_eq!(ends(&Command::Show { asked: asked() }), Ok(Verdict::Fine));
    assert_eq!(ends(&Command::Keys { asked: asked(), settings: false }), Ok(Verdict::Fine));
    assert_eq!(ends(&Command::Keys { asked: asked(), settings: true }), Ok(Verdict::Fine));
    let other = Command::Delete { asked: asked(), stream: Some("s-2".to_owned()) };
    assert!(ends(&other).unwrap_err().contains("no stream `s-2`"));
    assert_eq!(ends(&Command::Delete { asked: asked(), stream: None }), Ok(Verdict::Fine));
    assert!(bench.there.0.streams.lock().unwrap().is_empty());
    assert!(ends(&Command::Show { asked: asked() }).unwrap_err().contains("no stream of"));
    bench.stop();
}

#[test]
fn what_is_wrong_is_told_without_the_access_token() {
    let bench = Bench::new();
    let create = |asked| ends(&Command::Create { asked, event: vec!["urn:x".to_owned()] });

    let refused = create(bench.asked("idp", "another-access-token")).unwrap_err();
    assert!(refused.contains("401") && !refused.contains("another-access-token"), "{refused}");
    assert!(create(bench.asked("siem", ACCESS)).unwrap_err().contains("takes no event tokens"));
    assert!(create(bench.asked("nonsuch", ACCESS)).unwrap_err().contains("no source `nonsuch`"));
    let plain = Asked {
        discovery: Some("http://idp.example.com/x".parse().unwrap()),
        ..bench.asked("idp", ACCESS)
    };
    assert!(create(plain).unwrap_err().contains("is not https"));
    let nothing = Asked { access: None, ..bench.asked("idp", ACCESS) };
    assert!(create(nothing).unwrap_err().contains("no access token"));

    // Tokens for somebody else would all be refused.
    *bench.there.0.audience.lock().unwrap() = "https://other.example".to_owned();
    let said = create(bench.asked("idp", ACCESS)).unwrap_err();
    assert!(said.contains("`https://other.example`") && said.contains("set `audience`"), "{said}");
    assert_eq!(bench.stream()["events_requested"], json!(["urn:x"]));
    bench.stop();
}

/// Else whoever answers at an address would be sent a token that is another's.
#[test]
fn a_description_of_another_issuer_is_not_believed() {
    let bench = Bench::new();
    let file = bench.folder.path().join("quell.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("/acme'", "/'");
    std::fs::write(&file, text).unwrap();
    let asked = Asked {
        discovery: Some(
            format!(
                "{}/.well-known/ssf-configuration/acme",
                bench.there.0.issuer.trim_end_matches("/acme")
            )
            .parse()
            .unwrap(),
        ),
        ..bench.asked("idp", ACCESS)
    };

    let said = ends(&Command::Show { asked }).unwrap_err();

    assert!(said.contains("describes the issuer"), "{said}");
    bench.stop();
}

/// Tokens that are signed by keys which are elsewhere would all be refused.
#[test]
fn the_settings_that_read_keys_are_printed_and_have_to_name_where_the_transmitters_are() {
    let bench = Bench::new();
    let file = bench.folder.path().join("quell.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let ours = ours(&bench.asked("idp", ACCESS)).unwrap().unwrap();
    let there = format!("{}/keys", bench.there.0.issuer.trim_end_matches("/acme"));
    let printed = to_set(&ours, &there.parse().unwrap());
    let read_at = |keys: &str| {
        let line = printed.lines().last().unwrap().replace(&there, keys);
        let (start, end) =
            (text.find("auth = { set").unwrap(), text.find("[sources.siem]").unwrap());
        std::fs::write(&file, format!("{}{line}\n{}", &text[..start], &text[end..])).unwrap();
        ends(&Command::Create { asked: bench.asked("idp", ACCESS), event: Vec::new() })
    };

    let said = read_at("https://idp.example.com/old-keys").unwrap_err();
    assert!(said.contains("are at `http://127.0.0.1") && said.contains("set `jwks_uri`"), "{said}");
    assert!(bench.there.0.streams.lock().unwrap().is_empty(), "nothing was created");
    assert_eq!(read_at(&there), Ok(Verdict::Fine));
    bench.stop();
}
