//! The one way in which the server says no: RFC 9457 problems with stable types.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use super::admission::Full;
use crate::engine::people::Refusal;
use crate::engine::ports::StoreError;
use crate::intake;

/// Where a problem's type is explained.
const BASE: &str = "https://quell.dev/problems/";

/// How long to stay away when the store takes nothing.
const BUSY_SECONDS: u64 = 5;
/// How long to stay away when a source's own share is used up.
const FULL_SECONDS: u64 = 2;

macro_rules! kinds {
    ($($name:ident $slug:literal $status:literal $title:literal)*) => {
        /// What can go wrong, apart from what is wrong with a delivery.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind { $($name),* }

        impl Kind {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name),*];

            fn parts(self) -> (&'static str, u16, &'static str) {
                match self { $(Self::$name => ($slug, $status, $title)),* }
            }
        }
    };
}

kinds! {
    BadRequest "bad-request" 400 "The request cannot be understood"
    Unauthenticated "unauthenticated" 401 "A valid token is needed"
    MissingScope "missing-scope" 403 "The token may not do this"
    NeedsPerson "needs-person" 403 "Only a person may do this, with a passkey"
    NotFound "not-found" 404 "There is no such thing"
    MethodNotAllowed "method-not-allowed" 405 "The method does not fit this address"
    Timeout "timeout" 408 "The request took too long to arrive"
    Conflict "conflict" 409 "It cannot be done any more"
    BodyTooLarge "body-too-large" 413 "The body is too long"
    WrongMediaType "wrong-media-type" 415 "The body's type is not supported"
    InvalidBody "invalid-body" 422 "The body is not what this address takes"
    InvalidQuery "invalid-query" 422 "A query parameter cannot be used"
    PlaybookProblems "playbook-problems" 422 "The playbook has problems"
    SettingsProblems "settings-problems" 422 "The settings cannot be taken"
    LabOnly "lab-only" 422 "Only a lab deployment does this"
    TooManyRequests "too-many-requests" 429 "Too many deliveries: slow down"
    Internal "internal" 500 "Something went wrong here"
    Busy "busy" 503 "Nothing can be taken in now: come back later"
    Unavailable "unavailable" 503 "The journal failed: an operator must act"
}

/// Every problem type, with its status: the server's own and those of deliveries.
#[cfg(test)]
pub(crate) fn slugs() -> Vec<(&'static str, u16)> {
    let own = Kind::ALL.iter().map(|kind| (kind.parts().0, kind.parts().1));
    own.chain(DELIVERY.iter().copied()).collect()
}

/// The types of `intake::Problem`; held against it by a test.
#[cfg(test)]
const DELIVERY: &[(&str, u16)] = &[
    ("wrong-signature", 401),
    ("stale-timestamp", 401),
    ("too-many-records", 413),
    ("wrong-encoding", 415),
    ("not-utf8", 400),
    ("bad-gzip", 400),
    ("not-json", 400),
    ("not-csv", 400),
    ("too-deep", 422),
    ("unknown-shape", 422),
    ("missing-field", 422),
    ("bad-field", 422),
    ("future-time", 422),
    ("no-mapping", 422),
    ("set-invalid-request", 400),
    ("set-invalid-key", 400),
    ("set-invalid-issuer", 400),
    ("set-invalid-audience", 400),
    ("set-authentication-failed", 400),
];

/// A problem, as it is sent.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct Problem {
    /// Stable: what programs tell problems apart by.
    #[serde(rename = "type", serialize_with = "uri")]
    #[schema(value_type = String)]
    slug: &'static str,
    title: &'static str,
    status: u16,
    /// What happened to this request, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Names this request; the log has it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// Each single problem, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    errors: Option<Box<Value>>,
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    pub(crate) fn new(kind: Kind) -> Self {
        let (slug, status, title) = kind.parts();
        Self::typed(slug, status, title)
    }

    fn typed(slug: &'static str, status: u16, title: &'static str) -> Self {
        Self { slug, title, status, detail: None, instance: None, errors: None, retry_after: None }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn errors(mut self, errors: Value) -> Self {
        self.errors = Some(Box::new(errors));
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    pub(crate) fn instance(mut self, instance: String) -> Self {
        self.instance = Some(instance);
        self
    }

    pub(crate) fn not_found(what: &str, name: &str) -> Self {
        let name = crate::model::text::tame(name, 80);
        Self::new(Kind::NotFound).detail(format!("there is no {what} `{name}`"))
    }

    /// What happened, in words.
    pub(crate) fn said(&self) -> &str {
        self.detail.as_deref().unwrap_or(self.title)
    }

    /// The last part of the type: a metric label.
    pub(crate) fn slug(&self) -> &'static str {
        self.slug
    }

    /// Whether it is about what a delivery says or how it is proved, and not about when or how it was sent.
    pub(super) fn is_the_deliverys(&self) -> bool {
        matches!(self.status, 400 | 401 | 415 | 422)
    }

    /// Its HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What an answer that some layer gave without a problem means.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        Self::new(match status.as_u16() {
            404 => Kind::NotFound,
            405 => Kind::MethodNotAllowed,
            408 => Kind::Timeout,
            413 => Kind::BodyTooLarge,
            415 => Kind::WrongMediaType,
            422 => Kind::InvalidBody,
            500.. => Kind::Internal,
            _ => Kind::BadRequest,
        })
    }
}

fn uri<S: serde::Serializer>(slug: &&'static str, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{BASE}{slug}"))
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // The outermost layer finds it here and names the request in it.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<intake::Problem> for Problem {
    fn from(problem: intake::Problem) -> Self {
        let problem = problem.public();
        let title = match problem.status() {
            401 => "The delivery is not proved to be its source's",
            413 => "The delivery is too large",
            415 => "The delivery's encoding is not supported",
            _ => "The delivery cannot be read",
        };
        Self::typed(problem.slug(), problem.status(), title).detail(problem.to_string())
    }
}

impl From<Full> for Problem {
    fn from(full: Full) -> Self {
        let detail = match full {
            Full::Bytes => "as many bytes of deliveries are held as may be; this one was not read",
            Full::Queue => "as many deliveries of this source wait as may; this one was not taken",
        };
        Self::new(Kind::Busy).detail(detail).retry_after(FULL_SECONDS)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Busy(why) => {
                tracing::warn!("Turned a request away: the store is busy: {why}");
                let detail = "the store takes nothing in now; what was acknowledged is safe";
                Self::new(Kind::Busy).detail(detail).retry_after(BUSY_SECONDS)
            }
            StoreError::Failed(_) => {
                tracing::error!("Could not commit: {error}");
                Self::new(Kind::Unavailable)
                    .detail("the journal failed; see the log of Quell")
                    .retry_after(60)
            }
            StoreError::OutOfOrder { .. } | StoreError::Read(_) => {
                tracing::error!("Could not use the store: {error}");
                Self::new(Kind::Internal)
                    .detail("the store could not be read; see the log of Quell")
            }
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Store(error) => error.into(),
            Refusal::Missing(_) => Self::new(Kind::NotFound).detail(refusal.to_string()),
            Refusal::Barred(_) | Refusal::Bar(_) => {
                Self::new(Kind::NeedsPerson).detail(refusal.to_string())
            }
            Refusal::Already(_)
            | Refusal::Changed
            | Refusal::NothingInCommon
            | Refusal::SameGroup
            | Refusal::Unfit(_)
            | Refusal::Nothing(_) => Self::new(Kind::Conflict).detail(refusal.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::Problem as P;

    #[test]
    fn every_problem_of_a_delivery_is_listed() {
        let known = slugs();
        let text = String::new;
        for problem in [
            P::UnknownSource,
            P::WrongSignature,
            P::MissingSignature(text()),
            P::StaleTimestamp(1),
            P::BodyTooLarge { cap: 1 },
            P::WrongEncoding(text()),
            P::NotUtf8,
            P::BadGzip,
            P::NotJson(text()),
            P::NotCsv(text()),
            P::TooDeep(1),
            P::TooManyRecords(1),
            P::UnknownShape(text()),
            P::MissingField(""),
            P::BadField { field: text(), why: text() },
            P::FutureTime,
            P::UnknownKey { error: intake::SetError::InvalidKey, why: "" },
        ] {
            let told = Problem::from(problem);
            assert!(known.contains(&(told.slug(), told.status)), "{}", told.slug());
        }
    }
}
