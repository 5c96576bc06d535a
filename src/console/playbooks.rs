//! Playbooks: what runs and how that went, what waits to be published, and publishing it. A person's act, on the record.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::ConsoleState;
use super::frame::Frame;
use super::graph::{Drawing, Look, draw};
use super::problem::{Oops, render};
use super::show::{At, Mark, lasted};
use super::signed_in::SignedIn;
use crate::engine::state::State as Facts;
use crate::model::id::PlaybookName;
use crate::model::plan::Plan;
use crate::model::run::{Run, RunStatus};
use crate::model::text::{tame, tame_field};
use crate::people::Act;
use crate::server::Candidate;

/// Longest diff that is shown.
const DIFF_MAX: usize = 20_000;
/// The newest runs from which the page tells how each playbook did.
const RUNS: usize = 200;

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
    last: Option<LastRun>,
    /// How many of the newest runs stand or ended so.
    counts: Vec<(Mark, usize)>,
    median: Option<String>,
    drawing: Option<Drawing>,
}

struct LastRun {
    id: String,
    status: Mark,
    at: At,
}

/// Runs of each playbook among the newest, newest first.
type Runs<'r> = BTreeMap<&'r PlaybookName, Vec<&'r Run>>;

pub(super) async fn page(
    State(state): State<ConsoleState>,
    by: SignedIn,
) -> Result<Response, Oops> {
    // No region shows them: nobody is fetched again whenever something moves.
    let most = if by.refreshes { 0 } else { RUNS };
    let newest = state.engine.list::<Run>(None, most, |_| true).await?.ids;
    let waiting = {
        let candidates = state.candidates.lock().unwrap_or_else(PoisonError::into_inner);
        candidates.iter().map(|(name, c)| waiting(name, c)).collect()
    };
    let running = state.engine.read(|core| {
        let mut runs = Runs::new();
        for run in newest.iter().filter_map(|id| core.state.runs.get(id)) {
            runs.entry(&run.playbook).or_default().push(run);
        }
        let published = core.state.published.keys();
        published.filter_map(|name| running(&core.state, name, &runs)).collect()
    });
    let may_publish = by.may(Act::Publish);
    Ok(render(&PlaybooksPage {
        frame: Frame::new(&state, &by, "Playbooks"),
        waiting,
        running,
        may_publish,
    }))
}

fn running(state: &Facts, name: &PlaybookName, runs: &Runs<'_>) -> Option<Running> {
    let digest = state.published.get(name)?;
    let kept = state.plans.get(digest)?;
    let runs = runs.get(name).map(Vec::as_slice).unwrap_or_default();
    Some(Running {
        name: tame_field(name.as_str()),
        title: tame_field(&kept.plan.title),
        digest: short(digest.as_str()),
        by: tame_field(&kept.by),
        at: At(kept.at),
        steps: kept.plan.steps.len(),
        last: runs.first().map(|run| LastRun {
            id: run.id.to_string(),
            status: run.status.into(),
            at: At(run.started_at),
        }),
        counts: counts(runs),
        median: median(runs).map(lasted),
        drawing: drawing(&kept.plan),
    })
}

fn drawing(plan: &Plan) -> Option<Drawing> {
    draw(plan, &|_| Look { mark: None, count: String::new(), href: String::new() })
}

fn counts(runs: &[&Run]) -> Vec<(Mark, usize)> {
    let mut counts: BTreeMap<RunStatus, usize> = BTreeMap::new();
    for run in runs {
        *counts.entry(run.status).or_default() += 1;
    }
    counts.into_iter().map(|(status, count)| (status.into(), count)).collect()
}

/// Of those that succeeded, from their beginning to their end; people's time to think is in it.
fn median(runs: &[&Run]) -> Option<TimeDelta> {
    let succeeded = runs.iter().filter(|run| run.status == RunStatus::Succeeded);
    let mut took: Vec<TimeDelta> =
        succeeded.filter_map(|run| Some(run.ended_at? - run.started_at)).collect();
    took.sort_unstable();
    took.get(took.len().saturating_sub(1) / 2).copied()
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
