//! The two requests of an act by passkey: have it drawn up, hand in its signature. Then it is done.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::PoisonError;
use webauthn_rs::prelude::PublicKeyCredential;

use super::ConsoleState;
use super::problem::Problem;
use super::signed_in::SignedIn;
pub(super) use crate::approval::roles::ROLES;
use crate::engine::guardrails::{Guardrails, Signing};
use crate::engine::shelf::About;
use crate::model::deed::{By, Deed, SignedDeed};
use crate::model::id::{IncidentId, PlanDigest, PlaybookName};
use crate::model::text::tame;

/// Longest name.
const NAME_MAX: usize = 80;
/// By how many blocks an hour a ceiling is raised at most, and for how long.
const RAISE_MAX: u32 = 200;
const RAISE_LONGEST: TimeDelta = TimeDelta::hours(24);
/// Longest note or reason.
pub(super) const TEXT_MAX: usize = 2_000;

pub(super) async fn begin(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Json(deed): Json<Deed>,
) -> Result<Response, Problem> {
    if let Deed::Close { incident, .. } = &deed {
        state.engine.fetch_about(About::Incident(*incident)).await?;
    }
    let (statement, begun) = state.people.deed_begin(by.person.person, fit(&state, deed)?)?;
    Ok(Json(json!({
        "ceremony": begun.ceremony,
        "statement": statement,
        "options": begun.options,
    }))
    .into_response())
}

/// What is signed is what will be kept: texts are tamed before, not after.
fn fit(state: &ConsoleState, deed: Deed) -> Result<Deed, Problem> {
    let written = |text: &str, most: usize, otherwise: &str| {
        let text = tame(text.trim(), most);
        let unfit = || Problem::new(StatusCode::UNPROCESSABLE_ENTITY, otherwise);
        if text.is_empty() { Err(unfit()) } else { Ok(text) }
    };
    let some = "Write a few words first";
    Ok(match deed {
        Deed::Invite { name, role } => {
            let role = ROLES.into_iter().find(|known| *known == role).unwrap_or_default();
            Deed::Invite {
                name: written(&name, NAME_MAX, "Write a name first")?,
                role: written(role, NAME_MAX, "There is no such role")?,
            }
        }
        Deed::Release { reason } => Deed::Release { reason: written(&reason, TEXT_MAX, some)? },
        Deed::Close { incident, note } => {
            Deed::Close { incident, note: written(&note, TEXT_MAX, some)? }
        }
        Deed::Adopt { digest } => {
            let wished = state.engine.read(|core| core.wished.as_ref().map(Guardrails::digest));
            if wished.as_ref() != Some(&digest) {
                let why = "The settings have changed since the page was made: read it again";
                return Err(Problem::new(StatusCode::CONFLICT, why));
            }
            Deed::Adopt { digest }
        }
        Deed::Raise { campaign, blocks, until } => {
            let now = state.engine.now();
            let known = state.engine.read(|core| {
                let mut incidents = core.state.incidents.values();
                incidents.any(|i| i.campaign.as_ref().is_some_and(|c| c.id == campaign))
            });
            if !known {
                return Err(Problem::missing("campaign"));
            }
            if !(1..=RAISE_MAX).contains(&blocks) || until <= now || until > now + RAISE_LONGEST {
                let why = format!(
                    "A ceiling is raised by 1 to {RAISE_MAX} blocks an hour, for a day at most"
                );
                return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why));
            }
            Deed::Raise { campaign, blocks, until }
        }
        other @ (Deed::Publish { .. }
        | Deed::Resume { .. }
        | Deed::Delegate { .. }
        | Deed::Recall { .. }) => other,
    })
}

/// How far people are with what takes several.
fn signing(signing: &Signing) -> Value {
    json!({ "signed": signing.by.len(), "needed": signing.needed, "done": signing.done })
}

#[derive(Deserialize)]
pub(super) struct Finish {
    ceremony: String,
    answer: PublicKeyCredential,
}

pub(super) async fn finish(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Json(given): Json<Finish>,
) -> Result<Response, Problem> {
    let deed = state.people.deed_finish(by.person.person, &given.ceremony, &given.answer)?;
    tracing::info!(person.id = %by.person.person, "Did by passkey: {:?}", deed.statement.deed);
    Ok(Json(done(&state, deed).await?).into_response())
}

async fn done(state: &ConsoleState, signed: SignedDeed) -> Result<Value, Problem> {
    let engine = &state.engine;
    Ok(match signed.statement.deed.clone() {
        Deed::Invite { name, role } => {
            let ticket = state.people.invite_signed(&name, &role, signed).await?;
            let base = state.public_url.as_str().trim_end_matches('/');
            json!({ "name": name, "link": format!("{base}/enrol/{}", ticket.reveal()) })
        }
        Deed::Publish { playbook, digest } => publish(state, playbook, digest, signed).await?,
        Deed::Resume { run } => {
            engine.fetch_about(About::Run(run)).await?;
            json!({ "run": run, "resumed_steps": engine.resume(run, signed).await? })
        }
        Deed::Release { .. } => signing(&engine.release(signed).await?),
        Deed::Close { incident, note } => close(state, incident, signed, &note).await?,
        Deed::Adopt { .. } => signing(&engine.adopt(signed).await?),
        Deed::Raise { .. } => signing(&engine.raise_ceiling(signed).await?),
        Deed::Delegate { .. } => json!({ "delegation": engine.delegate(signed).await? }),
        Deed::Recall { delegation } => {
            engine.recall(signed).await?;
            json!({ "ended": delegation })
        }
    })
}

async fn close(
    state: &ConsoleState,
    incident: IncidentId,
    signed: SignedDeed,
    note: &str,
) -> Result<Value, Problem> {
    state.engine.close(incident, signed, note).await?;
    Ok(json!({ "incident": incident, "status": "closed" }))
}

/// Another text under the same name is not published by the digest that was signed.
async fn publish(
    state: &ConsoleState,
    name: PlaybookName,
    digest: PlanDigest,
    signed: SignedDeed,
) -> Result<Value, Problem> {
    let candidate = {
        let candidates = state.candidates.lock().unwrap_or_else(PoisonError::into_inner);
        candidates.get(&name).cloned().ok_or_else(|| Problem::missing("waiting playbook"))?
    };
    if candidate.checked.digest != digest {
        let why = "The playbook has changed since the page was made: read it again";
        return Err(Problem::new(StatusCode::CONFLICT, why));
    }
    let text = candidate.checked.whole_text();
    let by = By::from(signed);
    state.engine.publish(candidate.checked.plan, digest.clone(), text, by, candidate.diff).await?;
    state.candidates.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
    Ok(json!({ "playbook": name, "digest": digest }))
}
