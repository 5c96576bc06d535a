//! The published vectors, the reference library as oracle, and every way to be refused.

use super::*;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write as _;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &[u8] = b"{\"test\": 2432232314}";
const SENT: i64 = 1_614_265_330;

fn at(seconds: i64) -> Time {
    Time::from_timestamp(seconds, 0).unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn standard(secrets: &[&str]) -> Verifier {
    let auth = Auth::StandardWebhooks { secrets: vec![], tolerance: Span::minutes(5) };
    Verifier::new(auth, secrets.iter().map(|s| s.as_bytes().to_vec()).collect()).unwrap()
}

fn published() -> HeaderMap {
    headers(&[
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ])
}

fn check(
    verifier: &Verifier,
    headers: &HeaderMap,
    body: &[u8],
    now: i64,
) -> Result<Verified, Problem> {
    verifier.verify(Kind::Events, headers, Bytes::copy_from_slice(body), at(now))
}

fn slug(result: Result<Verified, Problem>) -> &'static str {
    result.map_or_else(|problem| problem.slug(), |_| "accepted")
}

#[test]
fn the_published_vector_is_accepted_and_names_its_delivery() {
    let verified = check(&standard(&[SECRET]), &published(), BODY, SENT).unwrap();

    assert_eq!(verified.delivery_id(), "msg_p5jXN8AQM9LWM0D4loKWxJek");
    assert_eq!(verified.body().as_ref(), BODY);
}

#[test]
fn our_own_vector_is_accepted() {
    let body = br#"{"type":"mfa.reported","timestamp":"2026-05-05T10:15:30Z","data":{"user":"ana@example.com"}}"#;
    let headers = headers(&[
        ("webhook-id", "msg_01HZX"),
        ("webhook-timestamp", "1777976130"),
        ("webhook-signature", "v1a,AAAA v1,0X4AZKU4KoBgnvjzTb6L2UZncvTtuoXJSSaEjxY4Qfc="),
    ]);

    assert_eq!(slug(check(&standard(&[SECRET]), &headers, body, 1_777_976_130)), "accepted");
}

#[test]
fn a_delivery_outside_five_minutes_either_way_is_stale() {
    let verifier = standard(&[SECRET]);
    for (late, told) in
        [(300, "accepted"), (-300, "accepted"), (301, "stale-timestamp"), (-301, "stale-timestamp")]
    {
        assert_eq!(slug(check(&verifier, &published(), BODY, SENT + late)), told, "{late}");
    }
}

/// Both secrets count while they are rotated; the old one stops when it is taken out.
#[test]
fn either_of_two_secrets_is_good() {
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    for secrets in [vec![SECRET, other], vec![other, SECRET]] {
        assert_eq!(slug(check(&standard(&secrets), &published(), BODY, SENT)), "accepted");
    }
    assert_eq!(slug(check(&standard(&[other]), &published(), BODY, SENT)), "wrong-signature");
}

#[test]
fn a_changed_body_id_or_time_is_refused() {
    let verifier = standard(&[SECRET]);

    assert_eq!(slug(check(&verifier, &published(), b"{\"test\": 1}", SENT)), "wrong-signature");
    for (name, value) in [("webhook-id", "msg_other"), ("webhook-timestamp", "1614265331")] {
        let mut changed = published();
        changed.insert(name, value.parse().unwrap());
        assert_eq!(slug(check(&verifier, &changed, BODY, SENT)), "wrong-signature");
    }
}

#[test]
fn a_missing_or_doubled_header_is_refused() {
    let verifier = standard(&[SECRET]);
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut without = published();
        without.remove(name);
        assert_eq!(slug(check(&verifier, &without, BODY, SENT)), "missing-signature");

        let mut twice = published();
        twice.append(name, "x".parse().unwrap());
        assert_eq!(slug(check(&verifier, &twice, BODY, SENT)), "missing-signature");
    }
}

#[test]
fn a_weak_standard_webhooks_secret_is_no_secret() {
    for weak in ["whsec_c2hvcnQ=", "not base64!"] {
        let auth = Auth::StandardWebhooks { secrets: vec![], tolerance: Span::minutes(5) };
        assert_eq!(Verifier::new(auth, vec![weak.into()]).unwrap_err(), BadSecret::NotWhsec);
    }
}

fn hmac(prefix: &str, stamped: Option<&str>, signed: Option<&str>, secret: &str) -> Verifier {
    let auth = Auth::Hmac {
        header: "x-signature".into(),
        prefix: prefix.into(),
        encoding: Encoding::Hex,
        timestamp_header: stamped.map(Into::into),
        id_header: None,
        signed: signed.map(Into::into),
        secrets: vec![],
        tolerance: Span::minutes(5),
    };
    Verifier::new(auth, vec![secret.into()]).unwrap()
}

#[test]
fn the_chat_vendors_vector_is_accepted_by_the_hmac_scheme() {
    let verifier = hmac(
        "v0=",
        Some("x-request-timestamp"),
        Some("v0:{timestamp}:{body}"),
        "8f742231b10e8888abcd99yyyzzz85a5",
    );
    let headers = headers(&[
        ("x-request-timestamp", "1777976130"),
        ("x-signature", "v0=457571580472bc1e11903f26b612202f4cda77ed70d17ae8eb4c7817db8890ed"),
    ]);
    let body = b"payload=%7B%22type%22%3A%22block_actions%22%7D";

    assert_eq!(slug(check(&verifier, &headers, body, 1_777_976_130)), "accepted");
    assert_eq!(slug(check(&verifier, &headers, body, 1_777_976_999)), "stale-timestamp");
}

#[test]
fn one_good_signature_in_a_list_is_enough() {
    let verifier = hmac("v1=", None, None, "pd-secret");
    let good = "v1=00ff,v1=955eb58c065489429d2020f99f23cc443b5cd01b5282ca35be30a95f0a8b2969";
    let body = br#"{"event":{"id":"01"}}"#;

    let accepted = check(&verifier, &headers(&[("x-signature", good)]), body, SENT).unwrap();

    assert_eq!(accepted.delivery_id(), format!("sha256:{}", sha256_hex(body)));
    // A cut tag must not pass as a shorter signature.
    let cut = headers(&[("x-signature", &good[..40])]);
    assert_eq!(slug(check(&verifier, &cut, body, SENT)), "wrong-signature");
}

#[test]
fn fixed_credentials_are_compared_whole() {
    let bearer =
        Verifier::new(Auth::Bearer { secrets: vec![] }, vec!["s3cret-token".into()]).unwrap();
    let basic =
        Verifier::new(Auth::Basic { secrets: vec![] }, vec!["siem:s3cret-pw".into()]).unwrap();
    let name = "x-hook-key".to_owned();
    let fixed =
        Verifier::new(Auth::Header { name, secrets: vec![] }, vec!["s3cret-value".into()]).unwrap();
    let pair = format!("Basic {}", STANDARD.encode("siem:s3cret-pw"));

    for (verifier, name, good, bad) in [
        (&bearer, "authorization", "Bearer s3cret-token", "Bearer s3cret-toke"),
        (&basic, "authorization", pair.as_str(), "Basic !!!"),
        (&fixed, "x-hook-key", "s3cret-value", "S3cret-value"),
    ] {
        assert_eq!(slug(check(verifier, &headers(&[(name, good)]), b"{}", SENT)), "accepted");
        assert_eq!(slug(check(verifier, &headers(&[(name, bad)]), b"{}", SENT)), "wrong-signature");
        assert_eq!(slug(check(verifier, &headers(&[]), b"{}", SENT)), "missing-signature");
    }
}

#[test]
fn an_okta_delivery_is_named_by_its_event_id() {
    let verifier = Verifier::new(Auth::None, vec![]).unwrap();
    let body = Bytes::from_static(br#"{"eventId":"b1f2","data":{"events":[]}}"#);

    let accepted = verifier.verify(Kind::Okta, &HeaderMap::new(), body, at(SENT)).unwrap();

    assert_eq!(accepted.delivery_id(), "b1f2");
}

/// The raw bytes are what was signed: inflating first would let anybody burn memory.
#[test]
fn a_compressed_body_is_authenticated_before_it_is_inflated() {
    let verifier =
        Verifier::new(Auth::Bearer { secrets: vec![] }, vec!["s3cret-token".into()]).unwrap();
    let mut zip = GzEncoder::new(Vec::new(), Compression::best());
    zip.write_all(&vec![b' '; 8_000_000]).unwrap();
    let bomb = zip.finish().unwrap();
    let sent = |token: &str, coding: &str| {
        let token = format!("Bearer {token}");
        let headers = headers(&[("authorization", token.as_str()), ("content-encoding", coding)]);
        slug(check(&verifier, &headers, &bomb, SENT))
    };

    assert_eq!(sent("wrong", "gzip"), "wrong-signature");
    assert_eq!(sent("s3cret-token", "gzip"), "body-too-large");
    assert_eq!(sent("s3cret-token", "br"), "wrong-encoding");
}

#[test]
fn a_body_over_its_kinds_cap_is_refused() {
    let verifier = Verifier::new(Auth::None, vec![]).unwrap();
    let body = Bytes::from(vec![b' '; 256 * 1024 + 1]);

    let refused = verifier.verify(Kind::Reports, &HeaderMap::new(), body.clone(), at(SENT));

    assert_eq!(refused.unwrap_err().status(), 413);
    assert!(verifier.verify(Kind::Entra, &HeaderMap::new(), body, at(SENT)).is_ok());
}

proptest! {
    /// Whatever the reference library signs, we accept; and what we are given changed, we refuse.
    #[test]
    fn the_reference_library_agrees(body in "\\PC{0,200}", id in "[a-z0-9_]{1,30}", stamp in 1_000_000_000_i64..4_000_000_000) {
        let oracle = standardwebhooks::Webhook::new(SECRET).unwrap();
        let tag = oracle.sign(&id, stamp, body.as_bytes()).unwrap();
        let headers = headers(&[
            ("webhook-id", id.as_str()),
            ("webhook-timestamp", stamp.to_string().as_str()),
            ("webhook-signature", tag.as_str()),
        ]);

        let verifier = standard(&[SECRET]);
        prop_assert_eq!(slug(check(&verifier, &headers, body.as_bytes(), stamp)), "accepted");
        let changed = format!("{body}!");
        prop_assert_eq!(slug(check(&verifier, &headers, changed.as_bytes(), stamp)), "wrong-signature");
    }
}

/// Else a sender whose proof is right is sent looking for what is wrong with it.
#[test]
fn an_encoding_that_is_told_twice_is_no_question_of_the_proof() {
    let mut twice = published();
    twice.append("content-encoding", "gzip".parse().unwrap());
    twice.append("content-encoding", "identity".parse().unwrap());

    assert_eq!(slug(check(&standard(&[SECRET]), &twice, BODY, SENT)), "wrong-encoding");
}
