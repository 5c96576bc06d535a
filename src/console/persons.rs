//! Who may do what here, and inviting one more person. A rota of one cannot decide its own incident.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::ConsoleState;
use super::deeds::ROLES;
use super::frame::Frame;
use super::problem::render;
use super::signed_in::SignedIn;
use crate::model::text::tame_field;
use crate::people::Act;

#[derive(Template)]
#[template(path = "persons.html")]
struct PersonsPage {
    frame: Frame,
    persons: Vec<Row>,
    may_invite: bool,
    roles: [&'static str; 6],
}

struct Row {
    name: String,
    roles: String,
}

pub(super) async fn page(State(state): State<ConsoleState>, by: SignedIn) -> Response {
    let persons = state.engine.read(|core| {
        let row = |p: &crate::model::entry::PersonEnrolled| Row {
            name: tame_field(&p.name),
            roles: tame_field(&p.roles.join(", ")),
        };
        core.state.people.values().map(row).collect()
    });
    let may_invite = by.may(Act::Invite);
    let frame = Frame::new(&state, &by, "People");
    render(&PersonsPage { frame, persons, may_invite, roles: ROLES })
}
