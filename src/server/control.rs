//! The kill switch, and tokens.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::extract::{Body, Named};
use super::identity::{Admin, Allowed, Contain, Read};
use super::problem::{Kind, Problem};
use super::state::Api;
use super::token::{self, Scope};
use super::views::Page;
use crate::model::entry::TokenChanged;
use crate::model::id::{SourceId, TokenId};
use crate::model::text::tame;
use crate::model::time::{Span, rfc3339};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    #[serde(default = "yes")]
    paused: bool,
    #[serde(default)]
    reason: String,
}

fn yes() -> bool {
    true
}

/// Whether effects are stopped, and by whom.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct PauseView {
    paused: bool,
    by: Option<String>,
    reason: Option<String>,
    at: Option<String>,
}

fn paused(api: &Api) -> Json<PauseView> {
    let pause = api.engine().read(|core| core.state.paused.clone());
    Json(PauseView {
        paused: pause.is_some(),
        by: pause.as_ref().map(|p| p.by.clone()),
        reason: pause.as_ref().map(|p| p.reason.clone()),
        at: pause.map(|p| rfc3339(p.at)),
    })
}

/// Says whether effects are stopped.
#[utoipa::path(get, path = "/v1/pause", tag = "control",
    responses((status = 200, body = PauseView), (status = "4XX", body = Problem)))]
pub(super) async fn pause_shown(State(api): State<Api>, _: Allowed<Read>) -> Json<PauseView> {
    paused(&api)
}

/// Stops all effects at once; intake goes on. Letting them go on again needs a person.
#[utoipa::path(post, path = "/v1/pause", tag = "control", request_body = Switch,
    responses((status = 200, body = PauseView), (status = "4XX", body = Problem)))]
pub(super) async fn pause(
    State(api): State<Api>,
    caller: Allowed<Contain>,
    Body(wanted): Body<Switch>,
) -> Result<Json<PauseView>, Problem> {
    if !wanted.paused {
        let detail = "a pause is ended by a person, on the console";
        return Err(Problem::new(Kind::NeedsPerson).detail(detail));
    }
    let already = api.engine().read(|core| core.state.paused.is_some());
    if !already {
        let reason = tame(wanted.reason.trim(), 400);
        api.engine().pause(true, &caller.by(), &reason).await?;
        tracing::warn!("Paused all effects at the word of `{}`", caller.by());
    }
    Ok(paused(&api))
}

/// A token, without its secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct TokenView {
    id: String,
    name: String,
    scopes: Vec<String>,
    source: Option<String>,
    expires_at: String,
    revoked: bool,
    made_by: Option<String>,
    /// Since Quell was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
    /// Shown once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl TokenView {
    fn of(kept: &TokenChanged) -> Self {
        Self {
            id: kept.token.to_string(),
            name: kept.name.clone(),
            scopes: kept.scopes.clone(),
            source: kept.source.as_ref().map(ToString::to_string),
            expires_at: rfc3339(kept.expires_at),
            revoked: kept.revoked,
            made_by: kept.by.clone(),
            last_used_at: None,
            token: None,
        }
    }
}

/// Lists tokens.
#[utoipa::path(get, path = "/v1/tokens", tag = "control",
    responses((status = 200, body = Page<TokenView>), (status = "4XX", body = Problem)))]
pub(super) async fn tokens(State(api): State<Api>, _: Allowed<Admin>) -> Json<Page<TokenView>> {
    let view = |kept: &TokenChanged| TokenView {
        last_used_at: api.used().last(kept.token).map(rfc3339),
        ..TokenView::of(kept)
    };
    let items = api.engine().read(|core| core.state.tokens.values().map(view).collect());
    Json(Page { items, next: None })
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    name: String,
    scopes: Vec<Scope>,
    /// For the scope `ingest`: the source whose deliveries it brings.
    source: Option<String>,
    /// Such as `30d`; at most 90 days.
    #[serde(default = "longest")]
    #[schema(value_type = String)]
    expires_in: Span,
}

fn longest() -> Span {
    token::LONGEST
}

/// Makes a token. Its text is shown this once.
#[utoipa::path(post, path = "/v1/tokens", tag = "control", request_body = NewToken,
    responses((status = 201, body = TokenView), (status = "4XX", body = Problem)))]
pub(super) async fn create_token(
    State(api): State<Api>,
    caller: Allowed<Admin>,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<TokenView>), Problem> {
    let known = |source: &str| api.source(source).is_some();
    token::fits(&new.name, &new.scopes, new.source.as_deref(), new.expires_in, known)
        .map_err(|unfit| Problem::new(Kind::InvalidBody).detail(unfit.to_string()))?;
    let engine = api.engine();
    let entropy = &*engine.ports().entropy;
    let source = new.source.map(SourceId::new);
    let mut minted =
        token::mint(entropy, engine.now(), &new.name, &new.scopes, source, new.expires_in);
    minted.kept.by = Some(caller.by());
    let mut shown = TokenView::of(&minted.kept);
    shown.token = Some(minted.text);
    engine.change_token(minted.kept).await?;
    Ok((StatusCode::CREATED, Json(shown)))
}

/// Revokes a token.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "control", params(("id" = String, Path)),
    responses((status = 200, body = TokenView), (status = "4XX", body = Problem)))]
pub(super) async fn revoke_token(
    State(api): State<Api>,
    caller: Allowed<Admin>,
    Named(id): Named<TokenId>,
) -> Result<Json<TokenView>, Problem> {
    let known = api.engine().read(|core| core.state.tokens.get(&id).cloned());
    let mut token = known.ok_or_else(|| Problem::not_found("token", &id.to_string()))?;
    token.revoke(caller.by());
    let shown = TokenView::of(&token);
    api.engine().change_token(token).await?;
    Ok(Json(shown))
}
