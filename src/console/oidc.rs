//! Signing in through the organisation's identity provider: out to it, and back.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use serde::Deserialize;

use super::ConsoleState;
use super::frame::Frame;
use super::problem::{Oops, Problem, render};
use super::signed_in::cookie;
use crate::model::text::tame;
use crate::people::oidc::OidcError;

/// What a provider sends the browser back with.
#[derive(Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

/// A page of its own: the session's cookie is for this site's own requests only, and the browser comes from another.
#[derive(Template)]
#[template(path = "signed_in.html")]
struct SignedInPage {
    frame: Frame,
}

fn login_name(state: &ConsoleState) -> &'static str {
    if state.secure() { "__Host-l" } else { "l" }
}

/// Sent along from the provider's site, which the session's own cookie is not.
fn login_cookie(state: &ConsoleState, login: String) -> Cookie<'static> {
    let gone = login.is_empty();
    let mut cookie = Cookie::build((login_name(state), login))
        .http_only(true)
        .secure(state.secure())
        .same_site(SameSite::Lax)
        .path("/")
        .build();
    if gone {
        cookie.make_removal();
    }
    cookie
}

/// Sends the browser to the provider. It begins something that only this browser can end, and changes nothing.
pub(super) async fn begin(
    State(state): State<ConsoleState>,
    jar: CookieJar,
) -> Result<Response, Oops> {
    let oidc = state.oidc.as_ref().ok_or_else(|| Problem::missing("identity provider"))?;
    let sent = oidc.begin(&state.people).await?;
    let jar = jar.add(login_cookie(&state, sent.login));
    Ok((jar, Redirect::to(sent.to.as_str())).into_response())
}

pub(super) async fn back(
    State(state): State<ConsoleState>,
    headers: HeaderMap,
    jar: CookieJar,
    Query(given): Query<Back>,
) -> Result<Response, Oops> {
    let oidc = state.oidc.as_ref().ok_or_else(|| Problem::missing("identity provider"))?;
    if !given.error.is_empty() {
        let why = format!("{} {}", given.error, given.error_description);
        return Err(OidcError::Refused(tame(why.trim(), 300)).into());
    }
    let login = jar.get(login_name(&state)).map(|c| c.value().to_owned()).unwrap_or_default();
    let agent = headers.get(header::USER_AGENT).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let (who, secret) = oidc.finish(&state.people, &login, &given.state, given.code, agent).await?;
    tracing::info!("Signed in `{}` through the identity provider", who.name);
    let jar = jar.add(login_cookie(&state, String::new())).add(cookie(&state, secret));
    let frame = Frame { lab: state.lab, ..Frame::bare("Signed in") };
    Ok((jar, render(&SignedInPage { frame })).into_response())
}
