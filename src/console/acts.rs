//! What people cause by a form: notes, the way back, closing, the kill switch. What loosens is signed ([`deeds`](super::deeds)).

pub(super) mod json;

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::ConsoleState;
use super::deeds::TEXT_MAX;
use super::problem::{Oops, Problem};
use super::signed_in::SignedIn;
use crate::engine::shelf::About;
use crate::model::id::{IncidentId, RunId};
use crate::model::incident::ApprovalSeen;
use crate::model::subject::Alias;
use crate::model::text::tame;
use crate::people::Act;

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
    if approval == ApprovalSeen::Hostile {
        by.must(Act::CloseHostile)?;
        return Err(by_passkey("closing a case with a hostile approval"));
    }
    by.must(Act::Close)?;
    state.engine.close(incident, by.person.name.as_str(), &text.written()?).await?;
    Ok(incident)
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
    if !form.paused {
        by.must(Act::Release)?;
        return Err(by_passkey("ending a pause").page());
    }
    by.must(Act::Pause)?;
    let reason = Text { text: form.text }.written()?;
    state.engine.pause(true, by.person.name.as_str(), &reason).await?;
    Ok(Redirect::to("/").into_response())
}

/// Some acts are signed, so that a stolen session cannot do them.
fn by_passkey(what: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, format!("A passkey has to sign {what}: do it on its page"))
}

#[derive(Deserialize)]
pub(super) struct Contain {
    #[serde(default)]
    who: String,
    #[serde(default)]
    text: String,
}

/// Contains somebody now, whom Quell need not have heard of. Whoever starts it does not decide it.
pub(super) async fn contain(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Form(form): Form<Contain>,
) -> Result<Response, Oops> {
    by.must(Act::Contain)?;
    let who = form.who.trim().to_lowercase();
    if !Alias::is_sign_in_name(&who) {
        let why = "Write the sign-in name of the person, such as jane@example.com";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why).page());
    }
    let reason = Text { text: form.text }.written()?;
    let subject = state.engine.subject_named(&who).await?;
    let (incident, _) = state.engine.contain(subject, &by.person.name, &reason).await?;
    tracing::info!(incident.id = %incident, "Started containment by hand for `{}`", by.person.name);
    Ok(Redirect::to(&format!("/incidents/{incident}")).into_response())
}

pub(super) fn incident_id(text: &str) -> Result<IncidentId, Problem> {
    text.parse().map_err(|_| Problem::missing("incident"))
}
