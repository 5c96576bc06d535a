//! The HTTP client: one per connection, guarded, without redirects, cookies, proxies or retries.
//!
//! The only file of the whole program that may use reqwest.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;
use std::time::Duration;

use super::guard::Guard;
use super::{Limits, Transport, TransportError};

const CONNECT: Duration = Duration::from_secs(3);

/// Sends requests over the network.
pub(crate) struct HttpTransport {
    client: reqwest::Client,
    guard: Guard,
}

impl HttpTransport {
    pub(crate) fn new(networks: &[IpNet]) -> Result<Self, TransportError> {
        let guard = Guard::new(networks);
        let client = reqwest::Client::builder()
            .user_agent(concat!("quell/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT)
            .pool_idle_timeout(Duration::from_secs(50))
            .dns_resolver(Guarded(guard.clone()))
            .build()
            .map_err(|e| TransportError::NotSent(chain(&e)))?;
        Ok(Self { client, guard })
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        limits: Limits,
    ) -> Result<http::Response<Bytes>, TransportError> {
        self.guard.url(&request.uri().to_string())?;
        let request =
            reqwest::Request::try_from(request).map_err(|e| TransportError::NotSent(chain(&e)))?;
        let whole = async {
            let response = self.client.execute(request).await.map_err(|e| classify(&e))?;
            read(response, limits.max_bytes).await
        };
        tokio::time::timeout(limits.timeout, whole).await.unwrap_or_else(|_| {
            Err(TransportError::Unknown(format!("nothing within {:?}", limits.timeout)))
        })
    }
}

async fn read(
    mut response: reqwest::Response,
    max: usize,
) -> Result<http::Response<Bytes>, TransportError> {
    let mut out = http::Response::builder().status(response.status());
    if let Some(headers) = out.headers_mut() {
        headers.clone_from(response.headers());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|e| TransportError::Unknown(chain(&e)))?
    {
        if body.len() + chunk.len() > max {
            return Err(TransportError::Unknown(format!("the answer is longer than {max} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    out.body(body.freeze()).map_err(|e| TransportError::Unknown(e.to_string()))
}

/// Only a connection that never stood is "not sent"; everything later is unknown.
fn classify(error: &reqwest::Error) -> TransportError {
    if error.is_connect() || error.is_builder() {
        TransportError::NotSent(chain(error))
    } else {
        TransportError::Unknown(chain(error))
    }
}

/// The causes in words. Without the address, which may hold an id.
fn chain(error: &reqwest::Error) -> String {
    let mut out = String::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        if !out.is_empty() {
            out.push_str(": ");
        }
        out.push_str(&error.to_string());
        cause = error.source();
    }
    if out.is_empty() { "the request failed".into() } else { out }
}

/// Resolves names as the system does, and lets through only what the guard admits: the address
/// that was judged is the one that is dialled.
struct Guarded(Guard);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut admitted: Vec<SocketAddr> = Vec::new();
            let mut refused = None;
            for address in found {
                match guard.ip(address.ip()) {
                    Ok(()) => admitted.push(address),
                    Err(refusal) => refused = Some(refusal),
                }
            }
            match (admitted.is_empty(), refused) {
                (true, Some(refusal)) => Err(refusal.into()),
                _ => Ok(Box::new(admitted.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const LOCAL: &str = "127.0.0.0/8";

    /// A server that gives one answer to everything; an empty answer is silence.
    async fn serve(answer: String) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let read = stream.read(&mut [0; 4096]).await;
                if read.is_err() || answer.is_empty() {
                    std::future::pending::<()>().await;
                }
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
        format!("http://{address}/")
    }

    async fn send(url: &str, limits: Limits) -> Result<http::Response<Bytes>, TransportError> {
        let transport = HttpTransport::new(&[LOCAL.parse().unwrap()]).unwrap();
        let request = http::Request::get(url).body(Bytes::new()).unwrap();
        transport.send(request, limits).await
    }

    fn local<F: Future<Output = ()>>(test: F) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn redirects_are_answers_and_long_answers_are_cut_off() {
        local(async {
            let head = "HTTP/1.1 303 See Other\r\nlocation: https://elsewhere.example/\r\n";
            let moved = serve(format!("{head}content-length: 0\r\n\r\n")).await;
            let long =
                format!("HTTP/1.1 200 OK\r\ncontent-length: 4096\r\n\r\n{}", "x".repeat(4096));
            let long = serve(long).await;

            let answer = send(&moved, Limits::default()).await.unwrap();
            assert_eq!(answer.status(), 303);

            let tight = Limits { max_bytes: 1024, ..Limits::default() };
            let error = send(&long, tight).await.unwrap_err();
            assert!(matches!(error, TransportError::Unknown(_)), "{error}");
        });
    }

    #[test]
    fn a_closed_port_is_not_sent_and_silence_is_unknown() {
        local(async {
            let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let gone = closed.local_addr().unwrap();
            drop(closed);
            let error = send(&format!("http://{gone}/"), Limits::default()).await.unwrap_err();
            assert!(matches!(error, TransportError::NotSent(_)), "{error}");

            let silent = serve(String::new()).await;
            let brief = Limits { timeout: Duration::from_millis(50), ..Limits::default() };
            let error = send(&silent, brief).await.unwrap_err();
            assert!(matches!(error, TransportError::Unknown(_)), "{error}");
        });
    }

    #[test]
    fn a_name_that_resolves_inwards_is_not_dialled() {
        local(async {
            let transport = HttpTransport::new(&[]).unwrap();
            let request = http::Request::get("https://localhost/").body(Bytes::new()).unwrap();

            let error = transport.send(request, Limits::default()).await.unwrap_err();

            assert!(
                matches!(&error, TransportError::NotSent(why) if why.contains("not public")),
                "{error}"
            );
        });
    }
}
