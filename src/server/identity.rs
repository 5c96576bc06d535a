//! Who is calling. A handler that takes [`Allowed`] runs only for a token with that scope.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use std::marker::PhantomData;

use super::problem::{Kind, Problem};
use super::state::Api;
use super::token::{self, Scope};
use crate::model::entry::TokenChanged;

/// Proof that the caller's token has the scope `S`. Only the check makes one.
pub(super) struct Allowed<S> {
    pub(super) token: TokenChanged,
    scope: PhantomData<S>,
}

impl<S> Allowed<S> {
    /// The caller's name in the journal.
    pub(super) fn by(&self) -> String {
        format!("token:{}", self.token.name)
    }
}

/// A scope as a type.
pub(super) trait Needs {
    const SCOPE: Scope;
}

macro_rules! scopes {
    ($($name:ident)*) => {$(
        #[doc = concat!("Stands for the scope `", stringify!($name), "`.")]
        pub(super) struct $name;
        impl Needs for $name {
            const SCOPE: Scope = Scope::$name;
        }
    )*};
}

scopes! { Ingest Read Contain Author Admin }

impl<S: Needs> FromRequestParts<Api> for Allowed<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let token = caller(parts, api)?;
        let needed = S::SCOPE;
        let has = |scope: Scope| token.scopes.iter().any(|s| s == scope.name());
        // An administrator's token reads, but starts and sends only what it is made for.
        if has(needed) || (needed == Scope::Read && has(Scope::Admin)) {
            return Ok(Self { token, scope: PhantomData });
        }
        let detail = format!("this needs a token with the scope `{}`", needed.name());
        Err(Problem::new(Kind::MissingScope).detail(detail))
    }
}

fn caller(parts: &Parts, api: &Api) -> Result<TokenChanged, Problem> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(unauthenticated());
    };
    let (scheme, text) =
        value.to_str().ok().and_then(|v| v.split_once(' ')).ok_or_else(unauthenticated)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(unauthenticated());
    }
    let now = api.engine().now();
    let found = api.engine().read(|core| token::find(&core.state, text.trim(), now));
    if let Ok(token) = &found {
        api.used().note(token.token, now);
    }
    found.map_err(|why| {
        tracing::info!("Refused a token: {why}");
        unauthenticated()
    })
}

fn unauthenticated() -> Problem {
    let detail = "send `Authorization: Bearer qll_…` with a token that is in force; `quell token create` makes one";
    Problem::new(Kind::Unauthenticated).detail(detail)
}
