//! The way out: the port through which every request leaves, and the only HTTP client behind it. What speaks
//! another protocol is [native](super::native), and passes the same guard.
//!
//! A transport says one of three things: an answer, "no byte was sent", or "nobody
//! knows". It retries nothing and follows no redirect; what to do next is journalled above.

mod guard;
mod http_client;

pub(crate) use guard::{Guard, Refusal};
pub(crate) use http_client::HttpTransport;

use async_trait::async_trait;
use bytes::Bytes;
use ipnet::IpNet;
use std::sync::Arc;
use std::time::Duration;

use super::manifest::Native;
use super::native::SmtpTransport;

/// What one request may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From the first attempt to connect until the last byte of the answer.
    pub(crate) timeout: Duration,
    pub(crate) max_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(15), max_bytes: 1 << 20 }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TransportError {
    /// The address may not be called; nothing was sent.
    #[error(transparent)]
    Forbidden(#[from] Refusal),
    /// No byte of the request was written.
    #[error("nothing was sent: {0}")]
    NotSent(String),
    /// The request may have arrived.
    #[error("no complete answer came: {0}")]
    Unknown(String),
}

/// Sends one request. Implemented by the HTTP client, by the lab, and by tests.
#[async_trait]
pub(crate) trait Transport: Send + Sync {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        limits: Limits,
    ) -> Result<http::Response<Bytes>, TransportError>;
}

/// The way that one connection takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way<'a> {
    /// The private networks that it admits.
    pub(crate) networks: &'a [IpNet],
    /// What it speaks, if that is not HTTP.
    pub(crate) native: Option<Native>,
}

/// Makes the transport of one connection.
pub(crate) type Dial =
    Arc<dyn Fn(Way<'_>) -> Result<Arc<dyn Transport>, TransportError> + Send + Sync>;

/// The real way out.
pub(crate) fn dial() -> Dial {
    Arc::new(|way| {
        let transport: Arc<dyn Transport> = match way.native {
            None => Arc::new(HttpTransport::new(way.networks)?),
            Some(Native::Smtp) => Arc::new(SmtpTransport::new(way.networks)),
        };
        Ok(transport)
    })
}
