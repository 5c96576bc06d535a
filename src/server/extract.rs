//! Reading requests: each refusal is a problem that names what is wrong.

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::{Kind, Problem};
use super::state::Api;

/// Longest body of an API call.
const BODY_MAX: usize = 256 * 1024;

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Api) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let is_json = kind.is_some_and(|k| {
            let essence = k.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/json")
        });
        if !is_json {
            let detail = "send the body as `Content-Type: application/json`";
            return Err(Problem::new(Kind::WrongMediaType).detail(detail));
        }
        let text = read(request).await?;
        serde_json::from_slice(&text)
            .map(Self)
            .map_err(|error| Problem::new(Kind::InvalidBody).detail(error.to_string()))
    }
}

/// A text body, such as a playbook's YAML.
pub(super) struct Text(pub(super) String);

impl FromRequest<Api> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Api) -> Result<Self, Problem> {
        let bytes = read(request).await?;
        String::from_utf8(bytes.to_vec())
            .map(Self)
            .map_err(|_| Problem::new(Kind::InvalidBody).detail("the body is not valid UTF-8"))
    }
}

async fn read(request: Request) -> Result<axum::body::Bytes, Problem> {
    to_bytes(request.into_body(), BODY_MAX).await.map_err(|_| {
        let detail = format!("the body is longer than {BODY_MAX} bytes, or ended too early");
        Problem::new(Kind::BodyTooLarge).detail(detail)
    })
}

/// Query parameters.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let read = Query::<T>::from_request_parts(parts, api).await;
        read.map(|Query(asked)| Self(asked))
            .map_err(|error| Problem::new(Kind::InvalidQuery).detail(error.body_text()))
    }
}

/// An id in the path. One that cannot be an id is an id that is not there.
pub(super) struct Named<I>(pub(super) I);

impl<I: std::str::FromStr> FromRequestParts<Api> for Named<I> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, api).await;
        let Path(text) = text.map_err(|_| Problem::new(Kind::NotFound))?;
        text.parse().map(Self).map_err(|_| Problem::not_found("id", &text))
    }
}
