//! Who may do what here, and inviting one more person. A rota of one cannot decide its own incident.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::ConsoleState;
use super::frame::Frame;
use super::problem::{Oops, Problem, render};
use super::signed_in::SignedIn;
use crate::model::text::{tame, tame_field};
use crate::people::Act;

/// The roles that can be given.
const ROLES: [&str; 6] = ["viewer", "analyst", "approver", "author", "helpdesk", "admin"];
/// Longest name.
const NAME_MAX: usize = 80;

#[derive(Template)]
#[template(path = "persons.html")]
struct PersonsPage {
    frame: Frame,
    persons: Vec<Row>,
    may_invite: bool,
    roles: [&'static str; 6],
    /// Shown once, right after it was made.
    link: Option<Link>,
}

struct Row {
    name: String,
    roles: String,
}

struct Link {
    name: String,
    href: String,
}

pub(super) async fn page(State(state): State<ConsoleState>, by: SignedIn) -> Response {
    show(&state, &by, None)
}

fn show(state: &ConsoleState, by: &SignedIn, link: Option<Link>) -> Response {
    let persons = state.engine.read(|core| {
        let row = |p: &crate::model::entry::PersonEnrolled| Row {
            name: tame_field(&p.name),
            roles: tame_field(&p.roles.join(", ")),
        };
        core.state.people.values().map(row).collect()
    });
    let may_invite = by.may(Act::Invite);
    let frame = Frame::new(state, by, "People");
    render(&PersonsPage { frame, persons, may_invite, roles: ROLES, link })
}

#[derive(Deserialize)]
pub(super) struct Invite {
    name: String,
    role: String,
}

/// Makes a single-use ticket. Under the name of somebody enrolled it replaces their passkey.
pub(super) async fn invite(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Form(form): Form<Invite>,
) -> Result<Response, Oops> {
    by.must(Act::Invite)?;
    let name = tame(form.name.trim(), NAME_MAX);
    let Some(role) = ROLES.into_iter().find(|role| *role == form.role) else {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "There is no such role").page());
    };
    if name.is_empty() {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Write a name first").page());
    }
    let ticket = state
        .people
        .invite(&name, &[role])
        .await
        .map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    let base = state.public_url.as_str().trim_end_matches('/');
    let href = format!("{base}/enrol/{}", ticket.reveal());
    tracing::info!("Invited `{name}` as {role}, by `{}`", by.person.name);
    Ok(show(&state, &by, Some(Link { name, href })))
}
