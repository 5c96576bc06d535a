//! Reads a page of a provider's log through a connection: its credential, its address, its guard, its pace.
//!
//! What comes back is handed on as it came; what it means is known to whoever asked. One request, one
//! answer: nothing is repeated here but for an access token that was refused.

use bytes::Bytes;
use http::{Request, header};
use percent_encoding::utf8_percent_encode;
use serde_json::{Value, json};
use std::time::Duration;

use super::auth::AuthError;
use super::connections::{Connection, Connections};
use super::exchange::{below, inside};
use super::expr;
use super::manifest::{Connector, Rate};
use super::outbound::{Limits, TransportError};
use super::request::VALUE;
use super::response::Answer;
use super::retry_after::retry_after;
use crate::model::id::ConnectionId;
use crate::model::text::tame_field;
use crate::model::time::Span;

/// The most that a page may take.
const LIMITS: Limits = Limits { timeout: Duration::from_secs(30), max_bytes: 16 << 20 };

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) at: Place,
    /// What the requests are counted under, together with those of actions of that name.
    pub(crate) bucket: &'static str,
    /// How many of them there may be.
    pub(crate) rate: Rate,
}

/// Where a page is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Below the connection's address.
    Path { path: &'static str, query: Vec<(&'static str, String)> },
    /// Where the provider's last answer said; it may name no other host.
    Link(String),
}

/// A page as it came.
#[derive(Debug, Clone)]
pub(crate) struct Pulled {
    pub(crate) answer: Answer,
    pub(crate) raw: Bytes,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NotPulled {
    /// The rate that the provider allows is used up; nothing was sent.
    #[error("held back for {0} to keep the provider's rate")]
    Early(Span),
    /// The provider asked to wait.
    #[error("{problem}")]
    Throttled { problem: String, wait: Option<Span> },
    /// The provider did not take the request as it is.
    #[error("{problem}")]
    Refused { problem: String },
    /// No answer, or none that helps.
    #[error("{problem}")]
    Failed { problem: String },
}

impl Connections {
    /// Reads one page.
    pub(crate) async fn pull(
        &self,
        connection: &ConnectionId,
        reading: &Reading,
    ) -> Result<Pulled, NotPulled> {
        let scrubbed = |problem: String| self.ports.scrubber.text(&problem);
        let failed = |problem: String| NotPulled::Failed { problem: scrubbed(problem) };
        let Some(connection) = self.get(connection) else {
            return Err(failed(format!("there is no connection `{connection}`")));
        };
        let Some(manifest) = self.described(connection).map(|d| &d.manifest) else {
            return Err(failed(format!(
                "there is no connector `{}`",
                connection.options.connector
            )));
        };
        let now = (self.ports.clock)();
        connection.pace.admit(reading.bucket, reading.rate, now).map_err(NotPulled::Early)?;
        let url = url(connection, &reading.at).map_err(failed)?;
        let mut pulled = self.get_page(connection, manifest, &url).await?;
        if pulled.answer.status == 401 && connection.ordinary.uses_tokens() {
            connection.ordinary.forget().await;
            pulled = self.get_page(connection, manifest, &url).await?;
        }
        let answer = &pulled.answer;
        let wait = retry_after(&answer.headers, manifest.limits.reset_header.as_deref(), now);
        let problem = || scrubbed(words(manifest, answer));
        match answer.status {
            200 if answer.garbled => Err(failed("the answer is not JSON".into())),
            200 => Ok(pulled),
            429 => Err(NotPulled::Throttled { problem: problem(), wait }),
            503 | 509 if wait.is_some() => Err(NotPulled::Throttled { problem: problem(), wait }),
            400..500 => Err(NotPulled::Refused { problem: problem() }),
            _ => Err(NotPulled::Failed { problem: problem() }),
        }
    }

    async fn get_page(
        &self,
        connection: &Connection,
        manifest: &Connector,
        url: &str,
    ) -> Result<Pulled, NotPulled> {
        let failed =
            |problem: String| NotPulled::Failed { problem: self.ports.scrubber.text(&problem) };
        let mut request = Request::get(url).header(header::ACCEPT, "application/json");
        for (name, value) in &manifest.headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Bytes::new()).map_err(|e| failed(e.to_string()))?;
        let transport = connection.transport.as_ref();
        // Only actions on privileged accounts take the stronger credential.
        let signed = connection.ordinary.sign(&mut request, "poll", transport, &self.ports);
        signed.await.map_err(|error| match error {
            AuthError::Later { problem, retry_after: Some(wait) } => {
                NotPulled::Throttled { problem, wait: Some(wait) }
            }
            other => failed(other.to_string()),
        })?;
        let answered = transport.send(request, LIMITS).await;
        let response = answered.map_err(|error: TransportError| failed(error.to_string()))?;
        let status = response.status().as_u16();
        let answer = Answer::new(status, response.headers(), response.body());
        Ok(Pulled { answer, raw: response.into_body() })
    }
}

fn url(connection: &Connection, at: &Place) -> Result<String, String> {
    let base = &connection.options.base_url;
    match at {
        Place::Path { path, query } => {
            let pairs = query
                .iter()
                .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, VALUE)));
            Ok(format!("{}?{}", below(base, path), pairs.collect::<Vec<_>>().join("&")))
        }
        Place::Link(url) if inside(base, url) => Ok(url.clone()),
        Place::Link(_) => Err("the next page is not below the connection's address".into()),
    }
}

/// The provider's own words for what is wrong, where its manifest says that they are.
fn words(manifest: &Connector, answer: &Answer) -> String {
    let ctx = json!({"status": answer.status, "headers": answer.headers, "body": answer.body});
    let say = |expression: &Option<String>| {
        let value = expr::evaluate(expression.as_deref()?, &ctx).ok()?;
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        Some(tame_field(&text)).filter(|text| !text.is_empty())
    };
    let said = [say(&manifest.error.code), say(&manifest.error.message)];
    let said: Vec<String> = said.into_iter().flatten().collect();
    match said.as_slice() {
        [] => format!("HTTP {}", answer.status),
        said => format!("HTTP {}: {}", answer.status, said.join(": ")),
    }
}
