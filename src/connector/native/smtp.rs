//! Mail by SMTP. The address says how: `smtp://host:587` begins in the clear and must go on with STARTTLS,
//! `smtps://host:465` begins with TLS. Only to this machine may it stay in the clear.
//!
//! What was certainly not taken is told from what nobody knows by the phase in which it failed: before the
//! text was sent, or after.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response, header};
use ipnet::IpNet;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use url::Url;

use super::super::outbound::{Guard, Limits, Transport, TransportError};
use super::mail::{self, Letter, Mail};
use crate::model::text::tame_field;

const CONNECT: Duration = Duration::from_secs(5);

/// Sends mail over the network.
pub(crate) struct SmtpTransport {
    guard: Guard,
    /// In the clear to this machine; a test turns it off.
    trusts_loopback: bool,
}

type Answer = Result<Response<Bytes>, TransportError>;

impl SmtpTransport {
    pub(crate) fn new(networks: &[IpNet]) -> Self {
        Self { guard: Guard::new(networks), trusts_loopback: true }
    }

    async fn carry(&self, request: Request<Bytes>) -> Answer {
        let server = self.guard.mail(&request.uri().to_string())?;
        let letter = match (request.method(), server.path().rsplit('/').next()) {
            (&Method::GET, Some("session")) => None,
            (&Method::POST, Some("messages")) => match letter(request.body()) {
                Ok(letter) => Some(letter),
                Err(why) => return answer(422, &json!({"code": "mail", "message": why})),
            },
            _ => return answer(404, &json!({"code": "route", "message": "no such operation"})),
        };
        let credentials = match credentials(&request) {
            Ok(credentials) => credentials,
            Err(why) => return answer(401, &json!({"code": "credential", "message": why})),
        };
        let hello = letter.as_ref().map(|l| ClientId::Domain(l.domain.clone())).unwrap_or_default();
        let address = self.resolve(&server).await?;
        let encrypted = !(self.trusts_loopback && address.ip().is_loopback());
        let mut session = match open(&server, address, &hello, encrypted, credentials).await {
            Ok(session) => session,
            Err(Failed::Said(error)) if error.status().is_some() => return said(&error),
            Err(failed) => return Err(TransportError::NotSent(failed.to_string())),
        };
        let Some(letter) = letter else {
            // It has answered; how it says goodbye proves nothing more.
            drop(session.quit().await);
            return answer(200, &json!({"code": "250"}));
        };
        let sent = session.send(letter.message.envelope(), &letter.message.formatted()).await;
        match sent {
            Ok(reply) => {
                drop(session.quit().await);
                answer(202, &json!({"code": reply.code().to_string(), "id": letter.id}))
            }
            Err(error) if error.status().is_some() => said(&error),
            Err(error) if error.is_client() => {
                answer(422, &json!({"code": "client", "message": words(&error)}))
            }
            Err(error) => Err(TransportError::Unknown(words(&error))),
        }
    }

    /// The first address of the server's that may be dialled: what was judged is what is dialled.
    async fn resolve(&self, server: &Url) -> Result<SocketAddr, TransportError> {
        let host = server.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let usual = if server.scheme() == "smtps" { 465 } else { 587 };
        let port = server.port().unwrap_or(usual);
        let found = tokio::net::lookup_host((host, port))
            .await
            .map_err(|e| TransportError::NotSent(format!("the server's name: {e}")))?;
        let mut refused = None;
        for address in found {
            match self.guard.ip(address.ip()) {
                Ok(()) => return Ok(address),
                Err(refusal) => refused = Some(refusal),
            }
        }
        Err(refused.map_or_else(
            || TransportError::NotSent("the server's name has no address".into()),
            TransportError::Forbidden,
        ))
    }
}

#[async_trait]
impl Transport for SmtpTransport {
    async fn send(&self, request: Request<Bytes>, limits: Limits) -> Answer {
        let whole = Box::pin(self.carry(request));
        tokio::time::timeout(limits.timeout, whole).await.unwrap_or_else(|_| {
            Err(TransportError::Unknown(format!("nothing within {:?}", limits.timeout)))
        })
    }
}

/// Why no session stands.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{}", words(.0))]
    Said(#[from] Error),
    #[error("the server offers no STARTTLS, and nothing is sent to it in the clear")]
    Clear,
}

/// A session that is encrypted where it must be, and signed in if there is a credential.
async fn open(
    server: &Url,
    address: SocketAddr,
    hello: &ClientId,
    encrypted: bool,
    credentials: Option<Credentials>,
) -> Result<AsyncSmtpConnection, Failed> {
    let name = server.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let implicit =
        if server.scheme() == "smtps" { Some(TlsParameters::new(name.clone())?) } else { None };
    let clear = implicit.is_none();
    let connecting =
        AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT), hello, implicit, None);
    let mut session = Box::pin(connecting).await?;
    if clear && encrypted {
        if !session.can_starttls() {
            session.abort().await;
            return Err(Failed::Clear);
        }
        Box::pin(session.starttls(TlsParameters::new(name)?, hello)).await?;
    }
    if let Some(credentials) = credentials {
        let ways = [Mechanism::Plain, Mechanism::Login];
        session.auth(&ways, &credentials).await?;
    }
    Ok(session)
}

fn letter(body: &Bytes) -> Result<Letter, String> {
    let mail: Mail = serde_json::from_slice(body).map_err(|e| format!("no mail: {e}"))?;
    mail::write(&mail)
}

/// User and password, from where connections put them.
fn credentials(request: &Request<Bytes>) -> Result<Option<Credentials>, &'static str> {
    let Some(given) = request.headers().get(header::AUTHORIZATION) else { return Ok(None) };
    let unreadable = "the credential is not readable";
    let given = given.to_str().ok().and_then(|v| v.strip_prefix("Basic ")).ok_or(unreadable)?;
    let pair = STANDARD.decode(given).ok().and_then(|p| String::from_utf8(p).ok());
    let pair = pair.ok_or(unreadable)?;
    let (user, password) = pair.split_once(':').ok_or(unreadable)?;
    Ok(Some(Credentials::new(user.to_owned(), password.to_owned())))
}

/// What the server said: later (4yz), no (5yz), or not with this credential.
fn said(error: &Error) -> Answer {
    let code = error.status().map(|code| code.to_string()).unwrap_or_default();
    let status = match code.as_str() {
        "530" | "534" | "535" | "538" => 401,
        _ if error.is_transient() => 429,
        _ => 422,
    };
    answer(status, &json!({"code": code, "message": words(error)}))
}

/// The error in words; it repeats its causes itself.
fn words(error: &Error) -> String {
    tame_field(&error.to_string())
}

fn answer(status: u16, body: &Value) -> Answer {
    Response::builder()
        .status(status)
        .body(Bytes::from(body.to_string()))
        .map_err(|e| TransportError::NotSent(e.to_string()))
}

#[cfg(test)]
mod tests;
