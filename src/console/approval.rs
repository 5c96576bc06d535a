//! The page on which a question is decided: what exactly, about whom, why, and what silence means.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

use super::ConsoleState;
use super::frame::Frame;
use super::incident::{Accounts, ContainmentRow, accounts, containment, facts};
use super::lists::{QuestionRow, question_row};
use super::problem::{Oops, Problem, render};
use super::show::{At, Coded, Mark, SIGNATURE_BROKEN, SIGNATURE_HOLDS};
use super::signed_in::SignedIn;
use super::timeline::{Kind, Line, folded, lines, told_said};
use super::words;
use crate::engine::approvers::Approvers;
use crate::engine::clean::{Check, checks};
use crate::engine::shelf::About as Named;
use crate::engine::state::State as Facts;
use crate::model::approval::{Approval, Asks, Decision, Item};
use crate::model::entry::{Commit, Entry};
use crate::model::id::ApprovalId;
use crate::model::incident::Incident;
use crate::model::notice::About;
use crate::model::subject::Subject;
use crate::model::text::tame_field;
use crate::model::time::Time;
use crate::people::offline::verify_signed;
use crate::people::tick;

/// Evidence shown beside a question; the incident's page has all of it.
const EVIDENCE: usize = 25;
/// Commits looked through for it.
const COMMITS: usize = 1_000;

#[derive(Template)]
#[template(path = "approval.html")]
struct ApprovalPage {
    frame: Frame,
    row: QuestionRow,
    incident: String,
    stage: Mark,
    severity: Mark,
    privileged: bool,
    reason: String,
    items: Vec<ItemRow>,
    accounts: Accounts,
    facts: Vec<(&'static str, String)>,
    containment: Vec<ContainmentRow>,
    evidence: Vec<Line>,
    /// There is older evidence than what is shown.
    cut: bool,
    silence: &'static str,
    /// Whom it concerns, where that is to be typed, and a reason given.
    typed: Option<String>,
    /// It was done already.
    ratify: bool,
    /// What bears on letting the person in again, where that is asked.
    clean: Vec<CleanRow>,
    run: String,
    playbook: String,
    plan: String,
    started_by: Option<String>,
    /// Everybody who answered, in turn.
    answers: Vec<Answer>,
    /// Who was asked when, and which channel was told of it when.
    told: Vec<Told>,
}

/// One line of who was asked or told.
struct Told {
    at: At,
    text: String,
    failed: bool,
}

pub(super) struct ItemRow {
    pub(super) tick: String,
    pub(super) sentence: String,
    privileged: bool,
    pub(super) why: Coded,
    pub(super) undo: String,
    pub(super) action: String,
    pub(super) target: String,
    pub(super) inputs: String,
    granted: bool,
}

struct CleanRow {
    what: &'static str,
    verdict: Mark,
    why: String,
}

/// What somebody answered, checked again as the page is made.
struct Answer {
    by: String,
    said: &'static str,
    at: At,
    justification: String,
    signature: Mark,
}

pub(super) async fn page(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    let id: ApprovalId = id.parse().map_err(|_| Problem::missing("approval"))?;
    state.engine.fetch_about(Named::Approval(id)).await?;
    let question = state
        .engine
        .read(|core| core.state.approvals.get(&id).cloned())
        .ok_or_else(|| Problem::missing("approval"))?;
    let commits = state.engine.ports().store.timeline(question.incident, 0, COMMITS).await?;
    let now = state.engine.now();
    let frame = Frame::new(&state, &by, "Approval");
    let page = state.engine.read(|core| {
        let policy = state.engine.policy();
        let who = Approvers::new(&core.state, &policy, now);
        let row = question_row(&who, &question, &by.person);
        assemble(frame, row, &core.state, (&question, now), &commits)
    });
    Ok(render(&page.ok_or_else(|| Problem::missing("incident"))?))
}

fn assemble(
    frame: Frame,
    row: QuestionRow,
    state: &Facts,
    (question, now): (&Approval, Time),
    commits: &[Commit],
) -> Option<ApprovalPage> {
    let incident = state.incidents.get(&question.incident)?;
    let subject = state.subject(incident.subject);
    let (evidence, cut) = evidence(commits, subject);
    let run = state.runs.get(&question.run);
    let title = format!("{}: {}", row.what, row.whom);
    Some(ApprovalPage {
        frame: Frame { title, ..frame },
        row,
        incident: incident.id.to_string(),
        stage: incident.stage.into(),
        severity: incident.severity.into(),
        privileged: subject.is_some_and(Subject::privileged),
        reason: tame_field(&incident.reason),
        items: question.items.iter().map(|item| item_row(item, question, subject)).collect(),
        accounts: accounts(subject),
        facts: facts(incident),
        containment: containment(state, incident),
        evidence,
        cut,
        silence: words::silence(question),
        typed: subject.filter(|_| question.tier.is_typed()).map(|s| tame_field(&s.name)),
        ratify: question.asks == Asks::Ratify,
        clean: clean_rows(state, question, incident, now),
        run: question.run.to_string(),
        playbook: run.map(|r| tame_field(r.playbook.as_str())).unwrap_or_default(),
        plan: question.plan.to_string(),
        started_by: run.and_then(|r| r.started_by.as_deref()).map(tame_field),
        answers: commits.iter().flat_map(|commit| answers(commit, question.id)).collect(),
        told: told(question, commits),
    })
}

/// Who was asked, and what came of telling each channel.
fn told(question: &Approval, commits: &[Commit]) -> Vec<Told> {
    let asked = question.addressed.iter().map(|asked| Told {
        at: At(asked.at),
        text: format!("Asked {}", words::asked(asked)),
        failed: false,
    });
    let about = [About::Question(question.id), About::Silence(question.id)];
    let notices = commits.iter().flat_map(|commit| {
        commit.entries.iter().filter_map(|entry| match entry {
            Entry::NoticeSent(told) | Entry::NoticeFailed(told)
                if about.contains(&told.fact.about) =>
            {
                let (_, _, text, detail) = told_said(commit.at, told);
                let text = if detail.is_empty() { text } else { format!("{text}: {detail}") };
                Some(Told { at: At(commit.at), text, failed: told.problem.is_some() })
            }
            _ => None,
        })
    });
    let mut all: Vec<Told> = asked.chain(notices).collect();
    all.sort_by_key(|line| line.at);
    all
}

pub(super) fn item_row(item: &Item, question: &Approval, subject: Option<&Subject>) -> ItemRow {
    let account = item.account.as_ref().and_then(|key| subject?.account(key));
    ItemRow {
        tick: tick(item),
        sentence: crate::model::text::tame(&words::item(item, subject), 500),
        privileged: account.is_some_and(|a| a.privileged),
        why: Coded(tame_field(&item.reason)),
        undo: words::undo(item),
        action: tame_field(item.action.as_str()),
        target: tame_field(&item.target),
        inputs: inputs(item),
        granted: question.granted.contains(&item.cell),
    }
}

fn clean_rows(state: &Facts, question: &Approval, incident: &Incident, now: Time) -> Vec<CleanRow> {
    if question.asks != Asks::Restore {
        return Vec::new();
    }
    let row = |check: Check| CleanRow {
        what: check.what,
        verdict: check.verdict.into(),
        why: crate::model::text::tame(&check.why, 500),
    };
    checks(state, incident, now).into_iter().map(row).collect()
}

/// The exact inputs, as they are signed.
fn inputs(item: &Item) -> String {
    let text = serde_json::to_string_pretty(&item.inputs).unwrap_or_default();
    let lines = text.lines().map(|line| crate::model::text::tame(line, 400));
    lines.take(60).collect::<Vec<_>>().join("\n")
}

/// The newest facts that speak for or against, and whether there are older ones.
fn evidence(commits: &[Commit], subject: Option<&Subject>) -> (Vec<Line>, bool) {
    let speaks = |line: &Line| {
        matches!(line.kind, Kind::Prompt | Kind::Hostile | Kind::Evidence | Kind::Milestone)
    };
    let mut found: Vec<Line> = commits.iter().flat_map(lines).filter(speaks).collect();
    found.sort_by_key(|line| line.at);
    let mut found = folded(found, subject);
    let older = found.len().saturating_sub(EVIDENCE);
    (found.split_off(older), older > 0)
}

fn answers(commit: &Commit, id: ApprovalId) -> impl Iterator<Item = Answer> {
    let signed = commit.entries.iter().filter_map(move |entry| match entry {
        Entry::ApprovalDecided(decided) if decided.approval == id => Some(&decided.signed),
        Entry::ApprovalVoted(voted) if voted.approval == id => Some(&voted.signed),
        _ => None,
    });
    signed.map(|signed| Answer {
        by: tame_field(&signed.by_name),
        said: if signed.statement.decision == Decision::Approve { "Yes" } else { "No" },
        at: At(commit.at),
        justification: crate::model::text::tame(&signed.justification, 1_000),
        signature: if verify_signed(signed).is_ok() { SIGNATURE_HOLDS } else { SIGNATURE_BROKEN },
    })
}
