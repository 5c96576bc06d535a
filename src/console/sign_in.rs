//! Signing in and out.

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use serde::Deserialize;
use serde_json::json;
use webauthn_rs::prelude::PublicKeyCredential;

use super::ConsoleState;
use super::frame::Frame;
use super::problem::{Problem, render};
use super::signed_in::{SignedIn, cookie};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    to: String,
    /// The organisation's identity provider may be used as well.
    provider: bool,
}

#[derive(Deserialize)]
pub(super) struct To {
    #[serde(default)]
    to: String,
}

pub(super) async fn page(State(state): State<ConsoleState>, Query(to): Query<To>) -> Response {
    let frame = Frame { lab: state.lab, ..Frame::bare("Sign in") };
    render(&SignInPage { frame, to: inside(&to.to), provider: state.oidc.is_some() })
}

/// Only paths of this site: a link must not lead on to somebody else's page.
fn inside(to: &str) -> String {
    let fits = to.starts_with('/')
        && !to.starts_with("//")
        && to.chars().all(|c| c.is_ascii_alphanumeric() || "/-_".contains(c));
    if fits { to.to_owned() } else { "/".to_owned() }
}

#[derive(Deserialize)]
pub(super) struct Name {
    #[serde(default)]
    name: String,
}

pub(super) async fn begin(
    State(state): State<ConsoleState>,
    Json(asked): Json<Name>,
) -> Result<Response, Problem> {
    Ok(Json(state.people.sign_in_begin(Some(&asked.name))?).into_response())
}

#[derive(Deserialize)]
pub(super) struct Answer {
    ceremony: String,
    answer: PublicKeyCredential,
}

pub(super) async fn finish(
    State(state): State<ConsoleState>,
    headers: HeaderMap,
    jar: CookieJar,
    Json(given): Json<Answer>,
) -> Result<Response, Problem> {
    let agent = headers.get(header::USER_AGENT).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let (person, secret) = state.people.sign_in_finish(&given.ceremony, &given.answer, agent)?;
    tracing::info!(person.id = %person, "Signed in `{person}`");
    let jar = jar.add(cookie(&state, secret));
    Ok((jar, Json(json!({ "signed_in": true }))).into_response())
}

pub(super) async fn out(
    State(state): State<ConsoleState>,
    by: SignedIn,
    jar: CookieJar,
) -> Response {
    state.people.end_session(by.person.person, &by.session.id);
    (jar.add(cookie(&state, String::new())), Redirect::to("/sign-in")).into_response()
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn a_sign_in_leads_only_into_this_site() {
        assert_eq!(inside("/approvals/0192"), "/approvals/0192");
        for foreign in ["//evil.example", "https://evil.example", "/\\evil", "javascript:x", ""] {
            assert_eq!(inside(foreign), "/", "{foreign}");
        }
    }
}
