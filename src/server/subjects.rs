//! People: look one up, contain one now.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::extract::Body;
use super::identity::{Allowed, Contain, Read};
use super::problem::Problem;
use super::state::Api;
use super::views::SubjectView;
use crate::engine::ingest::Touched;
use crate::engine::shelf::About;
use crate::model::id::SubjectId;
use crate::model::subject::Alias;
use crate::model::text::tame;

/// Shows a person, named by id or by a sign-in name.
#[utoipa::path(get, path = "/v1/subjects/{id}", tag = "subjects", params(("id" = String, Path)),
    responses((status = 200, body = SubjectView), (status = "4XX", body = Problem)))]
pub(super) async fn show(
    State(api): State<Api>,
    _: Allowed<Read>,
    Path(name): Path<String>,
) -> Result<Json<SubjectView>, Problem> {
    let id = find(&api, &name).await?;
    let shown =
        api.engine().read(|core| core.state.subject(id).map(|s| SubjectView::of(&core.state, s)));
    shown.map(Json).ok_or_else(|| Problem::not_found("subject", &name))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Why {
    /// Why, for the journal.
    reason: String,
}

/// Contains a person now. Whatever locks them out may still wait for people, as policy says.
#[utoipa::path(post, path = "/v1/subjects/{id}/contain", tag = "subjects", request_body = Why,
    params(("id" = String, Path)),
    responses((status = 202, body = Touched), (status = "4XX", body = Problem)))]
pub(super) async fn contain(
    State(api): State<Api>,
    caller: Allowed<Contain>,
    Path(name): Path<String>,
    Body(why): Body<Why>,
) -> Result<(StatusCode, Json<Touched>), Problem> {
    let id = named(&api, &name).await?;
    let touched = start(&api, id, &caller.by(), &why.reason).await?;
    Ok((StatusCode::ACCEPTED, Json(touched)))
}

/// Starts containment, with a reason that is fit to keep.
pub(super) async fn start(
    api: &Api,
    id: SubjectId,
    by: &str,
    reason: &str,
) -> Result<Touched, Problem> {
    let reason = tame(reason.trim(), 400);
    let reason = if reason.is_empty() { "no reason was given" } else { &reason };
    let (incident, run) = api.engine().contain(id, by, reason).await?;
    if run.is_some() {
        tracing::info!(incident.id = %incident, "Started containment by hand for `{by}`");
    }
    Ok(Touched { incident, run })
}

/// [`find`], but a sign-in name that no record has named yet is somebody too.
pub(super) async fn named(api: &Api, name: &str) -> Result<SubjectId, Problem> {
    match find(api, name).await {
        Ok(id) => Ok(id),
        Err(problem) if !Alias::is_sign_in_name(name) => Err(problem),
        Err(_) => Ok(api.engine().subject_named(&name.to_lowercase()).await?),
    }
}

/// The subject behind an id or a sign-in name.
pub(super) async fn find(api: &Api, name: &str) -> Result<SubjectId, Problem> {
    let engine = api.engine();
    let found = if let Ok(id) = name.parse::<SubjectId>() {
        engine.fetch_about(About::Subject(id)).await?;
        engine.read(|core| core.state.subject(id).map(|s| s.id))
    } else {
        let alias = Alias::login(name);
        engine.fetch_named(std::slice::from_ref(&alias)).await?;
        engine.read(|core| core.state.subject_by_alias(&alias).map(|s| s.id))
    };
    found.ok_or_else(|| Problem::not_found("subject", name))
}
