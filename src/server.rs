//! HTTP for machines: deliveries in, the API, metrics. Every route is on this screen.
//!
//! A handler proves, acts and tells: who may is in its signature ([`identity::Allowed`]), what
//! happens is the engine's, and every refusal is a [`problem::Problem`]. No token decides;
//! people do, on the console, whose routes are merged in from above.
//!
//! May use `intake`, `engine` and `playbook`. Knows no store but its port, and no
//! HTTP client.

mod admission;
mod again;
mod control;
mod deliveries;
mod extract;
mod files;
mod identity;
mod incidents;
mod layers;
mod metrics;
mod oncall;
mod openapi;
mod ops;
mod playbooks;
mod problem;
mod received;
mod roster;
mod runs;
mod settings;
mod sources;
mod state;
mod story;
mod stream;
mod subjects;
mod token;
mod views;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, delete, get, post};
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::RequestBodyDeadlineLayer;

pub(crate) use again::Again;
pub(crate) use files::{Download, Files, Standing};
pub(crate) use metrics::Metrics;
pub(crate) use playbooks::diff;
pub(crate) use received::{Received, Seen, Stream};
pub(crate) use roster::Roster;
pub(crate) use settings::{Reread, Rereads, Unread};
pub(crate) use state::{Answers, Api, Bucket, Candidate, Candidates, Parts, Source};
#[cfg(test)]
pub(crate) use token::find;
pub(crate) use token::{Drawn, LONGEST, NAME_MAX, Scope, Used, draw, fits, mint};

/// How long a body may take to arrive, all told.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// Every address of the API that no route has.
const MISTYPED: &str = "/v1/{*rest}";

/// Every route. `console` brings its own.
pub(crate) fn router(api: Api, console: Option<Router>) -> Router {
    let routes = Router::new()
        .route(
            "/v1/hooks/{source}",
            post(deliveries::hook).get(deliveries::challenge).options(deliveries::handshake),
        )
        .route("/v1/events", post(deliveries::events))
        .route("/v1/alerts", post(deliveries::alerts))
        .route("/v1/reports", post(deliveries::reports))
        .route("/v1/deliveries/refused", get(again::list))
        .route("/v1/deliveries/refused/{id}/judge", post(again::judge))
        .route("/v1/incidents", get(incidents::list))
        .route("/v1/incidents/{id}", get(incidents::show))
        .route("/v1/incidents/{id}/timeline", get(incidents::timeline))
        .route("/v1/incidents/{id}/story", get(story::story))
        .route("/v1/incidents/{id}/notes", post(incidents::note))
        .route("/v1/incidents/{id}/request-restore", post(incidents::request_restore))
        .route("/v1/containments", get(incidents::containments))
        .route("/v1/subjects/{id}", get(subjects::show))
        .route("/v1/subjects/{id}/contain", post(subjects::contain))
        .route("/v1/playbooks", get(playbooks::list).post(playbooks::submit))
        .route("/v1/playbooks/{name}", get(playbooks::show))
        .route("/v1/playbooks/{name}/runs", post(playbooks::run))
        .route("/v1/runs", get(runs::list))
        .route("/v1/runs/{id}", get(runs::show))
        .route("/v1/runs/{id}/journal", get(runs::journal))
        .route("/v1/approvals", get(runs::approvals))
        .route("/v1/approvals/{id}", get(runs::approval))
        .route("/v1/sources", get(sources::list))
        .route("/v1/oncall", get(oncall::show))
        .route("/v1/pause", get(control::pause_shown).post(control::pause))
        .route("/v1/settings/reload", post(settings::reload))
        .route("/v1/tokens", get(control::tokens).post(control::create_token))
        .route("/v1/tokens/{id}", delete(control::revoke_token))
        .route("/v1/store/backup", get(files::backup))
        .route("/v1/store/export", get(files::export))
        .route("/v1/stream", get(stream::stream))
        .route("/v1/journal", get(stream::journal))
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
        .route("/openapi.json", get(ops::openapi))
        .with_state(api.clone());
    // Not the console's: a machine that mistypes an address is answered as a machine.
    let mistyped = Router::new().route(MISTYPED, any(ops::nothing));
    routes
        .merge(mistyped)
        .merge(console.unwrap_or_default())
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(RequestBodyDeadlineLayer::new(BODY_DEADLINE))
        .layer(from_fn_with_state(api, layers::around))
}
