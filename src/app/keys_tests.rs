//! A transmitter whose keys are read by a whole Quell over real HTTP: they rotate, are withdrawn, asked for by
//! strangers, and cannot be had. Time is held.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use futures::future::join_all;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::api_tests::World;
use super::tests::lab;
use super::{BootError, Quell};
use crate::jwks::tests::{AUDIENCE, Held, ISSUER, Signer};
use crate::model::time::Span;
use crate::server::Scope;

/// Where keys are read.
#[derive(Clone)]
struct There {
    at: String,
    /// Status, body, and where a redirect leads.
    answer: Arc<Mutex<(StatusCode, String)>>,
    /// How often it was asked.
    asked: watch::Sender<usize>,
    /// Whether it answers at all.
    open: watch::Sender<bool>,
}

impl There {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = Self {
            at: format!("http://{}/keys", listener.local_addr().unwrap()),
            answer: Arc::default(),
            asked: watch::channel(0).0,
            open: watch::channel(true).0,
        };
        let own = there.clone();
        let answered = async move || {
            own.asked.send_modify(|times| *times += 1);
            drop(own.open.subscribe().wait_for(|open| *open).await);
            let (status, body) = own.answer.lock().unwrap().clone();
            (status, [(header::LOCATION, "/elsewhere")], body).into_response()
        };
        let router = Router::new().route("/keys", get(answered));
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        there
    }

    fn publishes(&self, signers: &[&Signer]) {
        let keys: Vec<&Value> = signers.iter().map(|signer| &signer.jwk).collect();
        self.answers(StatusCode::OK, json!({ "keys": keys }).to_string());
    }

    fn answers(&self, status: StatusCode, body: impl Into<String>) {
        *self.answer.lock().unwrap() = (status, body.into());
    }

    fn asked(&self) -> usize {
        *self.asked.borrow()
    }

    fn sources(&self) -> String {
        format!(
            "[sources.idp]\nkind = 'shared-signals'\n\
             auth = {{ set = {{ issuer = '{ISSUER}', audience = '{AUDIENCE}', jwks_uri = '{}', allow_networks = ['127.0.0.0/8'] }} }}\n\
             [sources.siem]\nkind = 'alerts'\nauth = 'bearer'\nsecrets = ['text:siem-secret-1']\n",
            self.at
        )
    }
}

struct Bench {
    there: There,
    clock: Held,
    world: World,
    token: String,
}

impl Bench {
    async fn new(there: There) -> Self {
        let clock = Held::at("2026-05-05T10:15:30Z");
        Self::over(there, clock, tempfile::tempdir().unwrap()).await
    }

    async fn over(there: There, clock: Held, folder: tempfile::TempDir) -> Self {
        let mut settings = lab(folder.path(), &there.sources());
        settings.clock = Arc::new(clock.clone());
        let world = World::of(Quell::start(settings).await.unwrap(), folder);
        let token = world.token(&[Scope::Read], None).await;
        Self { there, clock, world, token }
    }

    async fn restarted(self) -> Self {
        let folder = self.world.stopped().await;
        Self::over(self.there, self.clock, folder).await
    }

    async fn push(&self, token: String) -> (StatusCode, HeaderMap, Value) {
        let request = Request::post("/v1/hooks/idp").body(Body::from(token)).unwrap();
        self.world.send(request).await
    }

    async fn pushed(&self, token: String) -> u16 {
        self.push(token).await.0.as_u16()
    }

    /// What the API says of the keys.
    async fn keys(&self) -> Value {
        let (_, sources) = self.world.get("/v1/sources", &self.token).await;
        sources[0]["keys"].clone()
    }

    async fn metrics(&self) -> String {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let response = self.world.quell.router.clone().oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }
}

#[tokio::test]
async fn a_transmitter_that_rotates_is_understood_at_once_and_what_it_withdrew_no_longer() {
    let (one, two) = (Signer::new("k1"), Signer::new("k2"));
    let there = There::new().await;
    there.publishes(&[&one]);
    let bench = Bench::new(there).await;
    assert_eq!(bench.pushed(one.token("1")).await, 202);
    assert_eq!(bench.there.asked(), 1);

    // It rotates within the minute: nothing is lost, for its token is sent again.
    bench.there.publishes(&[&two]);
    let (status, heads, body) = bench.push(two.token("2")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    let wait: i64 = heads[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    bench.clock.pass(Span::seconds(wait));
    assert_eq!(bench.pushed(two.token("2")).await, 202);
    assert_eq!(bench.there.asked(), 2);

    // The old key is gone, and nobody has to be asked again who was asked after the token came.
    bench.clock.pass(Span::minutes(1));
    let (status, _, body) = bench.push(one.token("3")).await;
    assert_eq!((status.as_u16(), &body["err"]), (400, &json!("invalid_key")), "{body}");
    assert_eq!(bench.there.asked(), 3);
    let keys = bench.keys().await;
    assert_eq!((&keys["count"], &keys["in_a_row"]), (&json!(1), &json!(0)), "{keys}");
    assert_eq!(keys["read_at"], "2026-05-05T10:17:31.000Z", "{keys}");
    let text = bench.metrics().await;
    assert!(text.contains("quell_jwks_keys{source=\"idp\"} 1\n"), "{text}");
    assert!(text.contains("quell_jwks_reads_total{source=\"idp\"} 3\n"), "{text}");
    bench.world.stopped().await;
}

/// Settings that are read again leave the keys where whoever renews them puts them; another place waits for a restart.
#[tokio::test]
async fn keys_are_renewed_on_after_the_settings_were_read_again() {
    let (one, two) = (Signer::new("k1"), Signer::new("k2"));
    let there = There::new().await;
    there.publishes(&[&one]);
    let bench = Bench::new(there).await;
    assert_eq!(bench.pushed(one.token("1")).await, 202);
    let home = bench.world.folder.path().to_owned();
    let write = |sources: &str| {
        std::fs::write(home.join("quell.toml"), super::tests::text(&home, sources)).unwrap();
    };

    write(&bench.there.sources().replace("siem-secret-1", "siem-secret-2"));
    let reread = bench.world.quell.reread("test").await.unwrap();
    assert_eq!((reread.taken, reread.restart), (vec!["sources.siem".to_owned()], Vec::new()));
    assert_eq!(bench.pushed(one.token("2")).await, 202, "known before the reading");
    bench.there.publishes(&[&two]);
    bench.clock.pass(Span::minutes(2));
    assert_eq!(bench.pushed(two.token("3")).await, 202, "renewed after it");

    write(&bench.there.sources().replace("/keys", "/elsewhere"));
    let reread = bench.world.quell.reread("test").await.unwrap();
    assert_eq!(reread.restart, ["sources.idp"]);
    assert_eq!(bench.pushed(two.token("4")).await, 202);
    bench.world.stopped().await;
}

#[tokio::test]
async fn a_token_that_names_no_key_is_proved_by_one_that_is_new() {
    let (one, two) = (Signer::new("k1"), Signer::new("k2"));
    let there = There::new().await;
    there.publishes(&[&one]);
    let bench = Bench::new(there).await;
    assert_eq!(bench.pushed(one.signed(None, "1")).await, 202);
    bench.there.publishes(&[&two]);
    bench.clock.pass(Span::minutes(2));

    assert_eq!(bench.pushed(two.signed(None, "2")).await, 202);

    // Who signs with another key under a name that is known is no transmitter, and nothing is read for them.
    let asked = bench.there.asked();
    bench.clock.pass(Span::minutes(2));
    let (status, _, body) = bench.push(one.signed(Some("k2"), "3")).await;
    assert_eq!((status.as_u16(), &body["err"]), (400, &json!("authentication_failed")), "{body}");
    assert_eq!(bench.there.asked(), asked);
    bench.world.stopped().await;
}

#[tokio::test]
async fn a_flood_of_unknown_keys_costs_one_question_a_minute_and_no_other_source_its_turn() {
    let (own, stranger) = (Signer::new("k1"), Signer::new("x"));
    let there = There::new().await;
    there.publishes(&[&own]);
    let bench = Bench::new(there).await;
    assert_eq!(bench.pushed(own.token("1")).await, 202);
    bench.clock.pass(Span::minutes(2));
    bench.there.open.send_replace(false);

    let flood =
        join_all((0..300).map(|n| bench.push(stranger.signed(Some(&format!("k-{n}")), "x"))));
    let others = async {
        // The keys are being asked for, and nobody answers.
        drop(bench.there.asked.subscribe().wait_for(|asked| *asked == 2).await);
        let (status, answer) = bench.world.post("/v1/hooks/siem", "siem-secret-1", "[]").await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        assert_eq!(bench.pushed(own.token("2")).await, 202, "its own keys are known");
        bench.there.open.send_replace(true);
    };
    let (flooded, ()) = futures::join!(flood, others);

    assert!(flooded.iter().all(|(status, ..)| [400, 503].contains(&status.as_u16())));
    for n in 0..100 {
        assert_ne!(bench.pushed(stranger.signed(Some(&format!("l-{n}")), "x")).await, 202);
    }
    assert_eq!(bench.there.asked(), 2);
    assert_eq!(bench.pushed(own.token("3")).await, 202);
    bench.world.stopped().await;
}

#[tokio::test]
async fn what_was_read_last_counts_while_nothing_can_be_read_also_after_a_restart() {
    let (one, two) = (Signer::new("k1"), Signer::new("k2"));
    let there = There::new().await;
    there.publishes(&[&one]);
    let mut bench = Bench::new(there).await;
    assert_eq!(bench.pushed(one.token("1")).await, 202);

    let long = "x".repeat(1 << 20);
    let troubles = [
        (StatusCode::INTERNAL_SERVER_ERROR, "", "refused", "it answered 500"),
        (StatusCode::OK, "<html>", "unreadable", "no JSON Web Key Set"),
        (StatusCode::OK, long.as_str(), "unreachable", "longer than"),
        (StatusCode::FOUND, "", "refused", "it answered 302"),
    ];
    for (n, (status, body, kind, said)) in troubles.into_iter().enumerate() {
        bench.there.answers(status, body);
        bench.clock.pass(Span::minutes(11));
        assert_eq!(bench.pushed(two.token("2")).await, 503, "{said}");
        assert_eq!(bench.pushed(one.token(&format!("1-{n}"))).await, 202, "{said}");
        let keys = bench.keys().await;
        assert_eq!(keys["failed"]["kind"], kind, "{keys}");
        assert!(keys["failed"]["problem"].as_str().unwrap().contains(said), "{keys}");
    }
    let keys = bench.keys().await;
    assert!(keys["stuck_since"].is_string() && keys["count"] == 1, "{keys}");

    bench = bench.restarted().await;
    assert_eq!(bench.pushed(one.token("4")).await, 202);
    assert_eq!(bench.pushed(two.token("5")).await, 503);
    bench.clock.pass(Span::hours(72));
    assert_eq!(bench.pushed(one.token("6")).await, 503, "for three days, and no longer");
    bench.there.publishes(&[&two]);
    bench.clock.pass(Span::minutes(11));
    assert_eq!(bench.pushed(two.token("7")).await, 202);
    assert_eq!(bench.pushed(one.token("8")).await, 503);
    bench.world.stopped().await;
}

#[tokio::test]
async fn keys_are_read_nowhere_but_over_tls_and_where_the_settings_let_them_be() {
    for (jwks_uri, why) in [
        ("http://idp.example.com/keys", "plain HTTP goes to loopback only"),
        ("http://127.0.0.1:1/keys", "is not public"),
        ("https://169.254.169.254/keys", "credentials of this machine"),
        ("keys.json", "is not an address"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let sources = format!(
            "[sources.idp]\nkind = 'shared-signals'\nauth = {{ set = {{ issuer = '{ISSUER}', audience = '{AUDIENCE}', jwks_uri = '{jwks_uri}' }} }}\n"
        );

        let refused = Quell::start(lab(folder.path(), &sources)).await.err().unwrap();

        let BootError::Source { why: said, .. } = refused else { panic!("{refused}") };
        assert!(said.contains(why), "{said}");
    }
}
