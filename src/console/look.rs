//! How a person wants the pages: light or dark, and whether single keys do anything. Kept in their browser.
//!
//! A plain form sets it and the server renders it, so that it needs no script and nothing flashes.

use axum::extract::{Form, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use serde::Deserialize;

use super::ConsoleState;
use super::signed_in::SignedIn;

const THEME: &str = "theme";
const KEYS: &str = "keys";

/// Light, dark, or as the system says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn named(text: &str) -> Self {
        [Self::Light, Self::Dark].into_iter().find(|t| t.name() == text).unwrap_or_default()
    }
}

/// Whether keys alone do anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Keys {
    #[default]
    On,
    Off,
}

/// What a browser keeps of its reader's wishes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Look {
    pub(super) theme: Theme,
    pub(super) keys: Keys,
}

impl Keys {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

impl Look {
    /// As the request's cookies say; whatever else they say is as if they said nothing.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let jar = CookieJar::from_headers(headers);
        let said = |name| jar.get(name).map(Cookie::value).unwrap_or_default();
        let keys = if said(KEYS) == "off" { Keys::Off } else { Keys::On };
        Self { theme: Theme::named(said(THEME)), keys }
    }
}

pub(super) async fn keep(
    State(state): State<ConsoleState>,
    _by: SignedIn,
    jar: CookieJar,
    Form(look): Form<Look>,
) -> Response {
    let cookie = |name, value| {
        Cookie::build((name, value))
            .http_only(true)
            .secure(state.secure())
            .same_site(SameSite::Strict)
            .path("/")
            .permanent()
    };
    let jar = jar.add(cookie(THEME, look.theme.name())).add(cookie(KEYS, look.keys.name()));
    (jar, Redirect::to("/me")).into_response()
}
