//! The public form: somebody got a prompt that they did not ask for. It needs no sign-in and no script.
//!
//! What a stranger types here is hearsay: kept, put beside the evidence and answered with a number. The answer
//! is the same for every name, so that it tells nobody who has an account.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::TimeDelta;
use serde::Deserialize;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::ConsoleState;
use super::frame::Frame;
use super::problem::{Oops, Problem, render};
use super::signed_in::SignedIn;
use crate::engine::ingest::{Door, Told};
use crate::model::alert::Proof;
use crate::model::id::ReceiptId;
use crate::model::subject::Alias;
use crate::model::text::tame;
use crate::model::time::Time;

/// Longest free text that is kept of a report.
pub(super) const TEXT_MAX: usize = 1_000;
/// Reports of people who are not signed in that are taken in a minute, all told.
const A_MINUTE: usize = 30;

/// When strangers reported lately. All share one budget: an address says little behind a proxy.
#[derive(Clone, Default)]
pub(crate) struct Strangers(Arc<Mutex<VecDeque<Time>>>);

impl Strangers {
    fn has_room(&self, now: Time) -> bool {
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while lately.front().is_some_and(|at| now - *at >= TimeDelta::minutes(1)) {
            lately.pop_front();
        }
        let room = lately.len() < A_MINUTE;
        if room {
            lately.push_back(now);
        }
        room
    }
}

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage {
    frame: Frame,
    /// The signed-in person's name, where it could be an account's.
    own: String,
    once: String,
}

#[derive(Template)]
#[template(path = "reported.html")]
pub(super) struct ReportedPage {
    pub(super) frame: Frame,
    pub(super) number: String,
    pub(super) said: String,
    /// For agents only: a stranger learns nothing of incidents.
    pub(super) incident: Option<String>,
}

/// Names one filling-in of a form, so that a form sent twice reports once.
pub(super) fn once(state: &ConsoleState) -> String {
    ReceiptId::mint(state.engine.now(), state.engine.ports().entropy.id()).to_string()
}

/// What a form named its filling-in, if that was written by Quell.
pub(super) fn named_once(state: &ConsoleState, given: &str) -> String {
    given.parse::<ReceiptId>().map_or_else(|_| once(state), |id| id.to_string())
}

/// A sign-in name as it is typed.
pub(super) fn sign_in_name(typed: &str) -> Result<String, Problem> {
    let who = typed.trim().to_lowercase();
    if Alias::is_sign_in_name(&who) {
        return Ok(who);
    }
    let why = "Write the name that you sign in with, such as jane@example.com";
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why))
}

pub(super) async fn page(State(state): State<ConsoleState>, headers: HeaderMap) -> Response {
    let by = SignedIn::perhaps(&state, &headers);
    let own = by.as_ref().map(|by| by.person.name.to_lowercase()).unwrap_or_default();
    let own = if Alias::is_sign_in_name(&own) { own } else { String::new() };
    let once = once(&state);
    render(&ReportPage { frame: frame(&state, by.as_ref()), own, once })
}

fn frame(state: &ConsoleState, by: Option<&SignedIn>) -> Frame {
    let title = "Report a prompt";
    by.map_or_else(
        || Frame { lab: state.lab, ..Frame::bare(title) },
        |by| Frame::new(state, by, title),
    )
}

#[derive(Deserialize)]
pub(super) struct Filled {
    #[serde(default)]
    who: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    once: String,
}

pub(super) async fn told(
    State(state): State<ConsoleState>,
    headers: HeaderMap,
    Form(form): Form<Filled>,
) -> Result<Response, Oops> {
    let by = SignedIn::perhaps(&state, &headers);
    let login = sign_in_name(&form.who)?;
    if by.is_none() && !state.strangers.has_room(state.engine.now()) {
        let why = "Too many reports come in now. Try again in a minute, or call the help desk";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, why).page());
    }
    // A passkey proves its own person only; whoever speaks for another relays.
    // An identity provider's word is none: it may be what is under attack.
    let own = by.as_ref().is_some_and(|by| {
        by.session.provided.is_none() && by.person.name.eq_ignore_ascii_case(&login)
    });
    let told = Told {
        login,
        proof: if own { Proof::SelfProved } else { Proof::Relayed },
        text: tame(form.text.trim(), TEXT_MAX),
        taken_by: None,
        once: named_once(&state, &form.once),
    };
    let answer = state.engine.told(Door::Form, told).await?;
    tracing::info!(receipt = %answer.receipt, "Took a report from the public form");
    Ok(render(&ReportedPage {
        frame: frame(&state, by.as_ref()),
        number: answer.references.join(", "),
        said: answer.reply.unwrap_or_default(),
        incident: None,
    }))
}
