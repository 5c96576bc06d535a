//! The ways to sign in, against published vectors and against their own verification.

use super::*;
use crate::connector::outbound::Limits;
use crate::connector::outbound::TransportError;
use crate::secret::{Scrubber, Sources};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

fn ports(now: i64) -> Ports {
    Ports {
        clock: Arc::new(move || Time::from_timestamp(now, 0).unwrap()),
        entropy: Arc::new(|bytes| bytes.fill(7)),
        sources: Sources::lab(),
        scrubber: Scrubber::default(),
        dial: crate::connector::outbound::dial(),
    }
}

fn reference(text: &str) -> Reference {
    format!("text:{text}").parse().unwrap()
}

/// Grants a token to everybody, and keeps the form that asked for it.
#[derive(Default)]
struct TokenEndpoint(Mutex<Vec<BTreeMap<String, String>>>);

#[async_trait]
impl Transport for TokenEndpoint {
    async fn send(
        &self,
        request: Request<Bytes>,
        _: Limits,
    ) -> Result<http::Response<Bytes>, TransportError> {
        let form = url::form_urlencoded::parse(request.body()).into_owned().collect();
        self.0.lock().unwrap().push(form);
        let body = r#"{"token_type":"Bearer","expires_in":3600,"access_token":"granted-token"}"#;
        Ok(http::Response::new(Bytes::from_static(body.as_bytes())))
    }
}

async fn signed(auth: Auth, body: &str, key: &str, now: i64) -> (Request<Bytes>, TokenEndpoint) {
    let endpoint = TokenEndpoint::default();
    let signer = Signer::new(auth, Some("https://login.example/token".into()));
    let mut request = Request::new(Bytes::from(body.to_owned()));
    signer.sign(&mut request, key, &endpoint, &ports(now)).await.unwrap();
    (request, endpoint)
}

fn header(request: &Request<Bytes>, name: &str) -> String {
    request.headers()[name].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_secret_of_the_address_is_encoded_and_one_of_the_body_is_a_field() {
    let sig = Auth::Query { name: "sig".into(), value: reference("a+b/c=&x") };
    let (request, _) = signed(sig, "{}", "k", 0).await;
    assert_eq!(request.uri().query(), Some("sig=a%2Bb%2Fc%3D%26x"));

    let key = Auth::BodyField { name: "routing_key".into(), value: reference("R0\"UTING") };
    let (request, _) = signed(key, r#"{"event_action":"trigger"}"#, "k", 0).await;
    let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
    assert_eq!(body["routing_key"], "R0\"UTING");
    assert_eq!(body["event_action"], "trigger");
}

/// The vector of this specification's own documents, with our form of id.
#[tokio::test]
async fn a_webhook_verifies_with_the_reference_library() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let auth = Auth::WebhookSignature { secret: reference(secret) };

    let body = r#"{"test": 2432232314}"#;
    let (request, _) = signed(auth, body, "abc", i64::try_from(now).unwrap()).await;

    assert_eq!(header(&request, "webhook-id"), "msg_abc");
    let webhook = standardwebhooks::Webhook::new(secret).unwrap();
    webhook.verify(request.body(), request.headers()).unwrap();
}

#[tokio::test]
async fn a_webhook_signature_is_the_published_vector() {
    let auth =
        Auth::WebhookSignature { secret: reference("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") };

    let (request, _) =
        signed(auth, r#"{"test": 2432232314}"#, "p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330).await;

    assert_eq!(
        header(&request, "webhook-signature"),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
}

#[tokio::test]
async fn fixed_credentials_are_written_as_their_schemes_say() {
    let cases = [
        (Auth::Ssws { token: reference("00abc") }, "SSWS 00abc"),
        (Auth::Bearer { token: reference("abc") }, "Bearer abc"),
        (
            Auth::Basic { user: "Aladdin".into(), password: reference("open sesame") },
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
    ];
    for (auth, expected) in cases {
        let (request, _) = signed(auth, "", "k", 0).await;
        assert_eq!(header(&request, "authorization"), expected);
        assert!(request.headers()["authorization"].is_sensitive());
    }
    let auth = Auth::Header { name: "X-Api-Key".into(), value: reference("abc") };
    assert_eq!(header(&signed(auth, "", "k", 0).await.0, "x-api-key"), "abc");
}

#[tokio::test]
async fn a_client_secret_is_exchanged_for_a_token() {
    let auth = Auth::ClientSecret {
        client_id: "app".into(),
        secret: reference("s3cret&value"),
        scope: Some("https://graph.microsoft.com/.default".into()),
    };

    let (request, endpoint) = signed(auth, "", "k", 0).await;

    assert_eq!(header(&request, "authorization"), "Bearer granted-token");
    let form = endpoint.0.lock().unwrap()[0].clone();
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["client_secret"], "s3cret&value");
    assert_eq!(form["scope"], "https://graph.microsoft.com/.default");
}

const RSA: &str = include_str!("../../../tests/fixtures/keys/client-rsa.pem");
const RSA_PUBLIC: &str = include_str!("../../../tests/fixtures/keys/client-rsa.pub.pem");
const CERTIFICATE: &str = include_str!("../../../tests/fixtures/keys/client-rsa.crt");
const THUMBPRINT: &str = include_str!("../../../tests/fixtures/keys/client-rsa.thumbprint");

async fn assertion_of(auth: Auth) -> (jsonwebtoken::Header, serde_json::Value) {
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let (_, endpoint) = signed(auth, "", "k", now).await;
    let form = endpoint.0.lock().unwrap()[0].clone();
    assert_eq!(
        form["client_assertion_type"],
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    assert!(!form.contains_key("client_secret"));
    let assertion = &form["client_assertion"];
    let header = jsonwebtoken::decode_header(assertion).unwrap();
    let mut rules = jsonwebtoken::Validation::new(header.alg);
    rules.set_audience(&["https://login.example/token"]);
    let key = jsonwebtoken::DecodingKey::from_rsa_pem(RSA_PUBLIC.as_bytes()).unwrap();
    let claims = jsonwebtoken::decode(assertion, &key, &rules).unwrap().claims;
    (header, claims)
}

#[tokio::test]
async fn a_certificate_is_named_by_its_thumbprint() {
    let auth = Auth::ClientCertificate {
        client_id: "app".into(),
        private_key: reference(RSA),
        certificate: reference(CERTIFICATE),
        scope: None,
        algorithm: None,
    };

    let (header, claims) = assertion_of(auth).await;

    assert_eq!(header.alg, jsonwebtoken::Algorithm::PS256);
    assert_eq!(header.x5t_s256.unwrap(), THUMBPRINT.trim());
    assert_eq!((&claims["iss"], &claims["sub"]), (&"app".into(), &"app".into()));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap(), 300);
}

#[tokio::test]
async fn a_registered_key_is_named_by_its_id() {
    let auth = Auth::PrivateKeyJwt {
        client_id: "0oa1".into(),
        private_key: reference(RSA),
        key_id: "key-1".into(),
        scope: Some("okta.users.manage".into()),
        algorithm: None,
    };

    let (header, claims) = assertion_of(auth).await;

    assert_eq!(
        (header.alg, header.kid.as_deref()),
        (jsonwebtoken::Algorithm::RS256, Some("key-1"))
    );
    assert_eq!(claims["sub"], "0oa1");
}
