//! What people cause by a form: notes, the way back, closing, resuming, the kill switch.

pub(super) mod json;

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::ConsoleState;
use super::problem::{Oops, Problem};
use super::signed_in::SignedIn;
use crate::engine::shelf::About;
use crate::model::id::{IncidentId, RunId};
use crate::model::incident::ApprovalSeen;
use crate::model::text::tame;
use crate::people::Act;

/// Longest note or reason.
const TEXT_MAX: usize = 2_000;

#[derive(Deserialize)]
pub(super) struct Text {
    #[serde(default)]
    text: String,
}

impl Text {
    fn written(&self) -> Result<String, Problem> {
        let text = tame(self.text.trim(), TEXT_MAX);
        if text.is_empty() {
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Write a few words first"));
        }
        Ok(text)
    }
}

pub(super) async fn note(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Path(incident): Path<String>,
    Form(form): Form<Text>,
) -> Result<Response, Oops> {
    by.must(Act::Note)?;
    let incident = incident_id(&incident)?;
    state.engine.note(incident, &by.person.name, &form.written()?).await?;
    Ok(Redirect::to(&format!("/incidents/{incident}")).into_response())
}

/// Asks for the way back; the answer is a decision like any other.
pub(super) async fn restore(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Path(incident): Path<String>,
) -> Result<Response, Oops> {
    let (incident, _) = ask_restore(&state, &by, &incident).await?;
    Ok(Redirect::to(&format!("/incidents/{incident}")).into_response())
}

pub(super) async fn close(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Path(incident): Path<String>,
    Form(form): Form<Text>,
) -> Result<Response, Oops> {
    let incident = shut(&state, &by, &incident, &form).await?;
    Ok(Redirect::to(&format!("/incidents/{incident}")).into_response())
}

pub(super) async fn resume(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Path(run): Path<String>,
) -> Result<Response, Oops> {
    let (run, _) = let_go_on(&state, &by, &run).await?;
    state.engine.fetch_about(About::Run(run)).await?;
    let incident = state.engine.read(|core| core.state.runs.get(&run).map(|r| r.incident));
    let to = incident.map_or_else(|| "/".to_owned(), |id| format!("/incidents/{id}"));
    Ok(Redirect::to(&to).into_response())
}

async fn ask_restore(
    state: &ConsoleState,
    by: &SignedIn,
    incident: &str,
) -> Result<(IncidentId, RunId), Problem> {
    by.must(Act::RequestRestore)?;
    let incident = incident_id(incident)?;
    let run = state.engine.request_restore(incident, &by.person.name).await?;
    Ok((incident, run))
}

/// Closes a case; after a hostile approval not every role may.
async fn shut(
    state: &ConsoleState,
    by: &SignedIn,
    incident: &str,
    text: &Text,
) -> Result<IncidentId, Problem> {
    let incident = incident_id(incident)?;
    state.engine.fetch_about(About::Incident(incident)).await?;
    let approval = state
        .engine
        .read(|core| core.state.incidents.get(&incident).map(|i| i.approval))
        .ok_or_else(|| Problem::missing("incident"))?;
    let hostile = approval == ApprovalSeen::Hostile;
    by.must(if hostile { Act::CloseHostile } else { Act::Close })?;
    state.engine.close(incident, &by.person.name, &text.written()?).await?;
    Ok(incident)
}

async fn let_go_on(
    state: &ConsoleState,
    by: &SignedIn,
    run: &str,
) -> Result<(RunId, usize), Problem> {
    by.must(Act::Resume)?;
    let run: RunId = run.parse().map_err(|_| Problem::missing("run"))?;
    let steps = state.engine.resume(run, &by.person.name).await?;
    Ok((run, steps))
}

#[derive(Deserialize)]
pub(super) struct Pause {
    paused: bool,
    #[serde(default)]
    text: String,
}

pub(super) async fn pause(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Form(form): Form<Pause>,
) -> Result<Response, Oops> {
    by.must(if form.paused { Act::Pause } else { Act::Release })?;
    state.engine.pause(form.paused, &by.person.name, &Text { text: form.text }.written()?).await?;
    Ok(Redirect::to("/").into_response())
}

pub(super) fn incident_id(text: &str) -> Result<IncidentId, Problem> {
    text.parse().map_err(|_| Problem::missing("incident"))
}
