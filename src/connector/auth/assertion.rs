//! Signs the assertion by which a client proves itself without a shared secret (RFC 7523).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Algorithm, AuthError};
use crate::model::time::{Span, Time};
use crate::secret::SecretString;

/// How long an assertion is good for: one request.
const LIFE: Span = Span::minutes(5);

/// What the assertion says.
pub(super) struct Assertion<'a> {
    pub(super) client_id: &'a str,
    /// The token endpoint: whoever else receives the assertion cannot use it.
    pub(super) url: &'a str,
    pub(super) jti: &'a str,
    pub(super) now: Time,
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<&'a String>,
    /// PEM; named in the header by its SHA-256.
    pub(super) certificate: Option<&'a str>,
}

pub(super) fn assertion(says: &Assertion<'_>, key: &SecretString) -> Result<String, AuthError> {
    let unusable = |e: jsonwebtoken::errors::Error| AuthError::Unusable(format!("{key}: {e}"));
    let pem = key.expose().as_bytes();
    let (algorithm, key) = match says.algorithm {
        Algorithm::Rs256 => (jsonwebtoken::Algorithm::RS256, EncodingKey::from_rsa_pem(pem)),
        Algorithm::Ps256 => (jsonwebtoken::Algorithm::PS256, EncodingKey::from_rsa_pem(pem)),
        Algorithm::Es256 => (jsonwebtoken::Algorithm::ES256, EncodingKey::from_ec_pem(pem)),
    };
    let mut header = Header::new(algorithm);
    header.kid = says.key_id.cloned();
    header.x5t_s256 = says.certificate.map(thumbprint).transpose()?;
    let claims = json!({
        "aud": says.url,
        "iss": says.client_id,
        "sub": says.client_id,
        "jti": says.jti,
        "iat": says.now.timestamp(),
        "nbf": says.now.timestamp(),
        "exp": (says.now + LIFE.delta()).timestamp(),
    });
    encode(&header, &claims, &key.map_err(unusable)?).map_err(unusable)
}

fn thumbprint(pem: &str) -> Result<String, AuthError> {
    let body = pem
        .split_once("-----BEGIN CERTIFICATE-----")
        .and_then(|(_, rest)| rest.split_once("-----END CERTIFICATE-----"))
        .map(|(body, _)| body.split_whitespace().collect::<String>());
    let der = body
        .and_then(|body| STANDARD.decode(body).ok())
        .ok_or_else(|| AuthError::Unusable("the certificate is not PEM".into()))?;
    Ok(URL_SAFE_NO_PAD.encode(Sha256::digest(der)))
}
