//! The token endpoints of Entra and Okta. Tokens live for an hour of the lab's time.
//!
//! Assertions are taken at their word: who they name, for whom, until when. Their
//! signatures are the business of the connector's own tests.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

use super::reply::{Asked, Reply, error};
use super::world::{System, Token, World};
use crate::model::time::Span;

const LIFE: Span = Span::hours(1);

/// The registered clients: the ordinary one, and the one with the administrators' role.
pub(super) const APP: &str = "quell-app";
pub(super) const ADMIN_APP: &str = "quell-admin-app";

/// Grants a token for `system`.
pub(super) fn answer(world: &mut World, asked: &Asked, system: System) -> Reply {
    let form: BTreeMap<String, String> =
        url::form_urlencoded::parse(&asked.raw).into_owned().collect();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if field("grant_type") != "client_credentials" {
        return error(System::Login, 400, "unsupported_grant_type", "AADSTS70003: not supported.");
    }
    let privileged = match field("client_id") {
        APP => false,
        ADMIN_APP => true,
        _ => return error(System::Login, 400, "unauthorized_client", "AADSTS700016: unknown app."),
    };
    let secrets = world.credentials.clone();
    let secret = if privileged { &secrets.admin_app_secret } else { &secrets.app_secret };
    let proved = match field("client_assertion") {
        // Okta accepts assertions only.
        "" => system == System::Graph && field("client_secret") == secret,
        assertion => asserts(assertion, field("client_id"), asked.at.timestamp()),
    };
    if !proved {
        let why = "AADSTS7000215: Invalid client secret provided.";
        return error(System::Login, 401, "invalid_client", why);
    }
    let serial = world.next();
    let token = hex::encode(Sha256::digest(format!("{secret}:{serial}")));
    let until = asked.at + LIFE.delta();
    world.tokens.insert(token.clone(), Token { system, privileged, until });
    Reply::json(200, json!({"token_type": "Bearer", "expires_in": 3600, "access_token": token}))
}

fn asserts(assertion: &str, client: &str, now: i64) -> bool {
    let claims = assertion
        .split('.')
        .nth(1)
        .and_then(|part| URL_SAFE_NO_PAD.decode(part).ok())
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        .unwrap_or_default();
    claims["iss"] == client
        && claims["sub"] == client
        && claims["aud"].as_str().is_some_and(|aud| aud.contains("/token"))
        && claims["exp"].as_i64().is_some_and(|exp| exp > now && exp <= now + 3600)
}
