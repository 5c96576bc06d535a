//! A refused delivery judged once more. It passes the same door as ever: whoever asks proves nothing by asking.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};

use super::ConsoleState;
use super::problem::{Oops, Problem};
use super::show::At;
use super::signed_in::SignedIn;
use crate::delivery::Kept;
use crate::model::text::tame_field;
use crate::people::Act;

/// One that is kept, as the page of sources shows it.
pub(super) struct KeptRow {
    pub(super) id: String,
    pub(super) at: At,
    pub(super) problem: String,
    pub(super) detail: String,
    pub(super) proved: bool,
}

impl From<&Kept> for KeptRow {
    fn from(kept: &Kept) -> Self {
        Self {
            id: kept.id.to_string(),
            at: At(kept.at),
            problem: tame_field(&kept.problem),
            detail: tame_field(&kept.detail),
            proved: kept.was_proved(),
        }
    }
}

pub(super) async fn judge(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    by.must(Act::Tend)?;
    let id = id.parse().map_err(|_| Problem::missing("refused delivery"))?;
    let judged = state.again.judge(id, &by.person.name).await;
    judged.map_err(|problem| {
        let said = if problem.said().is_empty() { problem.slug() } else { problem.said() };
        Problem::new(problem.status(), format!("It is refused again: {said}"))
    })?;
    Ok(Redirect::to("/sources").into_response())
}
