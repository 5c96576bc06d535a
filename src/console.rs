//! The pages that people look at, and the only place where a person decides.
//!
//! Every page is rendered here and needs no script to be read; one small script adds
//! passkeys, count-downs and live regions. No GET changes anything, and nothing that
//! changes something is reachable without a person's session.
//!
//! May use `engine`, `people`, `approval` and `model`. Knows no store and no HTTP client.

mod acts;
mod again;
mod approval;
mod asked;
mod assets;
mod audit;
mod chart;
mod connections;
mod decide;
mod deeds;
mod desk;
mod enrol;
mod frame;
mod graph;
mod guard;
mod guardrails;
mod in_force;
mod incident;
mod lists;
mod look;
mod me;
mod now;
mod oidc;
mod oncall;
mod persons;
mod playbooks;
mod problem;
mod refusals;
mod report;
mod runs;
mod show;
mod sift;
mod sign_in;
mod signed_in;
mod sources;
mod speed;
mod stream;
#[cfg(test)]
mod tests;
mod timeline;
mod together;
mod tokens;
mod tries;
mod words;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use std::sync::Arc;
use tower_http::csrf::CsrfLayer;
use webauthn_rs::prelude::Url;

use crate::engine::driver::Engine;
use crate::jwks::Renewals;
use crate::people::People;
use crate::people::oidc::Oidc;
use crate::poll::Meters;
use crate::server::{Again, Candidates, Received, Used};

/// More than any form or passkey's answer here.
const BODY_MAX: usize = 64 * 1024;

pub(crate) use refusals::Refusals;
pub(crate) use report::Strangers;
pub(crate) use timeline::{told, told_of};
pub(crate) use tries::{Probe, Tried, Tries};

/// What the pages are made from.
#[derive(Clone)]
pub(crate) struct ConsoleState {
    pub(crate) engine: Engine,
    pub(crate) people: People,
    /// Where browsers reach this deployment; passkeys are bound to it.
    pub(crate) public_url: Url,
    /// A lab deployment says so on every page.
    pub(crate) lab: bool,
    /// Playbooks that wait for a person to publish them.
    pub(crate) candidates: Candidates,
    pub(crate) refusals: Refusals,
    pub(crate) received: Received,
    /// How the polled logs stand.
    pub(crate) polls: Meters,
    /// The keys of transmitters that are read again and again.
    pub(crate) keys: Renewals,
    /// Refused deliveries that can be judged again.
    pub(crate) again: Again,
    /// When tokens were used.
    pub(crate) used: Used,
    pub(crate) tries: Tries,
    /// The organisation's identity provider, where one is configured.
    pub(crate) oidc: Option<Arc<Oidc>>,
    pub(crate) strangers: Strangers,
}

impl ConsoleState {
    /// Served over https: cookies may say so, and browsers are told to keep to it.
    fn secure(&self) -> bool {
        self.public_url.scheme() == "https"
    }
}

/// What people look after: what is theirs, and how the deployment is.
fn own() -> Router<ConsoleState> {
    Router::new()
        .route("/me", get(me::page))
        .route("/me/look", post(look::keep))
        .route("/me/sessions/{id}/end", post(me::end))
        .route("/me/tokens/{id}/revoke", post(tokens::revoke))
        .route("/connections/{id}/test", post(tries::test))
        .route("/sources/refused/{id}/judge", post(again::judge))
}

/// Every page and every form.
pub(crate) fn router(state: ConsoleState) -> Router {
    let origin = state.public_url.origin().ascii_serialization();
    let csrf = CsrfLayer::new();
    // A public address that is no web origin is refused where people are set up.
    let csrf = csrf.clone().add_trusted_origin(origin).unwrap_or(csrf);
    Router::new()
        .route("/", get(now::page))
        .route("/pause", post(acts::pause))
        .route("/incidents", get(lists::incidents))
        .route("/incidents/{id}", get(incident::page))
        .route("/incidents/{id}/notes", post(acts::note))
        .route("/incidents/{id}/restore", post(acts::restore))
        .route("/incidents/{id}/close", post(acts::close))
        .route("/incidents/{id}/ask", post(asked::ask))
        .route("/asked/{secret}", get(asked::page).post(asked::answer))
        .route("/runs/{id}", get(runs::page))
        .route("/approvals", get(lists::approvals))
        .route("/approvals/together", get(together::page))
        .route("/approvals/{id}", get(approval::page))
        .route("/v1/approvals/together/begin", post(decide::together_begin))
        .route("/v1/approvals/together/finish", post(decide::together_finish))
        .route("/v1/approvals/{id}/begin", post(decide::begin))
        .route("/v1/approvals/{id}/finish", post(decide::finish))
        .route("/v1/incidents/{id}/restore", post(acts::json::restore))
        .route("/v1/incidents/{id}/close", post(acts::json::close))
        .route("/v1/deeds/begin", post(deeds::begin))
        .route("/v1/deeds/finish", post(deeds::finish))
        .route("/sign-in", get(sign_in::page))
        .route("/sign-in/begin", post(sign_in::begin))
        .route("/sign-in/finish", post(sign_in::finish))
        .route("/sign-in/oidc", get(oidc::begin))
        .route("/sign-in/oidc/back", get(oidc::back))
        .route("/sign-out", post(sign_in::out))
        .route("/enrol/{ticket}", get(enrol::page))
        .route("/enrol/{ticket}/begin", post(enrol::begin))
        .route("/enrol/{ticket}/finish", post(enrol::finish))
        .route("/in-force", get(in_force::page))
        .route("/guardrails", get(guardrails::page))
        .route("/connections", get(connections::page))
        .route("/audit", get(audit::page))
        .route("/sources", get(sources::page))
        .route("/contain", post(acts::contain))
        .route("/report", get(report::page).post(report::told))
        .route("/desk", get(desk::page))
        .route("/desk/calls", post(desk::told))
        .route("/oncall", get(oncall::page))
        .route("/playbooks", get(playbooks::page))
        .route("/people", get(persons::page))
        .merge(own())
        .route("/stream", get(stream::stream))
        .route("/console.css", get(assets::css))
        .route("/console.js", get(assets::js))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn(guard::origin_is_told))
        .layer(csrf)
        .layer(from_fn_with_state(state.clone(), refusals::written_down))
        .layer(from_fn_with_state(state.clone(), guard::headers))
        .with_state(state)
}
