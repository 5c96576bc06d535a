//! Playbooks: what runs, what waits to be published, and publishing it. A person's act, on the record.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use std::sync::PoisonError;

use super::ConsoleState;
use super::frame::Frame;
use super::problem::render;
use super::show::At;
use super::signed_in::SignedIn;
use crate::model::id::PlaybookName;
use crate::model::text::{tame, tame_field};
use crate::people::Act;
use crate::server::Candidate;

/// Longest diff that is shown.
const DIFF_MAX: usize = 20_000;

#[derive(Template)]
#[template(path = "playbooks.html")]
struct PlaybooksPage {
    frame: Frame,
    waiting: Vec<Waiting>,
    running: Vec<Running>,
    may_publish: bool,
}

struct Waiting {
    name: String,
    digest: String,
    by: String,
    at: At,
    lines: Vec<DiffLine>,
}

/// One line of a diff, with the class that colours it.
pub(super) struct DiffLine {
    pub(super) class: &'static str,
    pub(super) text: String,
}

struct Running {
    name: String,
    title: String,
    digest: String,
    by: String,
    at: At,
    steps: usize,
}

pub(super) async fn page(State(state): State<ConsoleState>, by: SignedIn) -> Response {
    let waiting = {
        let candidates = state.candidates.lock().unwrap_or_else(PoisonError::into_inner);
        candidates.iter().map(|(name, c)| waiting(name, c)).collect()
    };
    let running = state.engine.read(|core| {
        let published = core.state.published.iter();
        published
            .filter_map(|(name, digest)| {
                let kept = core.state.plans.get(digest)?;
                Some(Running {
                    name: tame_field(name.as_str()),
                    title: tame_field(&kept.plan.title),
                    digest: short(digest.as_str()),
                    by: tame_field(&kept.by),
                    at: At(kept.at),
                    steps: kept.plan.steps.len(),
                })
            })
            .collect()
    });
    let may_publish = by.may(Act::Publish);
    render(&PlaybooksPage {
        frame: Frame::new(&state, &by, "Playbooks"),
        waiting,
        running,
        may_publish,
    })
}

fn waiting(name: &PlaybookName, candidate: &Candidate) -> Waiting {
    let lines = if candidate.diff.is_empty() {
        let text = cut(&candidate.checked.whole_text());
        text.lines().map(|l| DiffLine { class: "added", text: tame(l, 400) }).collect()
    } else {
        diff_lines(&candidate.diff)
    };
    Waiting {
        name: tame_field(name.as_str()),
        digest: candidate.checked.digest.to_string(),
        by: tame_field(&candidate.by),
        at: At(candidate.at),
        lines,
    }
}

/// A diff's lines, with what colours them.
pub(super) fn diff_lines(diff: &str) -> Vec<DiffLine> {
    let class = |line: &str| match line.chars().next() {
        Some('+') => "added",
        Some('-') => "removed",
        _ => "same",
    };
    let line = |l: &str| DiffLine { class: class(l), text: tame(l, 400) };
    cut(diff).lines().map(line).collect()
}

fn cut(text: &str) -> String {
    text.chars().take(DIFF_MAX).collect()
}

fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}
