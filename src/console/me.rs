//! A person's own page: their passkey, where they are signed in, who stands in for them, and tokens.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};

use super::ConsoleState;
use super::frame::Frame;
use super::oncall::{StandInRow, stand_in};
use super::problem::{Oops, Problem, render};
use super::show::{At, Mark, TOKEN_EXPIRED, TOKEN_IN_FORCE, TOKEN_REVOKED};
use super::signed_in::SignedIn;
use crate::model::entry::{PersonEnrolled, TokenChanged};
use crate::model::id::TokenId;
use crate::model::oncall::Delegation;
use crate::model::text::tame_field;
use crate::model::time::Time;
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
    all_tokens: bool,
}

struct TokenRow {
    id: String,
    name: String,
    scopes: String,
    source: Option<String>,
    made: At,
    by: String,
    used: Option<At>,
    expires: At,
    state: Mark,
    in_force: bool,
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
    })
}

/// The newest first; those that count before those that do not.
fn tokens(state: &ConsoleState, by: &SignedIn) -> Vec<TokenRow> {
    let now = state.engine.now();
    let mut rows: Vec<TokenRow> = state.engine.read(|core| {
        let shown = core.state.tokens.values().rev().filter(|token| is_shown(by, token));
        shown.map(|token| token_row(state, token, now)).collect()
    });
    rows.sort_by_key(|row| !row.in_force);
    rows
}

/// Somebody sees the tokens that they made, and who looks after tokens sees all.
fn is_shown(by: &SignedIn, token: &TokenChanged) -> bool {
    by.may(Act::Tokens) || token.by.as_deref() == Some(by.person.name.as_str())
}

fn token_row(state: &ConsoleState, token: &TokenChanged, now: Time) -> TokenRow {
    let mark = match (token.revoked, token.expires_at <= now) {
        (true, _) => TOKEN_REVOKED,
        (false, true) => TOKEN_EXPIRED,
        (false, false) => TOKEN_IN_FORCE,
    };
    TokenRow {
        id: token.token.to_string(),
        name: tame_field(&token.name),
        scopes: tame_field(&token.scopes.join(", ")),
        source: token.source.as_ref().map(|source| tame_field(source.as_str())),
        made: At(token.token.made_at()),
        by: tame_field(token.by.as_deref().unwrap_or("unknown")),
        used: state.used.last(token.token).map(At),
        expires: At(token.expires_at),
        state: mark,
        in_force: mark == TOKEN_IN_FORCE,
    }
}

/// Revokes a token. It only tightens, so that a session is enough. Who may not see it is told that there is none.
pub(super) async fn revoke(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    let missing = || Problem::missing("token");
    let id: TokenId = id.parse().map_err(|_| missing())?;
    let known = state.engine.read(|core| core.state.tokens.get(&id).cloned());
    let mut token = known.filter(|token| is_shown(&by, token)).ok_or_else(missing)?;
    if token.revoke(by.person.name) {
        state.engine.change_token(token).await?;
    }
    Ok(Redirect::to("/me").into_response())
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
