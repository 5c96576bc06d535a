//! The two requests of a decision: have a statement drawn up, hand in its signature.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use webauthn_rs::prelude::PublicKeyCredential;

use super::ConsoleState;
use super::problem::Problem;
use super::signed_in::SignedIn;
use crate::engine::shelf::About;
use crate::model::approval::Decision;
use crate::model::id::ApprovalId;
use crate::people::{self, Part, TOGETHER_MAX, Together, Wish};

#[derive(Deserialize)]
pub(super) struct Begin {
    decision: Decision,
    #[serde(default)]
    items: Vec<String>,
    #[serde(default)]
    justification: String,
    #[serde(default)]
    confirm: String,
}

pub(super) async fn begin(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Path(approval): Path<String>,
    Json(asked): Json<Begin>,
) -> Result<Response, Problem> {
    let Begin { decision, items, justification, confirm } = asked;
    let wish = Wish { approval: id(&approval)?, decision, items, justification, confirm };
    state.engine.fetch_about(About::Approval(wish.approval)).await?;
    let (statement, begun) = state.people.decide_begin(by.person.person, &wish)?;
    Ok(Json(json!({
        "ceremony": begun.ceremony,
        "statement": statement,
        "options": begun.options,
    }))
    .into_response())
}

#[derive(Deserialize)]
pub(super) struct Finish {
    ceremony: String,
    answer: PublicKeyCredential,
}

pub(super) async fn finish(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Path(approval): Path<String>,
    Json(given): Json<Finish>,
) -> Result<Response, Problem> {
    let approval = id(&approval)?;
    state.engine.fetch_about(About::Approval(approval)).await?;
    let person = by.person.person;
    let now = state.people.decide_finish(person, approval, &given.ceremony, &given.answer).await?;
    tracing::info!(approval.id = %approval, person.id = %person, "Decided `{approval}` as `{now:?}`");
    Ok(Json(json!({ "approval": approval, "state": now })).into_response())
}

/// An answer to several questions.
#[derive(Deserialize)]
pub(super) struct BeginTogether {
    decision: Decision,
    parts: Vec<Ticked>,
    #[serde(default)]
    justification: String,
}

#[derive(Deserialize)]
struct Ticked {
    approval: String,
    #[serde(default)]
    items: Vec<String>,
}

pub(super) async fn together_begin(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Json(asked): Json<BeginTogether>,
) -> Result<Response, Problem> {
    let BeginTogether { decision, parts, justification } = asked;
    if parts.len() > TOGETHER_MAX {
        return Err(people::Problem::TooMany(TOGETHER_MAX).into());
    }
    let part = |ticked: Ticked| Ok(Part { approval: id(&ticked.approval)?, items: ticked.items });
    let parts = parts.into_iter().map(part).collect::<Result<Vec<Part>, Problem>>()?;
    for part in &parts {
        state.engine.fetch_about(About::Approval(part.approval)).await?;
    }
    let wish = Together { parts, decision, justification };
    let (statements, begun) = state.people.together_begin(by.person.person, &wish)?;
    Ok(Json(json!({
        "ceremony": begun.ceremony,
        "statements": statements,
        "options": begun.options,
    }))
    .into_response())
}

pub(super) async fn together_finish(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Json(given): Json<Finish>,
) -> Result<Response, Problem> {
    let person = by.person.person;
    let done = state.people.together_finish(person, &given.ceremony, &given.answer).await?;
    tracing::info!(person.id = %person, "Decided {} questions together", done.len());
    let states = done.iter().map(|(id, state)| json!({ "approval": id, "state": state }));
    Ok(Json(json!({ "approvals": states.collect::<Vec<_>>() })).into_response())
}

fn id(text: &str) -> Result<ApprovalId, Problem> {
    text.parse().map_err(|_| Problem::missing("approval"))
}
