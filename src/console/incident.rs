//! One incident: how far containment has come, what happened when, what can be done.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::ConsoleState;
use super::acts::incident_id;
use super::asked::AskedRow;
use super::chart::{Chart, draw};
use super::frame::Frame;
use super::lists::{QuestionRow, question_row};
use super::problem::{Oops, Problem, render};
use super::show::{At, Coded, Mark, concluded, lasted};
use super::signed_in::SignedIn;
use super::timeline::{Line, cell, folded, lines, named};
use super::words;
use crate::engine::approvers::Approvers;
use crate::engine::shelf::About;
use crate::engine::state::State as Facts;
use crate::model::entry::Commit;
use crate::model::incident::{
    ApprovalSeen, Containment, ContainmentState, Incident, IncidentStatus,
};
use crate::model::run::{Cell, CellState, Conclusion, Run};
use crate::model::subject::{Account, Subject};
use crate::model::text::tame_field;
use crate::people::Act;

/// Commits on one page of the timeline.
const PAGE: usize = 300;

#[derive(Template)]
#[template(path = "incident.html")]
struct IncidentPage {
    frame: Frame,
    id: String,
    whom: String,
    status: Mark,
    stage: Mark,
    severity: Mark,
    reason: String,
    facts: Vec<(&'static str, String)>,
    opened: At,
    watched_until: At,
    times: Vec<(&'static str, String)>,
    accounts: Accounts,
    containment: Vec<ContainmentRow>,
    questions: Vec<QuestionRow>,
    runs: Vec<RunRow>,
    lines: Vec<Line>,
    chart: Option<Chart>,
    later: Option<u64>,
    asked: Vec<AskedRow>,
    /// Over which the person concerned may be asked, with their words.
    channels: Vec<(&'static str, &'static str)>,
    /// What the reader may do here.
    acts: Vec<Act>,
}

/// What is known of the accounts of the person concerned.
pub(super) struct Accounts {
    pub(super) rows: Vec<AccountRow>,
    /// Connections that could not tell, by name.
    pub(super) silent: String,
}

pub(super) struct AccountRow {
    pub(super) login: String,
    pub(super) at: String,
    pub(super) status: String,
    pub(super) privileged: bool,
    pub(super) protected: bool,
    pub(super) read: At,
}

pub(super) struct ContainmentRow {
    pub(super) what: String,
    pub(super) account: String,
    pub(super) state: Mark,
    pub(super) residual: Option<String>,
    pub(super) at: At,
}

struct RunRow {
    id: String,
    playbook: String,
    status: Mark,
    started: At,
    steps: Vec<StepRow>,
    parked: bool,
}

struct StepRow {
    name: Coded,
    state: Mark,
    attempts: u32,
    problem: String,
}

#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
}

pub(super) async fn page(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Path(id): Path<String>,
    Query(from): Query<After>,
) -> Result<Response, Oops> {
    let id = incident_id(&id)?;
    state.engine.fetch_about(About::Incident(id)).await?;
    let commits = state.engine.ports().store.timeline(id, from.after, PAGE).await?;
    let whom = |core: &Facts| {
        let incident = core.incidents.get(&id)?;
        Some(
            core.subject(incident.subject)
                .map_or_else(|| "somebody".to_owned(), |s| tame_field(&s.name)),
        )
    };
    let whom =
        state.engine.read(|core| whom(&core.state)).ok_or_else(|| Problem::missing("incident"))?;
    let frame = Frame::new(&state, &by, format!("Incident: {whom}"));
    let now = state.engine.now();
    let channels = super::asked::channels(&state.engine);
    let page = state.engine.read(|core| {
        let incident = core.state.incidents.get(&id)?;
        let questions = core.state.approvals.values().filter(|q| q.incident == id);
        let policy = state.engine.policy();
        let who = Approvers::new(&core.state, &policy, now);
        let questions = questions.map(|q| question_row(&who, q, &by.person)).collect();
        Some(assemble(frame, &by, whom, &core.state, incident, questions, (&commits, channels)))
    });
    Ok(render(&page.ok_or_else(|| Problem::missing("incident"))?))
}

fn assemble(
    frame: Frame,
    by: &SignedIn,
    whom: String,
    state: &Facts,
    incident: &Incident,
    questions: Vec<QuestionRow>,
    (commits, channels): (&[Commit], Vec<(&'static str, &'static str)>),
) -> IncidentPage {
    let subject = state.subject(incident.subject);
    let mut said: Vec<Line> = commits.iter().flat_map(lines).collect();
    said.sort_by_key(|line| line.at);
    let full = commits.len() == PAGE;
    IncidentPage {
        frame,
        id: incident.id.to_string(),
        whom,
        status: incident.status.into(),
        stage: incident.stage.into(),
        severity: incident.severity.into(),
        reason: tame_field(&incident.reason),
        facts: facts(incident),
        opened: At(incident.opened_at),
        watched_until: At(incident.watch_until),
        times: times(incident),
        accounts: accounts(subject),
        containment: containment(state, incident),
        questions,
        runs: state.runs_of(incident.id).map(|r| run(r, subject)).collect(),
        chart: draw(&said),
        lines: folded(said, subject),
        later: commits.last().filter(|_| full).map(|commit| commit.seq),
        asked: super::asked::rows(incident),
        channels,
        acts: acts(by, incident),
    }
}

fn acts(by: &SignedIn, incident: &Incident) -> Vec<Act> {
    let mut acts = vec![Act::Note, Act::RequestRestore, Act::Resume];
    if incident.status != IncidentStatus::Closed {
        let hostile = incident.approval == ApprovalSeen::Hostile;
        acts.push(Act::AskPerson);
        acts.push(if hostile { Act::CloseHostile } else { Act::Close });
    }
    acts.retain(|act| by.may(*act));
    acts
}

pub(super) fn facts(incident: &Incident) -> Vec<(&'static str, String)> {
    let counts = &incident.counts;
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let mut facts = vec![
        ("Denied", counts.denied.to_string()),
        ("Unanswered", counts.timed_out.to_string()),
        ("Wrong number", counts.wrong_answer.to_string()),
        ("Approved", format!("{} ({})", counts.approved, incident.approval.name())),
        ("Alerts", counts.alerts.to_string()),
        ("Reports", counts.reports.to_string()),
        ("Password exposed", yes_no(incident.password_exposed)),
        ("Factors added since", incident.hostile_factors.len().to_string()),
    ];
    facts.extend(incident.campaign.as_ref().map(|c| {
        ("Campaign", format!("{} people from {} ({})", c.people, tame_field(&c.key), c.id))
    }));
    facts
}

/// From each beginning that counts until containment.
fn times(incident: &Incident) -> Vec<(&'static str, String)> {
    let Some(done) = incident.first_contained_at else { return Vec::new() };
    let mut times = vec![
        ("First hostile prompt → contained", lasted(done - incident.first_event_at)),
        ("Alert → contained", lasted(done - incident.opened_at)),
    ];
    if let Some((entry, done)) = incident.hostile_entry_at.zip(incident.entry_contained_at) {
        times.insert(1, ("Hostile approval → contained", lasted(done - entry)));
    }
    let again = incident.contained_at.zip(incident.reopened_at);
    times.extend(again.map(|(done, at)| ("Opened again → contained again", lasted(done - at))));
    times
}

pub(super) fn accounts(subject: Option<&Subject>) -> Accounts {
    let all = subject.map(|s| s.accounts.as_slice()).unwrap_or_default();
    let row = |account: &Account| AccountRow {
        login: tame_field(&account.login),
        at: tame_field(account.connection.as_str()),
        status: tame_field(&account.status),
        privileged: account.privileged,
        protected: account.protected,
        read: At(account.read_at),
    };
    let silent = subject.into_iter().flat_map(|s| &s.silent);
    let silent: Vec<String> = silent.map(|connection| tame_field(connection.as_str())).collect();
    Accounts { rows: all.iter().map(row).collect(), silent: silent.join(", ") }
}

/// How far each action has come on each account.
pub(super) fn containment(state: &Facts, incident: &Incident) -> Vec<ContainmentRow> {
    let subject = state.subject(incident.subject);
    let row = |row: &Containment| {
        let missed = (row.state == ContainmentState::Failed).then(|| missed(state, incident, row));
        let shown = contained(row, subject);
        match missed.flatten() {
            Some(conclusion) => ContainmentRow {
                state: concluded(conclusion),
                residual: shown.residual.or_else(|| words::missed(conclusion).map(str::to_owned)),
                ..shown
            },
            None => shown,
        }
    };
    incident.containment.iter().map(row).collect()
}

/// Why an action was not done: a person's no is no failure.
fn missed(state: &Facts, incident: &Incident, row: &Containment) -> Option<Conclusion> {
    let is_it = |cell: &&Cell| {
        let account = cell.account.as_ref().map(ToString::to_string).unwrap_or_default();
        let item = cell.key.item.split_once('#').map_or("", |(_, item)| item);
        cell.capability.as_ref() == Some(&row.capability)
            && account == row.account
            && item == row.item
    };
    let conclusions = state.runs_of(incident.id).flat_map(Run::cells).filter(is_it);
    let ended = conclusions.filter_map(|cell| match cell.state {
        CellState::Concluded { conclusion } => Some(conclusion),
        _ => None,
    });
    ended.filter(|c| *c != Conclusion::Succeeded && *c != Conclusion::Skipped).last()
}

fn contained(row: &Containment, subject: Option<&Subject>) -> ContainmentRow {
    let all = subject.map(|s| s.accounts.as_slice()).unwrap_or_default();
    let account = all.iter().find(|a| a.key().to_string() == row.account);
    let login = account.map_or_else(
        || tame_field(&row.account),
        |a| tame_field(&format!("{} at {}", a.login, a.connection)),
    );
    let factor = if row.item.is_empty() { String::new() } else { format!(" ({})", row.item) };
    ContainmentRow {
        what: tame_field(&format!("{}{factor}", words::short(&row.capability))),
        account: login,
        state: row.state.into(),
        residual: row.residual.as_deref().map(tame_field),
        at: At(row.at),
    }
}

fn run(run: &Run, subject: Option<&Subject>) -> RunRow {
    let steps = run.cells.values().map(|c| StepRow {
        name: Coded(named(&cell(&c.key), subject)),
        state: (&c.state).into(),
        attempts: c.attempt,
        problem: match &c.state {
            CellState::Parked { problem } => tame_field(problem),
            _ => c.problem.as_deref().map(tame_field).unwrap_or_default(),
        },
    });
    RunRow {
        id: run.id.to_string(),
        playbook: tame_field(run.playbook.as_str()),
        status: run.status.into(),
        started: At(run.started_at),
        steps: steps.collect(),
        parked: !run.status.ended()
            && run.cells.values().any(|c| matches!(c.state, CellState::Parked { .. })),
    }
}
