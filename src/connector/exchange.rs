//! One call's requests and answers: signing, sending, a replaced token, further pages.
//!
//! May use `outbound` and `auth`; what an answer means, `response` says.

use bytes::Bytes;
use serde_json::Value;

use super::auth::AuthError;
use super::connections::{Connection, Connections};
use super::manifest::Method;
use super::outbound::{Limits, TransportError};
use super::request::{self, Given, Prepared};
use super::response::{self, Answer, Verdict};
use crate::model::action::{CallResult, Effect, Outcome};

/// One call on its way: where it goes and what it says.
pub(super) struct Sending<'a> {
    pub(super) connection: &'a Connection,
    pub(super) given: Given<'a>,
}

/// What came back.
pub(super) enum Came {
    Final(CallResult),
    /// A refusal that may mean "it is so already".
    Unclear(CallResult),
}

impl Connections {
    /// Sends, and reads the answer with all its further pages.
    pub(super) async fn send(&self, sending: &Sending<'_>) -> Came {
        let prepared = match request::build(&sending.given) {
            Ok(prepared) => prepared,
            Err(error) => {
                return Came::Final(CallResult::failed(Outcome::Refused, error.to_string()));
            }
        };
        let url = below(&sending.connection.options.base_url, &prepared.path);
        let answer = match self.exchange(sending, &prepared, &url).await {
            Ok(answer) => answer,
            Err(result) => return Came::Final(result),
        };
        match response::judge(&sending.given, &answer) {
            Verdict::Success(outcome) => {
                Came::Final(self.success(sending, &prepared, answer, outcome).await)
            }
            Verdict::Failure(result) => Came::Final(result),
            Verdict::Look(refused) => Came::Unclear(refused),
        }
    }

    async fn success(
        &self,
        sending: &Sending<'_>,
        prepared: &Prepared,
        answer: Answer,
        outcome: Outcome,
    ) -> CallResult {
        let status = Some(answer.status);
        let unknown = |problem: String| CallResult {
            status,
            ..CallResult::failed(Outcome::Unknown, problem)
        };
        let (items, all) = match self.pages(sending, prepared, &answer).await {
            Ok(pages) => pages,
            Err(result) => return result,
        };
        match response::outputs(&sending.given, &answer, items, all) {
            Err(problem) => unknown(problem),
            Ok(output) => {
                let promised = sending.given.action.implements.as_ref();
                let promised = promised.and_then(|name| self.catalogue.capabilities.get(name));
                match promised.and_then(|p| response::mistyped(&output, &p.outputs)) {
                    Some(problem) if sending.given.action.effect == Effect::Read => {
                        unknown(problem)
                    }
                    _ => CallResult { outcome, status, ..CallResult::done(output) },
                }
            }
        }
    }

    async fn pages(
        &self,
        sending: &Sending<'_>,
        prepared: &Prepared,
        first: &Answer,
    ) -> Result<(Vec<Value>, bool), CallResult> {
        let broken = |problem: String| CallResult::failed(Outcome::Unknown, problem);
        let (mut items, mut next) = response::page(&sending.given, first).map_err(broken)?;
        let most = sending.given.action.response.paging.as_ref().map_or(1, |p| p.pages);
        for _ in 1..most {
            let Some(url) = next else { return Ok((items, true)) };
            // The vendor's answer names the next page; it may not name another host.
            if !inside(&sending.connection.options.base_url, &url) {
                return Err(broken("the next page is not below the connection's address".into()));
            }
            let answer = self.exchange(sending, prepared, &url).await?;
            if let Verdict::Failure(result) | Verdict::Look(result) =
                response::judge(&sending.given, &answer)
            {
                return Err(result);
            }
            let (more, after) = response::page(&sending.given, &answer).map_err(broken)?;
            items.extend(more);
            next = after;
        }
        Ok((items, next.is_none()))
    }

    /// One request and its answer; a refused access token is replaced once.
    async fn exchange(
        &self,
        sending: &Sending<'_>,
        prepared: &Prepared,
        url: &str,
    ) -> Result<Answer, CallResult> {
        let answer = self.once(sending, prepared, url).await?;
        let signer = sending.connection.signer(privileged(&sending.given));
        if answer.status == 401 && signer.uses_tokens() {
            signer.forget().await;
            return self.once(sending, prepared, url).await;
        }
        Ok(answer)
    }

    async fn once(
        &self,
        sending: &Sending<'_>,
        prepared: &Prepared,
        url: &str,
    ) -> Result<Answer, CallResult> {
        let connection = sending.connection;
        let mut request = http_request(prepared, url)
            .map_err(|problem| CallResult::failed(Outcome::NotSent, problem))?;
        connection
            .signer(privileged(&sending.given))
            .sign(&mut request, sending.given.key, connection.transport.as_ref(), &self.ports)
            .await
            .map_err(unsigned)?;
        let limits = &sending.given.action.limits;
        let limits = Limits { timeout: limits.timeout.duration(), max_bytes: limits.max_bytes };
        match connection.transport.send(request, limits).await {
            Ok(response) => {
                Ok(Answer::new(response.status().as_u16(), response.headers(), response.body()))
            }
            Err(TransportError::Unknown(why)) => Err(CallResult::failed(Outcome::Unknown, why)),
            Err(TransportError::Forbidden(refusal)) => Err(CallResult {
                connection_fault: true,
                ..CallResult::failed(Outcome::NotSent, refusal.to_string())
            }),
            Err(TransportError::NotSent(why)) => Err(CallResult::failed(Outcome::NotSent, why)),
        }
    }
}

fn privileged(given: &Given<'_>) -> bool {
    given.account()["privileged"] == Value::Bool(true)
}

pub(super) fn below(base: &str, path: &str) -> String {
    format!("{}{path}", base.trim_end_matches('/'))
}

pub(super) fn inside(base: &str, url: &str) -> bool {
    match (url::Url::parse(base), url::Url::parse(url)) {
        (Ok(base), Ok(url)) => {
            let root = base.path().trim_end_matches('/');
            base.origin() == url.origin()
                && url.username().is_empty()
                && url.path().strip_prefix(root).is_some_and(|rest| rest.starts_with('/'))
        }
        _ => false,
    }
}

fn http_request(prepared: &Prepared, url: &str) -> Result<http::Request<Bytes>, String> {
    let method = match prepared.method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
    };
    let mut request = http::Request::builder().method(method).uri(url);
    for (name, value) in &prepared.headers {
        request = request.header(name, value);
    }
    request.body(prepared.body.clone()).map_err(|e| e.to_string())
}

fn unsigned(error: AuthError) -> CallResult {
    match error {
        AuthError::Later { problem, retry_after } => CallResult {
            retry_after,
            ..CallResult::failed(Outcome::NotSent, format!("no access token: {problem}"))
        },
        other => CallResult {
            connection_fault: true,
            ..CallResult::failed(Outcome::NotSent, other.to_string())
        },
    }
}
