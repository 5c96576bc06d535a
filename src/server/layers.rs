//! Around every request: an id, one log line without its contents, safe headers, and problems
//! that name the request.

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::any::Any;
use tracing::Instrument as _;
use uuid::Uuid;

use super::problem::{Kind, Problem};
use super::state::Api;
use crate::engine::tasks::said;
use crate::model::id::ReceiptId;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The outermost layer.
pub(super) async fn around(State(api): State<Api>, request: Request, next: Next) -> Response {
    let engine = api.engine();
    let began = engine.now();
    let id = ReceiptId::mint(began, engine.ports().entropy.id()).0;
    let method = request.method().clone();
    // The pattern, not the path: a path may hold a person's name.
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or_else(|| "-".to_owned(), |m| m.as_str().to_owned());
    let span = tracing::info_span!("request", request.id = %id);
    let response = next.run(request).instrument(span).await;
    let response = finished(response, id);
    let took = (engine.now() - began).num_milliseconds();
    let status = response.status().as_u16();
    tracing::info!(request.id = %id, status, duration_ms = took, "Answered {method} {route} with {status}");
    response
}

fn finished(response: Response, id: Uuid) -> Response {
    let mut response = problem_in(response, id);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(no_store);
    let no_referrer = HeaderValue::from_static("no-referrer");
    headers.entry(header::REFERRER_POLICY).or_insert(no_referrer);
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(nothing);
    response
}

/// Names the request in a problem, and makes one of a bare refusal by some layer below.
fn problem_in(mut response: Response, id: Uuid) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let bare = kind.is_none_or(|kind| kind.starts_with("text/plain"));
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if bare => Problem::of_status(status),
        None => return response,
    };
    let mut told = problem.instance(format!("urn:uuid:{id}")).into_response();
    *told.status_mut() = status;
    let (parts, _) = response.into_parts();
    for (name, value) in &parts.headers {
        // `Allow` and the like stay; what describes the old body goes.
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            told.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }
    told
}

/// A panic in a handler is one request's problem, not the process's end.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
pub(super) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response<Body> {
    let text = said(&*panic).unwrap_or("no message");
    tracing::error!("A request's work panicked: {text}");
    Problem::new(Kind::Internal).detail("see the log of Quell").into_response()
}
