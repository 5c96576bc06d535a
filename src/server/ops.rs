//! For those who run Quell: alive, ready, metrics, and the API's own description.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::OpenApi as _;

use super::files::Standing;
use super::openapi::Described;
use super::problem::{Kind, Problem};
use super::state::Api;

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Alive {
    status: &'static str,
}

/// Says that the process answers.
#[utoipa::path(get, path = "/healthz", tag = "ops", responses((status = 200, body = Alive)))]
pub(super) async fn healthz() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Ready {
    status: &'static str,
    lab: bool,
    /// Effects are stopped by the kill switch; deliveries are taken in.
    paused: bool,
    /// `whole`; `being_proved` while its older lines are still read; `damaged`: see the log, and go
    /// back to a backup before the next start, which will refuse.
    journal: &'static str,
    /// `kept`; `behind` if it failed: timelines are slow, and the next start makes it again.
    index: &'static str,
}

/// Says whether deliveries are taken in.
#[utoipa::path(get, path = "/readyz", tag = "ops",
    responses((status = 200, body = Ready), (status = 503, body = Problem)))]
pub(super) async fn readyz(State(api): State<Api>) -> Result<Json<Ready>, Problem> {
    if *api.closing().borrow() || api.engine().is_stopping() {
        return Err(Problem::new(Kind::Busy).detail("the process is ending").retry_after(5));
    }
    api.engine().ports().store.ready()?;
    let paused = api.engine().read(|core| core.state.paused.is_some());
    let Standing { journal, index } = api.files().standing();
    Ok(Json(Ready { status: "ready", lab: api.is_lab(), paused, journal, index }))
}

/// Gives the metrics.
#[utoipa::path(get, path = "/metrics", tag = "ops",
    responses((status = 200, content_type = "application/openmetrics-text", body = String)))]
pub(super) async fn metrics(State(api): State<Api>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = api.metrics().text(api.engine(), (api.polls(), api.keys()), api.notices());
    (StatusCode::OK, [(header::CONTENT_TYPE, kind)], text).into_response()
}

/// Answers for every address of the API that is none.
pub(super) async fn nothing() -> Problem {
    Problem::new(Kind::NotFound).detail("the API has no such address; see /openapi.json")
}

/// Describes the API.
#[utoipa::path(get, path = "/openapi.json", tag = "ops", responses((status = 200, body = Object)))]
pub(super) async fn openapi() -> Response {
    Json(Described::openapi()).into_response()
}
