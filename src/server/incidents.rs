//! Incidents, their timelines, and what may be asked about them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::extract::{Asked, Body, Named};
use super::identity::{Allowed, Contain, Read};
use super::problem::{Kind, Problem};
use super::state::Api;
use super::views::{EntryView, HoldView, IncidentView, Page};
use crate::engine::shelf::About;
use crate::model::id::{IncidentId, SubjectId};
use crate::model::incident::{Incident, IncidentStatus, Stage};

/// Most items on one page.
const PAGE: usize = 100;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    status: Option<IncidentStatus>,
    stage: Option<Stage>,
    #[param(value_type = Option<String>)]
    subject: Option<SubjectId>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<IncidentId>,
}

/// Lists incidents, newest first.
#[utoipa::path(get, path = "/v1/incidents", tag = "incidents", params(Filter),
    responses((status = 200, body = Page<IncidentView>), (status = "4XX", body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    _: Allowed<Read>,
    Asked(filter): Asked<Filter>,
) -> Result<Json<Page<IncidentView>>, Problem> {
    let engine = api.engine();
    if let Some(id) = filter.subject {
        engine.fetch_about(About::Subject(id)).await?;
    }
    // Incidents of somebody who was merged are the survivor's.
    let survivor = |id| engine.read(|core| core.state.subject(id).map_or(id, |s| s.id));
    let whose = filter.subject.map(survivor);
    let wanted = |i: &Incident| {
        filter.status.is_none_or(|status| i.status == status)
            && filter.stage.is_none_or(|stage| i.stage == stage)
            && whose.is_none_or(|whose| i.subject == whose)
    };
    let listed = engine.list::<Incident>(filter.cursor, PAGE, wanted).await?;
    let next = listed.next.map(|id| id.to_string());
    let items = engine.read(|core| {
        let found = listed.ids.iter().filter_map(|id| core.state.incidents.get(id));
        found.map(|i| IncidentView::of(&core.state, i)).collect()
    });
    Ok(Json(Page { items, next }))
}

/// Shows one incident.
#[utoipa::path(get, path = "/v1/incidents/{id}", tag = "incidents", params(("id" = String, Path)),
    responses((status = 200, body = IncidentView), (status = "4XX", body = Problem)))]
pub(super) async fn show(
    State(api): State<Api>,
    _: Allowed<Read>,
    Named(id): Named<IncidentId>,
) -> Result<Json<IncidentView>, Problem> {
    api.engine().fetch_about(About::Incident(id)).await?;
    let shown = api.engine().read(|core| {
        core.state.incidents.get(&id).map(|incident| IncidentView::of(&core.state, incident))
    });
    shown.map(Json).ok_or_else(|| Problem::not_found("incident", &id.to_string()))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct After {
    /// Only lines after this journal sequence.
    #[serde(default)]
    cursor: u64,
}

/// Everything that the journal says of an incident, oldest first.
#[utoipa::path(get, path = "/v1/incidents/{id}/timeline", tag = "incidents",
    params(("id" = String, Path), After),
    responses((status = 200, body = Page<EntryView>), (status = "4XX", body = Problem)))]
pub(super) async fn timeline(
    State(api): State<Api>,
    _: Allowed<Read>,
    Named(id): Named<IncidentId>,
    Asked(after): Asked<After>,
) -> Result<Json<Page<EntryView>>, Problem> {
    known(&api, id).await?;
    let commits = api.engine().ports().store.timeline(id, after.cursor, PAGE).await?;
    let next = commits.last().filter(|_| commits.len() == PAGE).map(|c| c.seq.to_string());
    let mut items = Vec::new();
    for commit in commits {
        for entry in commit.entries.iter().filter(|entry| entry.incident() == Some(id)) {
            let data = serde_json::to_value(entry).unwrap_or_default();
            items.push(EntryView::new(commit.seq, commit.at, data));
        }
    }
    Ok(Json(Page { items, next }))
}

pub(super) async fn known(api: &Api, id: IncidentId) -> Result<(), Problem> {
    api.engine().fetch_about(About::Incident(id)).await?;
    let known = api.engine().read(|core| core.state.incidents.contains_key(&id));
    if known { Ok(()) } else { Err(Problem::not_found("incident", &id.to_string())) }
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    note: String,
}

/// Adds a note to an incident.
#[utoipa::path(post, path = "/v1/incidents/{id}/notes", tag = "incidents", request_body = Note,
    params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(super) async fn note(
    State(api): State<Api>,
    caller: Allowed<Contain>,
    Named(id): Named<IncidentId>,
    Body(body): Body<Note>,
) -> Result<StatusCode, Problem> {
    let text = crate::model::text::tame(body.note.trim(), 4_000);
    if text.is_empty() {
        return Err(Problem::new(Kind::InvalidBody).detail("`note` is empty"));
    }
    api.engine().note(id, &caller.by(), &text).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A run that was asked for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Started {
    #[schema(value_type = String)]
    run: crate::model::id::RunId,
}

/// Asks people whether what the incident changed may be taken back.
#[utoipa::path(post, path = "/v1/incidents/{id}/request-restore", tag = "incidents",
    params(("id" = String, Path)),
    responses((status = 202, body = Started), (status = "4XX", body = Problem)))]
pub(super) async fn request_restore(
    State(api): State<Api>,
    caller: Allowed<Contain>,
    Named(id): Named<IncidentId>,
) -> Result<(StatusCode, Json<Started>), Problem> {
    let run = api.engine().request_restore(id, &caller.by()).await?;
    Ok((StatusCode::ACCEPTED, Json(Started { run })))
}

#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Active {
    #[default]
    Active,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    #[serde(default)]
    #[expect(dead_code, reason = "there is one state so far; asking for another is an error")]
    state: Active,
}

/// Lists what keeps accounts shut.
#[utoipa::path(get, path = "/v1/containments", tag = "incidents", params(Which),
    responses((status = 200, body = Page<HoldView>), (status = "4XX", body = Problem)))]
pub(super) async fn containments(
    State(api): State<Api>,
    _: Allowed<Read>,
    Asked(_): Asked<Which>,
) -> Json<Page<HoldView>> {
    let items = api.engine().read(|core| {
        let held = core.state.holds.values().filter(|holds| !holds.by.is_empty());
        held.map(HoldView::of).collect()
    });
    Json(Page { items, next: None })
}
