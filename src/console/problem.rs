//! What went wrong: RFC 9457 for the script, a page for people.

use askama::Template;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use super::frame::Frame;
use crate::approval::who::Bar;
use crate::engine::people::Refusal;
use crate::engine::ports::StoreError;
use crate::people;
use crate::people::oidc::OidcError;

/// An answer that says why not.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    title: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, title: impl Into<String>) -> Self {
        Self { status, title: title.into() }
    }

    pub(super) fn missing(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("There is no such {what}"))
    }

    /// The same as a page, for requests that a form or a link made.
    pub(super) fn page(self) -> Oops {
        Oops(self)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body =
            json!({ "type": "about:blank", "title": self.title, "status": self.status.as_u16() });
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (self.status, kind, Json(body).into_response().into_body()).into_response()
    }
}

/// A [`Problem`] as a page.
#[derive(Debug)]
pub(super) struct Oops(Problem);

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    why: String,
}

impl IntoResponse for Oops {
    fn into_response(self) -> Response {
        let page = ProblemPage { frame: Frame::bare("Not done"), why: self.0.title };
        (self.0.status, render(&page)).into_response()
    }
}

impl<E: Into<Problem>> From<E> for Oops {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl From<people::Problem> for Problem {
    fn from(problem: people::Problem) -> Self {
        use people::Problem as P;
        let status = match &problem {
            P::Refused(refusal) => refused(refusal),
            P::Ticket | P::Missing(_) => StatusCode::NOT_FOUND,
            P::Bar(bar) => barred(bar),
            P::Passkey(_) | P::Copied | P::Role => StatusCode::FORBIDDEN,
            P::Ceremony | P::Changed | P::Taken => StatusCode::CONFLICT,
            P::NoItems | P::Justification(_) | P::Confirm(_) | P::TooMany(_) | P::Alone(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            P::Shape(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::error!("A passkey ceremony failed: {problem}");
        }
        Self::new(status, problem.to_string())
    }
}

impl From<OidcError> for Problem {
    fn from(error: OidcError) -> Self {
        let status = match &error {
            OidcError::Begun => StatusCode::CONFLICT,
            OidcError::Provider(_) => StatusCode::BAD_GATEWAY,
            _ => StatusCode::FORBIDDEN,
        };
        tracing::warn!("Nobody was signed in through the identity provider: {error}");
        Self::new(status, error.to_string())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(refused(&refusal), refusal.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::from(Refusal::Store(error))
    }
}

fn refused(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Missing(_) => StatusCode::NOT_FOUND,
        Refusal::Barred(_) => StatusCode::FORBIDDEN,
        Refusal::Bar(bar) => barred(bar),
        Refusal::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::CONFLICT,
    }
}

fn barred(bar: &Bar) -> StatusCode {
    match bar {
        Bar::Closed(_) | Bar::Voted => StatusCode::CONFLICT,
        _ => StatusCode::FORBIDDEN,
    }
}

/// A template as an answer.
pub(super) fn render<T: Template>(page: &T) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!("A page could not be rendered: {error}");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The page could not be rendered")
                .into_response()
        }
    }
}
