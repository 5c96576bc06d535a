//! Gets access tokens by client credentials, and keeps each until shortly before it expires.

use bytes::Bytes;
use http::{Request, header};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::form_urlencoded;

use super::assertion::{Assertion, assertion};
use super::{Algorithm, Auth, AuthError};
use crate::connector::connections::Ports;
use crate::connector::outbound::{Limits, Transport, TransportError};
use crate::connector::response::Answer;
use crate::connector::retry_after::retry_after;
use crate::model::text::tame_field;
use crate::model::time::{Span, Time};
use crate::secret::{Reference, SecretString};

/// A token is replaced this long before it expires.
const MARGIN: Span = Span::minutes(2);
/// What a token endpoint that says nothing is taken to mean.
const USUAL: i64 = 300;

/// Reads the credential's secrets.
type Resolve<'a> = &'a (dyn Fn(&Reference) -> Result<SecretString, AuthError> + Send + Sync);

/// The access token of one credential.
pub(super) struct Tokens {
    url: Option<String>,
    // Held while a token is fetched, so that many calls wait for one request instead of making many.
    current: Mutex<Option<(SecretString, Time)>>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<i64>,
}

impl Tokens {
    pub(super) fn new(url: Option<String>) -> Self {
        Self { url, current: Mutex::new(None) }
    }

    pub(super) async fn forget(&self) {
        *self.current.lock().await = None;
    }

    pub(super) async fn get(
        &self,
        auth: &Auth,
        transport: &dyn Transport,
        ports: &Ports,
        resolve: Resolve<'_>,
    ) -> Result<SecretString, AuthError> {
        let mut current = self.current.lock().await;
        let now = (ports.clock)();
        if let Some((token, until)) = &*current
            && now < *until
        {
            return Ok(token.clone());
        }
        let url = self
            .url
            .as_deref()
            .ok_or_else(|| AuthError::Unusable("the connection has no `token_url`".into()))?;
        let form = form(auth, url, now, ports, resolve)?;
        let granted = request(url, form, now, transport).await?;
        let token = SecretString::new("access-token", granted.access_token);
        ports.scrubber.register_passing(&token);
        let lives = granted.expires_in.unwrap_or(USUAL).clamp(1, 86_400);
        // Half of a short life rather than a negative one.
        let margin = MARGIN.delta().num_seconds().min(lives / 2);
        *current = Some((token.clone(), now + Span::seconds(lives - margin).delta()));
        Ok(token)
    }
}

fn form(
    auth: &Auth,
    url: &str,
    now: Time,
    ports: &Ports,
    resolve: Resolve<'_>,
) -> Result<String, AuthError> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    let mut jti = [0; 16];
    (ports.entropy)(&mut jti);
    let jti = hex::encode(jti);
    let sign = |client_id: &str, key: &Reference, algorithm, key_id, certificate: Option<&_>| {
        let key = resolve(key)?;
        let certificate = certificate.map(resolve).transpose()?;
        let certificate = certificate.as_ref().map(|c| c.expose().as_str());
        assertion(
            &Assertion { client_id, url, jti: &jti, now, algorithm, key_id, certificate },
            &key,
        )
    };
    let (client_id, scope, assertion) = match auth {
        Auth::ClientSecret { client_id, secret, scope } => {
            form.append_pair("client_secret", resolve(secret)?.expose());
            (client_id, scope, None)
        }
        Auth::ClientCertificate { client_id, private_key, certificate, scope, algorithm } => {
            let algorithm = algorithm.unwrap_or(Algorithm::Ps256);
            (
                client_id,
                scope,
                Some(sign(client_id, private_key, algorithm, None, Some(certificate))?),
            )
        }
        Auth::PrivateKeyJwt { client_id, private_key, key_id, scope, algorithm } => {
            let algorithm = algorithm.unwrap_or(Algorithm::Rs256);
            (client_id, scope, Some(sign(client_id, private_key, algorithm, Some(key_id), None)?))
        }
        _ => return Err(AuthError::Unusable("this way to sign in has no tokens".into())),
    };
    form.append_pair("client_id", client_id);
    if let Some(scope) = scope {
        form.append_pair("scope", scope);
    }
    if let Some(assertion) = &assertion {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        form.append_pair("client_assertion_type", kind);
        form.append_pair("client_assertion", assertion);
    }
    Ok(form.finish())
}

async fn request(
    url: &str,
    form: String,
    now: Time,
    transport: &dyn Transport,
) -> Result<Granted, AuthError> {
    let request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(Bytes::from(form))
        .map_err(|e| AuthError::Unusable(e.to_string()))?;
    let response =
        transport.send(request, Limits::default()).await.map_err(|error| match error {
            TransportError::Forbidden(refusal) => AuthError::Denied(refusal.to_string()),
            other => AuthError::Later { problem: other.to_string(), retry_after: None },
        })?;
    let answer = Answer::new(response.status().as_u16(), response.headers(), response.body());
    let said = |field: &str| answer.body[field].as_str().map(tame_field).unwrap_or_default();
    match answer.status {
        200 => serde_json::from_slice(response.body()).map_err(|_| AuthError::Later {
            problem: "the token endpoint's answer holds no token".into(),
            retry_after: None,
        }),
        408 | 429 | 500.. => Err(AuthError::Later {
            problem: format!("HTTP {} from the token endpoint", answer.status),
            retry_after: retry_after(&answer.headers, None, now),
        }),
        status => {
            let (error, why) = (said("error"), said("error_description"));
            Err(AuthError::Denied(format!("HTTP {status} {error}: {why}")))
        }
    }
}
