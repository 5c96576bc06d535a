//! Whose request it is. A handler that takes a [`SignedIn`] cannot be reached without a session.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::ConsoleState;
use super::look::Look;
use super::problem::Problem;
use crate::model::entry::PersonEnrolled;
use crate::people::{Act, Session, may};

/// Sent by an open page that refreshes itself: nobody's doing, so it does not keep a session alive.
const REFRESH: &str = "quell-refresh";

/// A signed-in person.
pub(super) struct SignedIn {
    pub(super) person: PersonEnrolled,
    pub(super) session: Session,
    pub(super) look: Look,
    /// An open page asks by itself, for its regions alone.
    pub(super) refreshes: bool,
}

impl SignedIn {
    /// Whoever is signed in, for pages that need nobody.
    pub(super) fn perhaps(state: &ConsoleState, headers: &HeaderMap) -> Option<Self> {
        let touch = !headers.contains_key(REFRESH);
        let secret = secret(state, &CookieJar::from_headers(headers))?;
        let session = state.people.session(&secret, touch)?;
        let person = state.people.signed_in(&session)?;
        Some(Self { person, session, look: Look::of(headers), refreshes: !touch })
    }

    pub(super) fn may(&self, act: Act) -> bool {
        may(&self.person.roles, act)
    }

    /// Refuses what the person's roles do not allow.
    pub(super) fn must(&self, act: Act) -> Result<(), Problem> {
        if self.may(act) { Ok(()) } else { Err(crate::people::Problem::Role.into()) }
    }
}

/// The cookie's name: a browser keeps a `__Host-` one to this host and to https.
pub(super) fn cookie_name(state: &ConsoleState) -> &'static str {
    if state.secure() { "__Host-s" } else { "s" }
}

/// The session's secret in a request.
pub(super) fn secret(state: &ConsoleState, jar: &CookieJar) -> Option<String> {
    jar.get(cookie_name(state)).map(|cookie| cookie.value().to_owned())
}

/// The cookie that carries a session; an empty one takes it away.
pub(super) fn cookie(state: &ConsoleState, secret: String) -> Cookie<'static> {
    let gone = secret.is_empty();
    let mut cookie = Cookie::build((cookie_name(state), secret))
        .http_only(true)
        .secure(state.secure())
        .same_site(SameSite::Strict)
        .path("/")
        .build();
    if gone {
        cookie.make_removal();
    }
    cookie
}

impl FromRequestParts<ConsoleState> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &ConsoleState,
    ) -> Result<Self, Self::Rejection> {
        let touch = !parts.headers.contains_key(REFRESH);
        Self::perhaps(state, &parts.headers).ok_or_else(|| unknown(parts, touch))
    }
}

/// A page leads to the sign-in; everything else is told.
fn unknown(parts: &Parts, touch: bool) -> Response {
    if parts.method == Method::GET && touch && parts.uri.path() != "/stream" {
        let to = utf8_percent_encode(parts.uri.path(), NON_ALPHANUMERIC);
        return Redirect::to(&format!("/sign-in?to={to}")).into_response();
    }
    Problem::new(StatusCode::UNAUTHORIZED, "Sign in first").into_response()
}
