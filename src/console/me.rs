//! A person's own page: their passkey and where they are signed in.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};

use super::ConsoleState;
use super::frame::Frame;
use super::problem::{Oops, Problem, render};
use super::show::At;
use super::signed_in::SignedIn;
use crate::model::text::tame_field;

#[derive(Template)]
#[template(path = "me.html")]
struct MePage {
    frame: Frame,
    name: String,
    roles: String,
    credential: String,
    sessions: Vec<SessionRow>,
}

struct SessionRow {
    id: String,
    agent: String,
    since: At,
    seen: At,
    here: bool,
}

pub(super) async fn page(State(state): State<ConsoleState>, by: SignedIn) -> Response {
    let sessions = state.people.sessions_of(by.person.person);
    let row = |s: crate::people::Session| SessionRow {
        here: s.id == by.session.id,
        id: s.id,
        agent: s.agent,
        since: At(s.since),
        seen: At(s.seen),
    };
    let credential = by.person.passkey.pointer("/cred/cred_id").and_then(|v| v.as_str());
    render(&MePage {
        frame: Frame::new(&state, &by, "Me"),
        name: tame_field(&by.person.name),
        roles: tame_field(&by.person.roles.join(", ")),
        credential: credential.unwrap_or("unknown").chars().take(12).collect(),
        sessions: sessions.into_iter().map(row).collect(),
    })
}

pub(super) async fn end(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    if !state.people.end_session(by.person.person, &id) {
        return Err(Problem::missing("session").page());
    }
    Ok(Redirect::to("/me").into_response())
}
