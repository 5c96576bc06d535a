//! The page behind an enrolment ticket. Opening it changes nothing, so a mail scanner may.

use askama::Template;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use webauthn_rs::prelude::RegisterPublicKeyCredential;

use super::ConsoleState;
use super::frame::Frame;
use super::problem::{Oops, Problem, render};
use super::show::At;
use crate::model::text::tame_field;

#[derive(Template)]
#[template(path = "enrol.html")]
struct EnrolPage {
    frame: Frame,
    name: String,
    roles: String,
    until: At,
    replaces: bool,
}

pub(super) async fn page(
    State(state): State<ConsoleState>,
    Path(ticket): Path<String>,
) -> Result<Response, Oops> {
    let invitation = state.people.invitation(&ticket).ok_or(crate::people::Problem::Ticket)?;
    Ok(render(&EnrolPage {
        frame: Frame { lab: state.lab, ..Frame::bare("Enrol a passkey") },
        name: tame_field(&invitation.name),
        roles: tame_field(&invitation.roles.join(", ")),
        until: At(invitation.expires_at),
        replaces: invitation.replaces.is_some(),
    }))
}

pub(super) async fn begin(
    State(state): State<ConsoleState>,
    Path(ticket): Path<String>,
) -> Result<Response, Problem> {
    Ok(Json(state.people.enrol_begin(&ticket)?).into_response())
}

#[derive(Deserialize)]
pub(super) struct Answer {
    ceremony: String,
    answer: RegisterPublicKeyCredential,
}

pub(super) async fn finish(
    State(state): State<ConsoleState>,
    Path(ticket): Path<String>,
    Json(given): Json<Answer>,
) -> Result<Response, Problem> {
    let person = state.people.enrol_finish(&ticket, &given.ceremony, &given.answer).await?;
    tracing::info!(person.id = %person, "Enrolled a passkey of `{person}`");
    Ok(Json(json!({ "enrolled": true })).into_response())
}
