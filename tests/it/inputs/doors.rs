//! Who sends, where to, and how that is proved.

use serde_json::{Value, json};
use std::time::Duration;

use super::case::{Case, Expect, OKTA_KEY, mark, now};
use crate::world::{SECRET, World, alert};

/// API tokens in every state in which they can be.
pub(super) struct Tokens {
    first: String,
    good: String,
    unbound: String,
    revoked: String,
    expired: String,
}

impl Tokens {
    pub(super) async fn make(world: &World) -> Self {
        let expired = make(world, "short", Some("mfa"), "1s").await.1;
        let (id, revoked) = make(world, "revoked", Some("mfa"), "1h").await;
        let url = format!("{}/v1/tokens/{id}", world.url);
        let gone = world.client.delete(url).bearer_auth(&world.token).send().await.unwrap();
        assert!(gone.status().is_success(), "{gone:?}");
        let good = make(world, "good", Some("mfa"), "1h").await.1;
        let unbound = make(world, "bound to siem", Some("siem"), "1h").await.1;
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        Self { first: world.token.clone(), good, unbound, revoked, expired }
    }

    pub(super) fn texts(&self) -> [&str; 5] {
        [&self.first, &self.good, &self.unbound, &self.revoked, &self.expired]
    }
}

async fn make(world: &World, name: &str, source: Option<&str>, lasts: &str) -> (String, String) {
    let body = json!({"name": name, "scopes": ["ingest"], "source": source, "expires_in": lasts});
    let url = format!("{}/v1/tokens", world.url);
    let made = world.client.post(url).bearer_auth(&world.token).json(&body).send().await.unwrap();
    let made: Value = made.json().await.unwrap();
    let text = |key: &str| made[key].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    (text("id"), text("token"))
}

pub(super) fn cases(tokens: &Tokens) -> Vec<Case> {
    [
        shared(),
        signatures(),
        clocks(),
        replays(),
        addresses(),
        headers(),
        by_token(tokens),
        asked(tokens),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A sound alert that has the case's mark.
pub(super) fn sound(name: &str) -> Vec<u8> {
    let mut body = alert(1, "suspected");
    body["reason"] = mark(name).into();
    body["id"] = mark(name).into();
    body.to_string().into_bytes()
}

fn report(name: &str) -> Vec<u8> {
    json!({"id": mark(name), "account": "person-0001@lab.example", "text": mark(name)})
        .to_string()
        .into_bytes()
}

pub(super) fn event(name: &str) -> Value {
    json!({"id": mark(name), "kind": "prompt", "account": "person-0003@lab.example",
        "time": now().to_rfc3339(), "outcome": "denied", "factor": "push", "message": mark(name)})
}

fn wrong(source: &str, name: &str) -> Case {
    Case::to(source, name, sound(name)).refused(401, "wrong-signature")
}

/// Secrets that are sent along.
fn shared() -> Vec<Case> {
    let other = |source: &str, name: &str, value: Vec<u8>| {
        wrong(source, name).without("authorization").with("authorization", value)
    };
    vec![
        wrong("siem", "bearer-missing").without("authorization"),
        other("siem", "bearer-wrong", b"Bearer not-the-secret-of-this-source".to_vec()),
        other("siem", "bearer-empty", b"Bearer ".to_vec()),
        other("siem", "bearer-no-scheme", SECRET.into()),
        other("siem", "bearer-as-basic", format!("Basic {SECRET}").into()),
        other("siem", "bearer-cut", format!("Bearer {}", &SECRET[1..]).into()),
        other("siem", "bearer-longer", format!("Bearer {SECRET}x").into()),
        other("siem", "bearer-two-secrets", format!("Bearer {SECRET} {SECRET}").into()),
        other("siem", "bearer-of-another-source", format!("Bearer {OKTA_KEY}").into()),
        other("siem", "bearer-not-ascii", b"Bearer \xff\xfe".to_vec()),
        other("siem", "bearer-huge", [b"Bearer ".to_vec(), vec![b'a'; 60_000]].concat()),
        wrong("siem", "bearer-doubled").with("authorization", format!("Bearer {SECRET}")),
        other("desk", "basic-not-base64", b"Basic %%%".to_vec()),
        other("desk", "basic-wrong", b"Basic ZGVzazpkZXNr".to_vec()),
        other("desk", "basic-as-bearer", b"Bearer desk:password-of-the-service-desk".to_vec()),
        other("oktahook", "okta-key-wrong", b"okta-header".to_vec()),
        other("oktahook", "okta-key-as-bearer", format!("Bearer {OKTA_KEY}").into()),
        wrong("oktahook", "okta-key-missing").without("authorization"),
        wrong("oktahook", "okta-key-doubled").with("authorization", OKTA_KEY),
        Case::to("siem", "bearer-lower-case", sound("bearer-lower-case"))
            .without("authorization")
            .with("authorization", format!("bearer {SECRET}")),
        Case::to("desk", "basic-right", report("basic-right")),
    ]
}

fn signatures() -> Vec<Case> {
    let unsigned = |name: &str| {
        let case = wrong("std", name).without("webhook-id").without("webhook-timestamp");
        case.without("webhook-signature")
    };
    let stamp = now().timestamp().to_string();
    let signed = |name: &str, id: &str, body: &[u8]| unsigned(name).signed(id, &stamp, body);
    let replaced = |name: &str, value: &str| {
        wrong("std", name).without("webhook-signature").with("webhook-signature", value)
    };
    vec![
        unsigned("std-unsigned"),
        wrong("std", "std-no-id").without("webhook-id"),
        wrong("std", "std-no-timestamp").without("webhook-timestamp"),
        wrong("std", "std-no-signature").without("webhook-signature"),
        signed("std-of-another-body", "msg-a", b"{}"),
        signed("std-of-another-id", "msg-a", &sound("std-of-another-id"))
            .without("webhook-id")
            .with("webhook-id", "msg-b"),
        signed("std-dot-in-id", "msg.a", &sound("std-dot-in-id")),
        replaced("std-not-base64", "v1,%%%"),
        replaced("std-empty-signature", "v1,"),
        replaced("std-other-version", "v2,AAAA"),
        replaced("std-many-signatures", &["v1,AAAA"; 5_000].join(" ")),
        wrong("std", "std-doubled-id").with("webhook-id", "msg-other"),
        wrong("std", "std-doubled-signature").with("webhook-signature", "v1,AAAA"),
        wrong("std", "std-by-bearer")
            .without("webhook-signature")
            .with("authorization", format!("Bearer {SECRET}")),
        Case::to("std", "std-right", sound("std-right")),
        Case::to("stamped", "hmac-right", event("hmac-right").to_string()),
        wrong("stamped", "hmac-no-signature").without("x-signature"),
        wrong("stamped", "hmac-no-timestamp").without("x-stamp"),
        wrong("stamped", "hmac-no-prefix")
            .without("x-signature")
            .with("x-signature", "00".repeat(32)),
        wrong("stamped", "hmac-other-timestamp").without("x-stamp").with("x-stamp", "1"),
        wrong("stamped", "hmac-doubled-timestamp").with("x-stamp", "1"),
    ]
}

/// Signed rightly, but at another time.
fn clocks() -> Vec<Case> {
    let at = |name: &str, stamp: String| {
        let body = sound(name);
        Case::at("/v1/hooks/std", name, body.clone()).signed(&format!("msg-{name}"), &stamp, &body)
    };
    let later = |seconds: i64| (now().timestamp() + seconds).to_string();
    let stale = |case: Case| case.refused(401, "stale-timestamp");
    let event = event("hmac-stale").to_string();
    vec![
        stale(at("std-stale", later(-400))),
        stale(at("std-ahead", later(400))),
        stale(at("std-at-the-epoch", "0".into())),
        stale(at("std-before-the-epoch", "-1".into())),
        stale(at("std-at-the-end-of-time", i64::MAX.to_string())),
        stale(at("std-at-the-start-of-time", i64::MIN.to_string())),
        at("std-timestamp-overflows", "9".repeat(40)).refused(401, "wrong-signature"),
        at("std-timestamp-in-words", "now".into()).refused(401, "wrong-signature"),
        at("std-timestamp-is-rfc3339", now().to_rfc3339()).refused(401, "wrong-signature"),
        at("std-a-little-late", later(-200)),
        stale(
            Case::at("/v1/hooks/stamped", "hmac-stale", event.clone())
                .stamped(&later(-400), event.as_bytes()),
        ),
    ]
}

fn replays() -> Vec<Case> {
    let std = |name: &str, of: &str| {
        let body = sound(name);
        let stamp = now().timestamp().to_string();
        Case::at("/v1/hooks/std", name, body.clone()).signed(&format!("msg-{of}"), &stamp, &body)
    };
    vec![
        Case::at("/v1/hooks/std", "std-replayed", sound("std-right"))
            .signed("msg-std-right", &now().timestamp().to_string(), &sound("std-right"))
            .expects(Expect::Again("std-right")),
        std("std-same-id-other-body", "std-right").expects(Expect::Again("std-right")),
        Case::to("siem", "bearer-same-body", sound("bearer-lower-case"))
            .expects(Expect::Again("bearer-lower-case")),
        std("std-long-id", &"x".repeat(5_000)),
        Case::to("slow", "slow-first", sound("slow-first")),
        Case::to("slow", "slow-second", sound("slow-second")).refused(429, "too-many-requests"),
        Case::at("/v1/hooks/slow", "slow-unproved", sound("slow-unproved"))
            .refused(429, "too-many-requests"),
    ]
}

fn addresses() -> Vec<Case> {
    let at = |path: &str, name: &str| {
        Case::at(path, name, sound(name)).with("authorization", format!("Bearer {SECRET}"))
    };
    let none = |path: &str, name: &str| at(path, name).refused(404, "not-found");
    let unknown = |path: &str, name: &str| at(path, name).refused(401, "wrong-signature");
    let other = |method: &str, path: &str, name: &str| {
        at(path, name).method(method).refused(405, "method-not-allowed")
    };
    let long = format!("/v1/hooks/{}", "n".repeat(9_000));
    vec![
        unknown("/v1/hooks/nobody", "source-unknown"),
        unknown("/v1/hooks/..%2f..%2fetc%2fpasswd", "source-is-a-path"),
        unknown("/v1/hooks/SIEM", "source-in-capitals"),
        unknown("/v1/hooks/siem%00", "source-with-nul"),
        unknown("/v1/hooks/%3Cscript%3E", "source-is-a-script"),
        unknown("/v1/hooks/%7B%7B%207%20%7D%7D", "source-is-a-template"),
        unknown(&long, "source-is-long"),
        at("/v1/hooks/%ff%fe", "source-not-utf8").refused(400, "bad-request"),
        none("/v1/hooks", "no-source"),
        none("/v1/hooks/siem/", "slash-at-the-end"),
        none("/v1/hooks/siem/more", "path-goes-on"),
        // Outside the API the console answers, and wants to know from which page.
        at("/v2/hooks/siem", "other-version").refused(403, "about:blank"),
        none("/v1//hooks/siem", "double-slash"),
        other("PUT", "/v1/hooks/siem", "method-put"),
        other("DELETE", "/v1/hooks/siem", "method-delete"),
        other("PATCH", "/v1/hooks/siem", "method-patch"),
        other("TRACE", "/v1/hooks/siem", "method-trace"),
        other("post", "/v1/hooks/siem", "method-in-small-letters"),
        other("QUELL", "/v1/hooks/siem", "method-of-nobody"),
        other("GET", "/v1/events", "events-get"),
        none("/v1/hooks/siem", "hook-get").method("GET"),
        none("/v1/hooks/siem", "challenge-of-no-okta-source")
            .method("GET")
            .with("x-okta-verification-challenge", "word"),
        none("/v1/hooks/oktahook", "challenge-without-a-word").method("GET"),
        at("/v1/hooks/oktahook", "challenge")
            .method("GET")
            .with("x-okta-verification-challenge", "<script>alert(1)</script>")
            .expects(Expect::Fine(200)),
    ]
}

fn headers() -> Vec<Case> {
    let sent = |name: &str| Case::to("siem", name, sound(name));
    vec![
        sent("type-is-xml").with("content-type", "application/xml"),
        sent("type-is-multipart").with("content-type", "multipart/form-data; boundary=x"),
        sent("charset-lies").with("content-type", "application/json; charset=utf-16"),
        sent("encoding-doubled")
            .with("content-encoding", "identity")
            .with("content-encoding", "gzip")
            .refused(415, "wrong-encoding"),
        sent("encoding-not-ascii").with("content-encoding", b"\xff").refused(415, "wrong-encoding"),
        sent("override-method").with("x-http-method-override", "DELETE"),
        sent("forwarded-lies")
            .with("x-forwarded-for", "127.0.0.1, '; drop table x")
            .with("forwarded", "for=\"\"\"\""),
        sent("traceparent-lies").with("traceparent", "00-ffff-zz"),
        sent("request-id-lies").with("x-request-id", "<script>"),
        sent("range-lies").with("range", "bytes=0-1"),
        sent("cookie-is-huge").with("cookie", vec![b'c'; 30_000]),
    ]
}

/// Tools with tokens.
fn by_token(tokens: &Tokens) -> Vec<Case> {
    let sent = |name: &str, value: String| {
        Case::at("/v1/events", name, event(name).to_string()).with("authorization", value)
    };
    let refused = |name: &str, value: String| sent(name, value).refused(401, "unauthenticated");
    let mut typo = tokens.good.clone();
    typo.pop();
    let good = format!("Bearer {}", tokens.good);
    vec![
        Case::at("/v1/events", "token-missing", event("token-missing").to_string())
            .refused(401, "unauthenticated"),
        refused("token-garbage", "Bearer qll_garbage".into()),
        refused("token-empty", "Bearer ".into()),
        refused("token-not-bearer", format!("Basic {}", tokens.good)),
        refused("token-cut", format!("Bearer {typo}")),
        refused("token-huge", format!("Bearer qll_{}", "a".repeat(50_000))),
        refused(
            "token-of-another-format",
            format!("Bearer qll_00000000-0000-0000-0000-000000000000_{}00000000", "0".repeat(64)),
        ),
        refused("token-is-a-source-secret", format!("Bearer {SECRET}")),
        refused("token-revoked", format!("Bearer {}", tokens.revoked)),
        refused("token-expired", format!("Bearer {}", tokens.expired)),
        refused("token-doubled", good.clone()).with("authorization", good.clone()),
        sent("token-without-ingest", format!("Bearer {}", tokens.first))
            .refused(403, "missing-scope"),
        Case::at("/v1/incidents", "token-may-not-read", "")
            .method("GET")
            .with("authorization", good.clone())
            .refused(403, "missing-scope"),
        Case::at(
            "/v1/tokens",
            "token-may-not-make-tokens",
            json!({"name": mark("token-may-not-make-tokens"), "scopes": ["admin"]}).to_string(),
        )
        .with("content-type", "application/json")
        .with("authorization", good.clone())
        .refused(403, "missing-scope"),
        Case::to("siem", "token-at-a-hook", sound("token-at-a-hook"))
            .without("authorization")
            .with("authorization", good.clone())
            .refused(401, "wrong-signature"),
        sent("token-right", good.clone()),
        sent("key-given", good.clone()).with("idempotency-key", "key-1"),
        sent("key-again", good.clone())
            .with("idempotency-key", "key-1")
            .expects(Expect::Again("key-given")),
        sent("key-empty", good.clone()).with("idempotency-key", "").refused(400, "bad-request"),
        sent("key-long", good.clone())
            .with("idempotency-key", "k".repeat(201))
            .refused(400, "bad-request"),
        sent("key-not-ascii", good.clone())
            .with("idempotency-key", "schlüssel")
            .refused(400, "bad-request"),
        sent("key-doubled", good.clone())
            .with("idempotency-key", "key-2")
            .with("idempotency-key", "key-3")
            .refused(400, "bad-request"),
        // The token says for which source it speaks, whatever the address.
        Case::at("/v1/events", "token-of-the-siem", event("token-of-the-siem").to_string())
            .with("authorization", format!("Bearer {}", tokens.unbound)),
    ]
}

/// What a tool asks for in the address.
fn asked(tokens: &Tokens) -> Vec<Case> {
    let sent = |query: &str, name: &str| {
        Case::at(&format!("/v1/events?{query}"), name, event(name).to_string())
            .with("authorization", format!("Bearer {}", tokens.good))
    };
    let refused = |query: &str, name: &str| sent(query, name).refused(422, "invalid-query");
    vec![
        refused("kind=nonsuch", "query-kind-unknown"),
        refused("kind=okta&kind=entra", "query-kind-doubled"),
        refused("replayed=maybe", "query-replayed-maybe"),
        refused("shift_ms=much", "query-shift-in-words"),
        refused("shift_ms=99999999999999999999", "query-shift-overflows"),
        refused("unknown=1", "query-unknown"),
        refused("%ff=%fe", "query-not-utf8"),
        sent("shift_ms=9223372036854775807", "query-shift-to-the-end").refused(422, "bad-field"),
        sent("shift_ms=-9223372036854775808", "query-shift-to-the-start").refused(422, "bad-field"),
        sent("shift_ms=8000000000000000", "query-shift-far-ahead").refused(422, "bad-field"),
        sent("shift_ms=600000", "query-shift-ten-minutes").refused(422, "future-time"),
        Case::at(
            "/v1/events?unknown=1",
            "query-without-token",
            event("query-without-token").to_string(),
        )
        .refused(401, "unauthenticated"),
        sent("kind=okta", "query-kind-does-not-fit").taken(0, &["unknown-shape"]),
    ]
}
