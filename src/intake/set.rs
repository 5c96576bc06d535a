//! Security Event Tokens (RFC 8417), as a transmitter of the Shared Signals Framework pushes them (RFC 8935).
//!
//! The token proves itself: its signature under one of the transmitter's keys, its issuer, and that it is
//! for us. Its time bounds nothing, for a token that could not be delivered is sent again for days; what
//! is repeated is told by issuer and `jti`.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;
use std::fmt;
use subtle::ConstantTimeEq as _;

use super::json::text_at;
use super::problem::{Problem, SetError};
use super::ring::KeySet;

/// Asymmetric ones only: with `none` or a shared secret anybody who knows the public keys could sign.
pub(super) const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// What events about streams begin with.
const STREAM: &str = "https://schemas.openid.net/secevent/ssf/event-type/";
/// Keys that are tried where a token names none.
const KEYS_MAX: usize = 16;

/// A proved token.
pub(super) struct Token {
    /// Names it among all of its issuer's.
    pub(super) id: String,
    /// Its claims, as JSON.
    pub(super) claims: Vec<u8>,
}

fn refused(error: SetError, why: impl Into<String>) -> Problem {
    Problem::Set { error, why: why.into() }
}

/// Proves a token. Its issuer and audience are looked at last: only somebody who signs learns of them.
pub(super) fn prove(
    raw: &[u8],
    keys: &KeySet,
    issuer: &str,
    audience: &str,
) -> Result<Token, Problem> {
    let unreadable = |why: &str| refused(SetError::InvalidRequest, why);
    let text = std::str::from_utf8(raw).map_err(|_| unreadable("the body is no token"))?.trim();
    let header = decode_header(text).map_err(|_| unreadable("the body is no signed token"))?;
    let typ = header.typ.unwrap_or_default().to_lowercase();
    if typ.strip_prefix("application/").unwrap_or(&typ) != "secevent+jwt" {
        return Err(unreadable("the token's `typ` is not `secevent+jwt`"));
    }
    if !ALGORITHMS.contains(&header.alg) {
        return Err(refused(SetError::InvalidKey, "the token's `alg` is none that is taken"));
    }
    let named = keys.named(header.kid.as_deref(), header.alg);
    let mut candidates = named.take(KEYS_MAX).peekable();
    if candidates.peek().is_none() {
        let why = "no key of the transmitter's that is known has the token's `kid`";
        return Err(Problem::UnknownKey { error: SetError::InvalidKey, why });
    }
    let mut rules = Validation::new(header.alg);
    rules.validate_exp = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    let claims = candidates.find_map(|key| {
        let key = DecodingKey::from_jwk(key).ok()?;
        decode::<Value>(text, &key, &rules).ok()
    });
    let Some(claims) = claims.map(|token| token.claims) else {
        let (error, why) = (
            SetError::AuthenticationFailed,
            "the token's signature is by none of the transmitter's keys that are known",
        );
        // The key that a token names is the key that has to fit; without a name it may be one that is new.
        return Err(match header.kid {
            Some(_) => refused(error, why),
            None => Problem::UnknownKey { error, why },
        });
    };
    let text_of = |name: &str| claims[name].as_str().unwrap_or_default();
    let same = |a: &str, b: &str| bool::from(a.as_bytes().ct_eq(b.as_bytes()));
    if !same(text_of("iss"), issuer) {
        return Err(refused(SetError::InvalidIssuer, "the token's `iss` is another"));
    }
    let ours = match &claims["aud"] {
        Value::Array(list) => {
            list.iter().any(|one| one.as_str().is_some_and(|a| same(a, audience)))
        }
        one => one.as_str().is_some_and(|a| same(a, audience)),
    };
    if !ours {
        return Err(refused(SetError::InvalidAudience, "the token's `aud` does not name us"));
    }
    // An ID or access token that somebody stole is no event.
    if claims.get("exp").is_some() || claims.get("sub").is_some() || !claims["events"].is_object() {
        return Err(unreadable("an event token has `events`, and neither `exp` nor `sub`"));
    }
    let jti = text_of("jti");
    if jti.is_empty() {
        return Err(unreadable("the token has no `jti`"));
    }
    Ok(Token { id: format!("{issuer} {jti}"), claims: claims.to_string().into_bytes() })
}

/// What a transmitter says of the stream itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OfStream {
    /// A proof that tokens arrive, with the state that whoever asked for it gave.
    Verification { state: String },
    /// It was enabled, paused or disabled at the other side.
    Updated { status: String, reason: String },
}

impl fmt::Display for OfStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verification { state } => write!(f, "it arrives (state `{state}`)"),
            Self::Updated { status, reason } => write!(f, "it is {status} ({reason})"),
        }
    }
}

/// Whether a proved token's claims are about its stream.
pub(crate) fn of_stream(claims: &[u8]) -> Option<OfStream> {
    let claims: Value = serde_json::from_slice(claims).ok()?;
    let said = |event: &Value, name: &str| text_at(event, &[name]).unwrap_or_default();
    let event = |name: &str| claims["events"].get(format!("{STREAM}{name}"));
    if let Some(event) = event("verification") {
        return Some(OfStream::Verification { state: said(event, "state") });
    }
    let event = event("stream-updated")?;
    Some(OfStream::Updated { status: said(event, "status"), reason: said(event, "reason") })
}

#[cfg(test)]
mod tests {
    use super::super::auth::{Keys, Transmitter as Named};
    use super::super::{Auth, Kind, Record, Verified, Verifier, parse};
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use bytes::Bytes;
    use http::HeaderMap;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    const ISSUER: &str = "https://idp.example.com/";
    const OURS: &str = "https://quell.example.com";
    const EVENT: &str = "https://schemas.openid.net/secevent/caep/event-type/credential-change";

    struct Transmitter {
        key: EncodingKey,
        jwks: Vec<u8>,
    }

    impl Transmitter {
        fn new(kid: &str) -> Self {
            let pkcs8 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
            let public = pkcs8.public_key().as_ref();
            let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&public[range]);
            let jwk = json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256",
                "x": part(1..33), "y": part(33..65)});
            let der = pkcs8.to_pkcs8v1().unwrap();
            let jwks = json!({"keys": [jwk]}).to_string().into_bytes();
            Self { key: EncodingKey::from_ec_der(der.as_ref()), jwks }
        }

        fn verifier(&self) -> Verifier {
            Verifier::new(given(), vec![self.jwks.clone()]).unwrap()
        }

        fn sign(&self, typ: &str, kid: Option<&str>, claims: &Value) -> String {
            let mut header = Header::new(Algorithm::ES256);
            header.typ = Some(typ.into());
            header.kid = kid.map(str::to_owned);
            encode(&header, claims, &self.key).unwrap()
        }
    }

    fn given() -> Auth {
        let keys = Keys::Given { secrets: Vec::new() };
        Auth::Set(Named { issuer: ISSUER.into(), audience: OURS.into(), keys })
    }

    fn claims() -> Value {
        json!({"iss": ISSUER, "jti": "24c63fb5", "iat": 1_777_975_573, "aud": [OURS, "https://x"],
            "sub_id": {"format": "email", "email": "Ana@example.com"},
            "events": {EVENT: {"credential_type": "fido2-roaming", "change_type": "create",
                "initiating_entity": "user", "event_timestamp": 1_777_975_573}}})
    }

    fn verify(verifier: &Verifier, token: &str) -> Result<Verified, Problem> {
        let body = Bytes::copy_from_slice(token.as_bytes());
        let kind: Kind = "shared-signals".parse().unwrap();
        verifier.verify(kind, &HeaderMap::new(), body, "2026-05-05T10:15:30Z".parse().unwrap())
    }

    #[test]
    fn a_pushed_token_is_proved_named_and_read() {
        let idp = Transmitter::new("k1");
        let token = idp.sign("secevent+jwt", Some("k1"), &claims());

        let proved = verify(&idp.verifier(), &token).unwrap();

        assert_eq!(proved.delivery_id(), "https://idp.example.com/ 24c63fb5");
        let kind: Kind = "shared-signals".parse().unwrap();
        let now = "2026-05-05T10:15:30Z".parse().unwrap();
        let parsed = parse(kind, proved.body(), now).unwrap();
        let [Record::Event(event)] = parsed.records.as_slice() else { panic!("{parsed:?}") };
        assert_eq!(event.account.login.as_deref(), Some("ana@example.com"));
        assert_eq!(event.kind, crate::model::event::EventKind::FactorChange);
        assert_eq!(event.changed_by, crate::model::event::ChangedBy::Own);
    }

    #[test]
    fn every_other_token_is_refused_by_name() {
        let (idp, other) = (Transmitter::new("k1"), Transmitter::new("k1"));
        let change = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            idp.sign("secevent+jwt", Some("k1"), &claims)
        };
        let good = idp.sign("secevent+jwt", None, &claims());
        let (lead, tag) = good.rsplit_once('.').unwrap();
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"secevent+jwt"}"#);
        let payload = lead.split_once('.').unwrap().1;
        let mut shared = Header::new(Algorithm::HS256);
        shared.typ = Some("secevent+jwt".into());
        let confused = encode(&shared, &claims(), &EncodingKey::from_secret(&idp.jwks)).unwrap();
        for (token, error) in [
            ("rubbish".to_owned(), SetError::InvalidRequest),
            (idp.sign("JWT", Some("k1"), &claims()), SetError::InvalidRequest),
            (idp.sign("secevent+jwt", Some("k2"), &claims()), SetError::InvalidKey),
            (other.sign("secevent+jwt", Some("k1"), &claims()), SetError::AuthenticationFailed),
            (format!("{}x.{tag}", &lead[..lead.len() - 1]), SetError::AuthenticationFailed),
            (format!("{none}.{payload}."), SetError::InvalidRequest),
            (confused, SetError::InvalidKey),
            (change("iss", json!("https://evil.example")), SetError::InvalidIssuer),
            (change("aud", json!("https://other.example")), SetError::InvalidAudience),
            (change("exp", json!(1)), SetError::InvalidRequest),
            (change("sub", json!("ana")), SetError::InvalidRequest),
            (change("events", Value::Null), SetError::InvalidRequest),
            (change("jti", json!("")), SetError::InvalidRequest),
        ] {
            match verify(&idp.verifier(), &token) {
                Err(
                    Problem::Set { error: found, .. } | Problem::UnknownKey { error: found, .. },
                ) => assert_eq!(found, error, "{token}"),
                other => panic!("{other:?} for {token}"),
            }
        }
        assert!(verify(&idp.verifier(), &good).is_ok(), "without a `kid` every key is tried");
    }

    #[test]
    fn a_set_without_a_signing_key_is_no_secret() {
        for bad in ["", "{}", r#"{"keys": []}"#] {
            assert!(Verifier::new(given(), vec![bad.as_bytes().to_vec()]).is_err(), "{bad}");
        }
    }
}
