//! Makes a passkey sign a statement: the one place that replaces the library's random challenge.
//!
//! The library has no call for it, so the challenge is replaced in what the browser is
//! sent and in the serialised state that the answer is checked against. The statement
//! holds a nonce, so the challenge is as fresh as a random one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use webauthn_rs::prelude::{PasskeyAuthentication, RequestChallengeResponse};

use super::Problem;

/// Where the library keeps the challenge in its serialised state.
const CHALLENGE: &str = "/ast/challenge";

/// Replaces the challenge of a begun authentication by a statement's digest.
pub(super) fn bind(
    options: &mut RequestChallengeResponse,
    state: &PasskeyAuthentication,
    ours: [u8; 32],
) -> Result<PasskeyAuthentication, Problem> {
    let shape = |why: &str| Problem::Shape(why.to_owned());
    let random = URL_SAFE_NO_PAD.encode(&options.public_key.challenge);
    let mut value = serde_json::to_value(state).map_err(|e| shape(&e.to_string()))?;
    match value.pointer_mut(CHALLENGE) {
        Some(slot) if slot.as_str() == Some(&random) => {
            *slot = Value::String(URL_SAFE_NO_PAD.encode(ours));
        }
        Some(_) => return Err(shape("the challenge is spelled differently")),
        None => return Err(shape("no challenge where it used to be")),
    }
    options.public_key.challenge = ours.to_vec();
    serde_json::from_value(value).map_err(|e| shape(&e.to_string()))
}
