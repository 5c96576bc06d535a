//! Asking the person concerned: a link that a colleague hands over, and the page behind it.
//!
//! Opening the page changes nothing, so a previewer may. It says nothing that a stranger could use: no name in
//! full, no place, no address.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::ConsoleState;
use super::acts::incident_id;
use super::frame::Frame;
use super::problem::{Oops, Problem, render};
use super::show::{At, Until};
use super::signed_in::SignedIn;
use crate::engine::driver::Engine;
use crate::model::asked::{Asked, Channel, Reply};
use crate::model::incident::Incident;
use crate::model::text::{tame, tame_field};
use crate::people::{Act, Ticket, ticket_hash};

/// Longest address that a link is handed to.
const TO_MAX: usize = 200;

/// One question on the incident's page.
pub(super) struct AskedRow {
    pub(super) at: At,
    pub(super) by: String,
    pub(super) over: String,
    pub(super) said: String,
}

pub(super) fn rows(incident: &Incident) -> Vec<AskedRow> {
    let row = |asked: &Asked| AskedRow {
        at: At(asked.at),
        by: tame_field(&asked.by),
        over: tame_field(format!("{} {}", asked.channel.words(), asked.to).trim()),
        said: match (asked.reply, asked.closed) {
            (Some(Reply::Yes), _) => "it was me",
            (Some(Reply::No), _) => "these prompts were not mine",
            (Some(Reply::Unsure), _) => "not sure",
            (None, true) => "no answer in time, which says nothing",
            (None, false) => "no answer yet",
        }
        .to_owned(),
    };
    incident.asked.iter().map(row).collect()
}

/// The channels that policy allows.
pub(super) fn channels(engine: &Engine) -> Vec<(&'static str, &'static str)> {
    engine.policy().ask_through.iter().map(|c| (c.name(), c.words())).collect()
}

#[derive(Template)]
#[template(path = "ask_link.html")]
struct LinkPage {
    frame: Frame,
    incident: String,
    link: String,
    over: String,
    until: At,
}

#[derive(Deserialize)]
pub(super) struct Ask {
    #[serde(default)]
    channel: String,
    #[serde(default)]
    to: String,
}

/// Makes a link. It is shown once; only its hash is kept.
pub(super) async fn ask(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Path(incident): Path<String>,
    Form(asked): Form<Ask>,
) -> Result<Response, Oops> {
    by.must(Act::AskPerson)?;
    let incident = incident_id(&incident)?;
    let known = Channel::ALL.into_iter().find(|channel| channel.name() == asked.channel);
    let Some(channel) = known else {
        let why = "Choose how the link reaches the person";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why).page());
    };
    let to = if channel.has_address() { tame(asked.to.trim(), TO_MAX) } else { String::new() };
    let ticket = Ticket::draw(&*state.engine.ports().entropy);
    let name = &by.person.name;
    let until = state.engine.ask_person(incident, ticket.hash(), name, (channel, &to)).await?;
    tracing::info!(incident.id = %incident, "Made a link to ask the person concerned");
    let base = state.public_url.as_str().trim_end_matches('/');
    Ok(render(&LinkPage {
        frame: Frame::new(&state, &by, "Ask the person concerned"),
        incident: incident.to_string(),
        link: format!("{base}/asked/{}", ticket.reveal()),
        over: tame_field(format!("{} {to}", channel.words()).trim()),
        until: At(until),
    }))
}

#[derive(Template)]
#[template(path = "asked.html")]
struct AskedPage {
    frame: Frame,
    whom: String,
    prompts: u32,
    from: At,
    last: At,
    until: Until,
}

/// Enough to know oneself by, and too little for anybody else.
fn masked(name: &str) -> String {
    let first: String = name.chars().take(1).collect();
    match name.split_once('@') {
        Some((_, host)) => tame_field(&format!("{first}…@{host}")),
        None => tame_field(&format!("{first}…")),
    }
}

pub(super) async fn page(
    State(state): State<ConsoleState>,
    Path(secret): Path<String>,
) -> Result<Response, Oops> {
    let question = state.engine.asked(&ticket_hash(&secret)).await?;
    let counts = &question.incident.counts;
    Ok(render(&AskedPage {
        frame: Frame { lab: state.lab, ..Frame::bare("Were these prompts yours?") },
        whom: masked(&question.name),
        prompts: counts.denied + counts.timed_out + counts.wrong_answer + counts.approved,
        from: At(question.incident.first_event_at),
        last: At(question.incident.last_evidence_at),
        until: Until(question.expires_at),
    }))
}

#[derive(Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    answer: String,
}

#[derive(Template)]
#[template(path = "answered.html")]
struct AnsweredPage {
    frame: Frame,
    said: &'static str,
}

pub(super) async fn answer(
    State(state): State<ConsoleState>,
    Path(secret): Path<String>,
    Form(given): Form<Answer>,
) -> Result<Response, Oops> {
    let (reply, said) = match given.answer.as_str() {
        "no" => (
            Reply::No,
            "Thank you. Approve nothing. The people on call are told, and your sessions may end: sign in again when the help desk says so.",
        ),
        "yes" => (
            Reply::Yes,
            "Thank you. Nothing is closed by this: we keep an eye on your account. If you have any doubt, call the help desk.",
        ),
        "unsure" => (
            Reply::Unsure,
            "Thank you. Approve nothing that you did not ask for, and call the help desk on a number that you already know.",
        ),
        _ => return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Choose an answer").page()),
    };
    state.engine.answer_asked(&ticket_hash(&secret), reply).await?;
    tracing::info!("The person concerned answered");
    let frame = Frame { lab: state.lab, ..Frame::bare("Thank you") };
    Ok(render(&AnsweredPage { frame, said }))
}
