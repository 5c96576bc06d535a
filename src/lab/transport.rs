//! The lab as a connector's transport: the router called in-process, without sockets.

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use std::sync::Arc;
use tower::ServiceExt as _;

use super::Lab;
use super::door::{InProcess, Lost};
use crate::connector::outbound::{Dial, Limits, Transport, TransportError};

/// Calls the lab's router directly.
struct Direct(Router);

impl Lab {
    /// A transport that reaches the lab, whatever host the address names.
    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(Direct(self.router()))
    }

    /// The lab in the place of the network, for every connection.
    pub(crate) fn dial(&self) -> Dial {
        let transport = self.transport();
        Arc::new(move |_| Ok(transport.clone()))
    }
}

#[async_trait]
impl Transport for Direct {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        limits: Limits,
    ) -> Result<http::Response<Bytes>, TransportError> {
        let mut request = request.map(Body::from);
        if let Some(authority) = request.uri().authority()
            && let Ok(host) = authority.as_str().parse()
        {
            request.headers_mut().insert("host", host);
        }
        request.extensions_mut().insert(InProcess);
        let answer = tokio::time::timeout(limits.timeout, self.0.clone().oneshot(request));
        let unknown = |why: &str| TransportError::Unknown(why.to_owned());
        let Ok(Ok(response)) = answer.await else { return Err(unknown("nothing in time")) };
        match response.extensions().get::<Lost>() {
            Some(Lost::Unreachable) => {
                return Err(TransportError::NotSent("the connection was refused".into()));
            }
            Some(Lost::Silent) => return Err(unknown("nothing in time")),
            Some(Lost::Reset) => return Err(unknown("the connection was reset")),
            Some(Lost::CutOff) => return Err(unknown("the answer ended in the middle")),
            None => {}
        }
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, limits.max_bytes)
            .await
            .map_err(|_| unknown("the answer is too long"))?;
        Ok(http::Response::from_parts(parts, body))
    }
}
