//! The same acts for the API's paths. A person's session is asked for here too: no token reaches them.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Text, ask_restore, shut};
use crate::console::ConsoleState;
use crate::console::problem::Problem;
use crate::console::signed_in::SignedIn;

pub(in crate::console) async fn restore(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Path(incident): Path<String>,
) -> Result<Response, Problem> {
    let (incident, run) = ask_restore(&state, &by, &incident).await?;
    Ok(Json(json!({ "incident": incident, "run": run })).into_response())
}

pub(in crate::console) async fn close(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Path(incident): Path<String>,
    Json(text): Json<Text>,
) -> Result<Response, Problem> {
    let incident = shut(&state, &by, &incident, &text).await?;
    Ok(Json(json!({ "incident": incident, "status": "closed" })).into_response())
}
