//! Attempts to change something that were refused are written down: an attack on decisions leaves a trace.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::Response;
use axum_extra::extract::CookieJar;
use chrono::TimeDelta;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::ConsoleState;
use super::signed_in::secret;
use crate::model::entry::{AttemptRefused, Entry};
use crate::model::id::{ApprovalId, IncidentId};
use crate::model::text::tame;
use crate::model::time::Time;

/// Written down in a minute at most: whoever tries more often shall not fill the journal.
const A_MINUTE: usize = 120;
/// More than any refusal says.
const REASON_MAX: usize = 16 * 1024;

/// When attempts were written down lately, and how many were not.
#[derive(Clone, Default)]
pub(crate) struct Refusals(Arc<Mutex<(VecDeque<Time>, u32)>>);

impl Refusals {
    /// Whether there is room for one more, and how many found none before it.
    fn room(&self, now: Time) -> Option<u32> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (written, unwritten) = &mut *inner;
        while written.front().is_some_and(|at| now - *at >= TimeDelta::minutes(1)) {
            written.pop_front();
        }
        if written.len() >= A_MINUTE {
            *unwritten = unwritten.saturating_add(1);
            return None;
        }
        written.push_back(now);
        Some(std::mem::take(unwritten))
    }
}

/// Journals what a change was refused for, and by whom it was tried.
pub(super) async fn written_down(
    State(state): State<ConsoleState>,
    request: Request,
    next: Next,
) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !changes {
        return next.run(request).await;
    }
    // A ticket in a path is a secret until it is used.
    let path = request.uri().path();
    let path = match path.split('/').nth(1) {
        Some("enrol") => "/enrol/…",
        Some("asked") => "/asked/…",
        _ => path,
    };
    let what = tame(&format!("{} {path}", request.method()), 200);
    let about = about(&state, path);
    let jar = CookieJar::from_headers(request.headers());
    let session = secret(&state, &jar).and_then(|secret| state.people.session(&secret, false));
    let response = next.run(request).await;
    if !response.status().is_client_error() {
        return response;
    }
    let Some(unwritten) = state.refusals.room(state.engine.now()) else { return response };
    let by = session.and_then(|s| state.people.signed_in(&s)).map(|person| person.name);
    let status = response.status().as_u16();
    let (response, reason) = read(response).await;
    let refused = AttemptRefused { what, by, incident: about, status, reason, unwritten };
    let entry = Entry::AttemptRefused(Box::new(refused));
    if let Err(error) = state.engine.commit(|tx| tx.push(entry)).await {
        tracing::warn!("Could not write down a refused attempt: {error}");
    }
    response
}

/// What a refusal says, and the refusal again.
async fn read(response: Response) -> (Response, String) {
    let (parts, body) = response.into_parts();
    let json = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
        kind.to_str().is_ok_and(|kind| kind.starts_with("application/problem+json"))
    });
    let Ok(bytes) = to_bytes(body, REASON_MAX).await else {
        return (Response::from_parts(parts, Body::empty()), String::new());
    };
    let problem: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok().filter(|_| json);
    let title = problem.as_ref().and_then(|p| p["title"].as_str()).unwrap_or_default();
    let reason = tame(title, 300);
    (Response::from_parts(parts, Body::from(bytes)), reason)
}

/// The incident that a path is about.
fn about(state: &ConsoleState, path: &str) -> Option<IncidentId> {
    let named = path.split('/').collect::<Vec<_>>();
    let after = |word: &str| named.iter().skip_while(|part| **part != word).nth(1).copied();
    if let Some(id) = after("approvals").and_then(|id| id.parse::<ApprovalId>().ok()) {
        return state.engine.read(|core| core.state.approvals.get(&id).map(|a| a.incident));
    }
    let id = after("incidents")?.parse::<IncidentId>().ok()?;
    state.engine.read(|core| core.state.incidents.contains_key(&id).then_some(id))
}
