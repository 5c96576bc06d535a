//! Runs and questions, to look at. No token decides.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;

use super::extract::{Asked, Named};
use super::identity::{Allowed, Read};
use super::problem::Problem;
use super::state::Api;
use super::views::{ApprovalView, EntryView, Page, RunView};
use crate::engine::shelf::About;
use crate::model::approval::{Approval, ApprovalState};
use crate::model::id::{ApprovalId, IncidentId, RunId};
use crate::model::run::{Run, RunStatus};

const PAGE: usize = 100;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunFilter {
    status: Option<RunStatus>,
    #[param(value_type = Option<String>)]
    incident: Option<IncidentId>,
    #[param(value_type = Option<String>)]
    cursor: Option<RunId>,
}

/// Lists runs, newest first.
#[utoipa::path(get, path = "/v1/runs", tag = "runs", params(RunFilter),
    responses((status = 200, body = Page<RunView>), (status = "4XX", body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    _: Allowed<Read>,
    Asked(filter): Asked<RunFilter>,
) -> Result<Json<Page<RunView>>, Problem> {
    let engine = api.engine();
    let wanted = |run: &Run| {
        filter.status.is_none_or(|status| run.status == status)
            && filter.incident.is_none_or(|incident| run.incident == incident)
    };
    let listed = engine.list::<Run>(filter.cursor, PAGE, wanted).await?;
    let next = listed.next.map(|id| id.to_string());
    let items = engine.read(|core| {
        let found = listed.ids.iter().filter_map(|id| core.state.runs.get(id));
        found.map(|run| RunView::of(run)).collect()
    });
    Ok(Json(Page { items, next }))
}

/// Shows one run with its steps.
#[utoipa::path(get, path = "/v1/runs/{id}", tag = "runs", params(("id" = String, Path)),
    responses((status = 200, body = RunView), (status = "4XX", body = Problem)))]
pub(super) async fn show(
    State(api): State<Api>,
    _: Allowed<Read>,
    Named(id): Named<RunId>,
) -> Result<Json<RunView>, Problem> {
    api.engine().fetch_about(About::Run(id)).await?;
    let shown = api.engine().read(|core| core.state.runs.get(&id).map(|run| RunView::of(run)));
    shown.map(Json).ok_or_else(|| Problem::not_found("run", &id.to_string()))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct After {
    #[serde(default)]
    cursor: u64,
}

/// Everything that the journal says of a run, oldest first.
#[utoipa::path(get, path = "/v1/runs/{id}/journal", tag = "runs",
    params(("id" = String, Path), After),
    responses((status = 200, body = Page<EntryView>), (status = "4XX", body = Problem)))]
pub(super) async fn journal(
    State(api): State<Api>,
    _: Allowed<Read>,
    Named(id): Named<RunId>,
    Asked(after): Asked<After>,
) -> Result<Json<Page<EntryView>>, Problem> {
    api.engine().fetch_about(About::Run(id)).await?;
    let incident = api.engine().read(|core| core.state.runs.get(&id).map(|run| run.incident));
    let incident = incident.ok_or_else(|| Problem::not_found("run", &id.to_string()))?;
    let commits = api.engine().ports().store.timeline(incident, after.cursor, PAGE).await?;
    let next = commits.last().filter(|_| commits.len() == PAGE).map(|c| c.seq.to_string());
    let named = Value::String(id.to_string());
    let mut items = Vec::new();
    for commit in &commits {
        for entry in &commit.entries {
            let data = serde_json::to_value(entry).unwrap_or_default();
            if data["run"] == named || data["approval"]["run"] == named {
                items.push(EntryView::new(commit.seq, commit.at, data));
            }
        }
    }
    Ok(Json(Page { items, next }))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ApprovalFilter {
    state: Option<ApprovalState>,
    #[param(value_type = Option<String>)]
    incident: Option<IncidentId>,
    #[param(value_type = Option<String>)]
    cursor: Option<ApprovalId>,
}

/// Lists questions to people, newest first.
#[utoipa::path(get, path = "/v1/approvals", tag = "approvals", params(ApprovalFilter),
    responses((status = 200, body = Page<ApprovalView>), (status = "4XX", body = Problem)))]
pub(super) async fn approvals(
    State(api): State<Api>,
    _: Allowed<Read>,
    Asked(filter): Asked<ApprovalFilter>,
) -> Result<Json<Page<ApprovalView>>, Problem> {
    let engine = api.engine();
    let wanted = |a: &Approval| {
        filter.state.is_none_or(|state| a.state == state)
            && filter.incident.is_none_or(|incident| a.incident == incident)
    };
    let listed = engine.list::<Approval>(filter.cursor, PAGE, wanted).await?;
    let next = listed.next.map(|id| id.to_string());
    let items = engine.read(|core| {
        let found = listed.ids.iter().filter_map(|id| core.state.approvals.get(id));
        found.map(ApprovalView::of).collect()
    });
    Ok(Json(Page { items, next }))
}

/// Shows one question. It is answered on its page, by a person with a passkey.
#[utoipa::path(get, path = "/v1/approvals/{id}", tag = "approvals", params(("id" = String, Path)),
    responses((status = 200, body = ApprovalView), (status = "4XX", body = Problem)))]
pub(super) async fn approval(
    State(api): State<Api>,
    _: Allowed<Read>,
    Named(id): Named<ApprovalId>,
) -> Result<Json<ApprovalView>, Problem> {
    api.engine().fetch_about(About::Approval(id)).await?;
    let shown = api.engine().read(|core| core.state.approvals.get(&id).map(ApprovalView::of));
    shown.map(Json).ok_or_else(|| Problem::not_found("approval", &id.to_string()))
}
