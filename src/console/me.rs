//! A person's own page: their passkey, where they are signed in, who stands in for them, and tokens.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};

use super::ConsoleState;
use super::frame::Frame;
use super::oncall::{StandInRow, stand_in};
use super::problem::{Oops, Problem, render};
use super::show::At;
use super::signed_in::SignedIn;
use super::tokens::{ScopeRow, TokenRow, scopes, tokens};
use crate::model::entry::PersonEnrolled;
use crate::model::oncall::Delegation;
use crate::model::text::tame_field;
use crate::people::{Act, may};

#[derive(Template)]
#[template(path = "me.html")]
struct MePage {
    frame: Frame,
    name: String,
    roles: String,
    credential: String,
    sessions: Vec<SessionRow>,
    /// Who stands in for the reader, and for whom they do.
    stand_ins: Vec<StandInRow>,
    /// Who could stand in; empty where the reader has no turn to hand over.
    others: Vec<Other>,
    /// The reader's own, or all for who looks after them.
    tokens: Vec<TokenRow>,
    /// The reader looks after all tokens, and may make some.
    all_tokens: bool,
    scopes: Vec<ScopeRow>,
    /// The sources that a token can bring deliveries of.
    sources: Vec<String>,
}

struct Other {
    id: String,
    name: String,
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
    let now = state.engine.now();
    let me = by.person.person;
    let (stand_ins, others) = state.engine.read(|core| {
        let own = |given: &&Delegation| (given.from == me || given.to == me) && given.ends > now;
        let given = core.state.delegations.values().filter(own);
        let rows = given.map(|given| stand_in(given, now)).collect();
        let decides = |p: &&PersonEnrolled| p.person != me && may(&p.roles, Act::Decide);
        let others = core.state.people.values().filter(decides);
        let other =
            |p: &PersonEnrolled| Other { id: p.person.to_string(), name: tame_field(&p.name) };
        (rows, others.map(other).collect())
    });
    let others = if by.may(Act::Decide) { others } else { Vec::new() };
    let credential = by.person.passkey.pointer("/cred/cred_id").and_then(|v| v.as_str());
    render(&MePage {
        frame: Frame::new(&state, &by, "Me"),
        name: tame_field(&by.person.name),
        roles: tame_field(&by.person.roles.join(", ")),
        credential: credential.unwrap_or("unknown").chars().take(12).collect(),
        sessions: sessions.into_iter().map(row).collect(),
        stand_ins,
        others,
        tokens: tokens(&state, &by),
        all_tokens: by.may(Act::Tokens),
        scopes: scopes(),
        sources: state.again.sources().iter().map(ToString::to_string).collect(),
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
