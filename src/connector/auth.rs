//! Signs requests: the ways to prove who we are that connections can be configured with.
//!
//! A secret is resolved here, at the moment it is used, registered with the scrubber, and
//! dropped. Only access tokens are kept, until shortly before they expire.

mod assertion;
pub(crate) mod duo;
mod token;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, HeaderValue, Request, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::connections::Ports;
use super::outbound::Transport;
use crate::model::time::{Span, Time};
use crate::secret::{Reference, SecretError, SecretString};
use token::Tokens;

/// A way to sign in. Written as `auth = { ssws = { token = "credential:okta" } }`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Auth {
    /// None at all.
    #[default]
    None,
    /// OAuth 2 client credentials with a secret.
    ClientSecret {
        client_id: String,
        secret: Reference,
        scope: Option<String>,
    },
    /// OAuth 2 client credentials with a certificate: a signed assertion that names it.
    ClientCertificate {
        client_id: String,
        private_key: Reference,
        certificate: Reference,
        scope: Option<String>,
        algorithm: Option<Algorithm>,
    },
    /// OAuth 2 client credentials with a registered key.
    PrivateKeyJwt {
        client_id: String,
        private_key: Reference,
        key_id: String,
        scope: Option<String>,
        algorithm: Option<Algorithm>,
    },
    /// Okta's API token.
    Ssws {
        token: Reference,
    },
    Basic {
        user: String,
        password: Reference,
    },
    Bearer {
        token: Reference,
    },
    /// Any header, such as an API key's.
    Header {
        name: String,
        value: Reference,
    },
    /// Duo's Admin API: its integration key, and its secret key, which signs every request.
    DuoSignature {
        integration_key: String,
        secret_key: Reference,
    },
    /// Standard Webhooks: an HMAC over id, time and body.
    WebhookSignature {
        secret: Reference,
    },
    /// A parameter of the address, such as the `sig` of a Workflows webhook.
    Query {
        name: String,
        value: Reference,
    },
    /// A field of the JSON body, such as `PagerDuty`'s `routing_key`.
    BodyField {
        name: String,
        value: Reference,
    },
}

/// How assertions are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Algorithm {
    Rs256,
    Ps256,
    Es256,
}

/// Why a request could not be signed. It was not sent.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AuthError {
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The token endpoint said no: the connection's credential is at fault.
    #[error("no access token: {0}")]
    Denied(String),
    /// The token endpoint gave no answer, or a temporary one.
    #[error("no access token: {problem}")]
    Later { problem: String, retry_after: Option<Span> },
    #[error("the credential is unusable: {0}")]
    Unusable(String),
}

impl Auth {
    /// Its name, as configuration spells it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecret { .. } => "client_secret",
            Self::ClientCertificate { .. } => "client_certificate",
            Self::PrivateKeyJwt { .. } => "private_key_jwt",
            Self::Ssws { .. } => "ssws",
            Self::Basic { .. } => "basic",
            Self::Bearer { .. } => "bearer",
            Self::Header { .. } => "header",
            Self::DuoSignature { .. } => "duo_signature",
            Self::WebhookSignature { .. } => "webhook_signature",
            Self::Query { .. } => "query",
            Self::BodyField { .. } => "body_field",
        }
    }

    /// What it reads where it is used.
    pub(crate) fn secrets(&self) -> Vec<&Reference> {
        match self {
            Self::None => Vec::new(),
            Self::ClientSecret { secret: one, .. }
            | Self::PrivateKeyJwt { private_key: one, .. }
            | Self::Ssws { token: one }
            | Self::Basic { password: one, .. }
            | Self::Bearer { token: one }
            | Self::Header { value: one, .. }
            | Self::DuoSignature { secret_key: one, .. }
            | Self::WebhookSignature { secret: one }
            | Self::Query { value: one, .. }
            | Self::BodyField { value: one, .. } => vec![one],
            Self::ClientCertificate { private_key, certificate, .. } => {
                vec![private_key, certificate]
            }
        }
    }

    /// Whether it works with access tokens from a token endpoint.
    pub(crate) fn uses_tokens(&self) -> bool {
        matches!(
            self,
            Self::ClientSecret { .. } | Self::ClientCertificate { .. } | Self::PrivateKeyJwt { .. }
        )
    }
}

/// One credential of one connection, with its access token.
pub(crate) struct Signer {
    auth: Auth,
    tokens: Tokens,
}

impl Signer {
    pub(crate) fn new(auth: Auth, token_url: Option<String>) -> Self {
        Self { auth, tokens: Tokens::new(token_url) }
    }

    pub(crate) fn uses_tokens(&self) -> bool {
        self.auth.uses_tokens()
    }

    /// Throws the access token away: it was refused.
    pub(crate) async fn forget(&self) {
        self.tokens.forget().await;
    }

    /// Adds the credential to a request. `key` names the call for signatures that carry an id.
    pub(crate) async fn sign(
        &self,
        request: &mut Request<Bytes>,
        key: &str,
        transport: &dyn Transport,
        ports: &Ports,
    ) -> Result<(), AuthError> {
        let resolve = |reference: &Reference| -> Result<SecretString, AuthError> {
            let secret = ports.sources.resolve(reference)?;
            ports.scrubber.register(&secret);
            Ok(secret)
        };
        match &self.auth {
            Auth::None => Ok(()),
            Auth::Ssws { token } => {
                authorization(request, format!("SSWS {}", resolve(token)?.expose()))
            }
            Auth::Bearer { token } => {
                authorization(request, format!("Bearer {}", resolve(token)?.expose()))
            }
            Auth::Basic { user, password } => {
                let pair = format!("{user}:{}", resolve(password)?.expose());
                authorization(request, format!("Basic {}", STANDARD.encode(pair)))
            }
            Auth::Header { name, value } => {
                let name: HeaderName =
                    name.parse().map_err(|_| AuthError::Unusable("the header's name".into()))?;
                put(request, name, resolve(value)?.expose())
            }
            Auth::DuoSignature { integration_key, secret_key } => {
                let date = duo::date((ports.clock)());
                let signed = duo::signature(request, &date, resolve(secret_key)?.expose())
                    .ok_or_else(|| AuthError::Unusable("Duo's secret key".into()))?;
                let date = HeaderValue::from_str(&date)
                    .map_err(|_| AuthError::Unusable("the date".into()))?;
                request.headers_mut().insert(header::DATE, date);
                let pair = format!("{integration_key}:{signed}");
                authorization(request, format!("Basic {}", STANDARD.encode(pair)))
            }
            Auth::WebhookSignature { secret } => {
                signature(request, key, (ports.clock)(), resolve(secret)?.expose())
            }
            Auth::Query { name, value } => in_address(request, name, resolve(value)?.expose()),
            Auth::BodyField { name, value } => in_body(request, name, resolve(value)?.expose()),
            Auth::ClientSecret { .. }
            | Auth::ClientCertificate { .. }
            | Auth::PrivateKeyJwt { .. } => {
                let token = self.tokens.get(&self.auth, transport, ports, &resolve).await?;
                authorization(request, format!("Bearer {}", token.expose()))
            }
        }
    }
}

fn authorization(request: &mut Request<Bytes>, value: String) -> Result<(), AuthError> {
    let value = zeroize::Zeroizing::new(value);
    put(request, header::AUTHORIZATION, &value)
}

fn put(request: &mut Request<Bytes>, name: HeaderName, value: &str) -> Result<(), AuthError> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| AuthError::Unusable("it holds characters that no header can".into()))?;
    value.set_sensitive(true);
    request.headers_mut().insert(name, value);
    Ok(())
}

/// Adds a parameter to the address.
fn in_address(request: &mut Request<Bytes>, name: &str, value: &str) -> Result<(), AuthError> {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let uri = request.uri().to_string();
    let link = if request.uri().query().is_some() { '&' } else { '?' };
    let uri = zeroize::Zeroizing::new(format!("{uri}{link}{}={}", encoded(name), encoded(value)));
    *request.uri_mut() =
        uri.parse().map_err(|_| AuthError::Unusable("it cannot stand in an address".into()))?;
    Ok(())
}

/// Adds a field to a JSON body. A request without one, such as a probe, goes without.
fn in_body(request: &mut Request<Bytes>, name: &str, value: &str) -> Result<(), AuthError> {
    if request.body().is_empty() {
        return Ok(());
    }
    let body: Result<serde_json::Value, _> = serde_json::from_slice(request.body());
    let Ok(serde_json::Value::Object(mut fields)) = body else {
        return Err(AuthError::Unusable("the request has no JSON object to put it into".into()));
    };
    fields.insert(name.to_owned(), value.into());
    *request.body_mut() = Bytes::from(serde_json::Value::Object(fields).to_string());
    Ok(())
}

/// Signs a webhook as the Standard Webhooks specification says. The id is the call's key, so a
/// receiver recognises a repeated delivery.
fn signature(
    request: &mut Request<Bytes>,
    key: &str,
    now: Time,
    secret: &str,
) -> Result<(), AuthError> {
    let bytes = STANDARD
        .decode(secret.strip_prefix("whsec_").unwrap_or(secret))
        .map_err(|_| AuthError::Unusable("a webhook secret is `whsec_` and base64".into()))?;
    let id = format!("msg_{key}");
    let at = now.timestamp();
    let mut mac = Hmac::<Sha256>::new_from_slice(&bytes)
        .map_err(|_| AuthError::Unusable("the webhook secret".into()))?;
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(request.body());
    let signed = STANDARD.encode(mac.finalize().into_bytes());
    put(request, HeaderName::from_static("webhook-id"), &id)?;
    put(request, HeaderName::from_static("webhook-timestamp"), &at.to_string())?;
    put(request, HeaderName::from_static("webhook-signature"), &format!("v1,{signed}"))
}

#[cfg(test)]
mod tests;
