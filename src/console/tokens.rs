//! API tokens on the page of who looks after them: shown, revoked, and made by passkey. The text of a new one is in
//! one answer and nowhere else.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::ConsoleState;
use super::problem::{Oops, Problem};
use super::show::{At, Mark, TOKEN_EXPIRED, TOKEN_IN_FORCE, TOKEN_REVOKED};
use super::signed_in::SignedIn;
use crate::model::deed::{Deed, SignedDeed};
use crate::model::entry::TokenChanged;
use crate::model::id::{SourceId, TokenId};
use crate::model::text::{tame, tame_field};
use crate::model::time::{Span, Time, rfc3339};
use crate::people::Act;
use crate::server::{Drawn, NAME_MAX, Scope, draw, fits};

pub(super) struct TokenRow {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) scopes: String,
    pub(super) source: Option<String>,
    pub(super) made: At,
    pub(super) by: String,
    pub(super) used: Option<At>,
    pub(super) expires: At,
    pub(super) state: Mark,
    pub(super) in_force: bool,
}

/// What can be ticked, and what it means.
pub(super) struct ScopeRow {
    pub(super) name: &'static str,
    pub(super) words: &'static str,
}

pub(super) fn scopes() -> Vec<ScopeRow> {
    Scope::ALL.map(|scope| ScopeRow { name: scope.name(), words: scope.words() }).into()
}

/// The newest first; those that count before those that do not.
pub(super) fn tokens(state: &ConsoleState, by: &SignedIn) -> Vec<TokenRow> {
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

/// What is signed is what will be kept: a token that can be, its scopes in their own order and each once.
pub(super) fn fit(
    state: &ConsoleState,
    name: &str,
    scopes: &[String],
    source: Option<SourceId>,
    lasts: Span,
) -> Result<Deed, Problem> {
    let unfit = |why: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why);
    let named = |scope: &&String| Scope::ALL.iter().all(|known| known.name() != scope.as_str());
    if let Some(other) = scopes.iter().find(named) {
        return Err(unfit(format!("There is no scope `{}`", tame(other, 40))));
    }
    let ticked = Scope::ALL.into_iter().filter(|known| scopes.iter().any(|s| s == known.name()));
    let ticked: Vec<Scope> = ticked.collect();
    let name = tame(name.trim(), NAME_MAX);
    // A form sends an empty text where nothing was chosen.
    let source = source.filter(|source| !source.as_str().is_empty());
    let known = |source: &str| state.again.sources().iter().any(|known| known.as_str() == source);
    fits(&name, &ticked, source.as_ref().map(SourceId::as_str), lasts, known)
        .map_err(|why| unfit(format!("No token was made: {why}")))?;
    let scopes = ticked.into_iter().map(|scope| scope.name().to_owned()).collect();
    Ok(Deed::Token { name, scopes, source, lasts })
}

/// Makes the token that was signed for. This answer has its text; nothing else ever does.
pub(super) async fn give(state: &ConsoleState, signed: SignedDeed) -> Result<Value, Problem> {
    let engine = &state.engine;
    let Drawn { token, text, hash } = draw(&*engine.ports().entropy, engine.now());
    let kept = engine.give_token(signed, (token, hash)).await?;
    Ok(json!({ "name": kept.name, "token": text, "expires_at": rfc3339(kept.expires_at) }))
}
