//! The help desk's form: somebody calls about prompts, and an agent writes it down under their own name.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::ConsoleState;
use super::frame::Frame;
use super::problem::{Oops, Problem, render};
use super::report::{ReportedPage, TEXT_MAX, named_once, once, sign_in_name};
use super::signed_in::SignedIn;
use crate::engine::ingest::{Door, Told};
use crate::model::alert::Proof;
use crate::model::text::tame;
use crate::people::Act;

/// What the page is called; the frame marks its place by it.
const TITLE: &str = "Help desk";
/// Longest name of a caller.
const NAME_MAX: usize = 120;

#[derive(Template)]
#[template(path = "desk.html")]
struct DeskPage {
    frame: Frame,
    once: String,
    may: bool,
}

pub(super) async fn page(State(state): State<ConsoleState>, by: SignedIn) -> Response {
    let frame = Frame::new(&state, &by, TITLE);
    render(&DeskPage { frame, once: once(&state), may: by.may(Act::TakeCall) })
}

#[derive(Deserialize)]
pub(super) struct Call {
    #[serde(default)]
    caller: String,
    #[serde(default)]
    who: String,
    /// A ticked box sends its value; one that is not ticked sends nothing.
    #[serde(default)]
    called_back: Option<String>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    once: String,
}

pub(super) async fn told(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Form(call): Form<Call>,
) -> Result<Response, Oops> {
    by.must(Act::TakeCall)?;
    let login = sign_in_name(&call.who)?;
    let caller = tame(call.caller.trim(), NAME_MAX);
    if caller.is_empty() {
        let why = "Write down who called";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why).page());
    }
    let proved = call.called_back.is_some();
    let how = if proved { "called back on a known number" } else { "not called back" };
    let text = tame(call.text.trim(), TEXT_MAX);
    let told = Told {
        login,
        proof: if proved { Proof::AuthenticatedOther } else { Proof::Relayed },
        text: format!("call from {caller}, {how}: {text}"),
        taken_by: Some(by.person.name.clone()),
        once: named_once(&state, &call.once),
    };
    let answer = state.engine.told(Door::HelpDesk, told).await?;
    tracing::info!(person.id = %by.person.person, "Took a call down for `{}`", by.person.name);
    Ok(render(&ReportedPage {
        frame: Frame::new(&state, &by, TITLE),
        number: answer.references.join(", "),
        said: answer.reply.unwrap_or_default(),
        incident: answer.incidents.first().map(|touched| touched.incident.to_string()),
    }))
}
