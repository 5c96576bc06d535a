//! The lists of questions and incidents.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;

use super::ConsoleState;
use super::frame::Frame;
use super::problem::{Oops, render};
use super::show::{At, Mark, Until};
use super::sift::{AskedForm, CasesForm, Choice, Show};
use super::signed_in::SignedIn;
use super::speed::{Speed, speed};
use super::together::{Pile, piles};
use super::words;
use crate::approval::who::Bar;
use crate::engine::approvers::Approvers;
use crate::engine::state::State as Facts;
use crate::model::approval::{Approval, ApprovalState, Asks, Decision, Vote};
use crate::model::entry::PersonEnrolled;
use crate::model::incident::Incident;
use crate::model::oncall::Addressed;
use crate::model::text::tame_field;

/// A page shows so many, newest first.
const MOST: usize = 200;

/// One question in a list.
pub(super) struct QuestionRow {
    pub(super) id: String,
    pub(super) whom: String,
    pub(super) what: &'static str,
    /// What would be done, in a few words.
    pub(super) gist: String,
    pub(super) state: Mark,
    pub(super) open: bool,
    pub(super) until: Until,
    pub(super) opened: At,
    /// Why the reader may not decide it.
    pub(super) not_me: Option<String>,
    /// Not enough of those who are enrolled may.
    pub(super) nobody: bool,
    /// How far it is, where one answer is not enough.
    pub(super) progress: Option<String>,
    /// Whom it was put to last.
    pub(super) asked: Option<String>,
    /// The reader is one of them, and may answer.
    pub(super) mine: bool,
}

fn progress(question: &Approval) -> Option<String> {
    let needed = question.quorum;
    if needed < 2 {
        return None;
    }
    if question.votes.is_empty() {
        return Some(format!("{needed} people have to answer"));
    }
    let said = |v: &Vote| {
        let what = if v.decision == Decision::Approve { "yes" } else { "no" };
        format!("{} said {what}", tame_field(&v.name))
    };
    let so_far: Vec<String> = question.votes.iter().map(said).collect();
    Some(format!("{needed} people have to answer: {}", so_far.join(", ")))
}

pub(super) fn question_row(
    who: &Approvers<'_>,
    question: &Approval,
    reader: &PersonEnrolled,
) -> QuestionRow {
    let open = question.state == ApprovalState::Pending && question.expires_at > who.now;
    let not_me = who.bar(question, reader.person).err().filter(|_| open);
    let last = question.addressed.last();
    let turn = |asked: &Addressed| {
        asked.everybody || asked.people.iter().any(|a| a.person == reader.person)
    };
    QuestionRow {
        id: question.id.to_string(),
        whom: whom(who.state, question),
        what: match question.asks {
            Asks::Contain => "Contain",
            Asks::Restore => "Restore",
            Asks::Ratify => "Ratify",
        },
        gist: words::gist(question),
        state: if open { ApprovalState::Pending.into() } else { shown(question) },
        open,
        until: Until(question.expires_at),
        opened: At(question.opened_at),
        nobody: open && !who.can_settle(question),
        progress: progress(question),
        asked: last.filter(|_| open).map(words::asked),
        mine: open && not_me.is_none() && last.is_none_or(turn),
        not_me: not_me.map(|why| match why {
            Bar::Concerned(_) => "it concerns you, or you asked for it".to_owned(),
            other => other.to_string(),
        }),
    }
}

/// A question whose time has run out is expired although the engine has not said so yet.
pub(super) fn shown(question: &Approval) -> Mark {
    match question.state {
        ApprovalState::Pending => ApprovalState::Expired.into(),
        other => other.into(),
    }
}

fn whom(state: &Facts, question: &Approval) -> String {
    let incident = state.incidents.get(&question.incident);
    let subject = incident.and_then(|i| state.subject(i.subject));
    subject.map_or_else(|| "somebody".to_owned(), |s| tame_field(&s.name))
}

/// One incident in a list.
pub(super) struct IncidentRow {
    pub(super) id: String,
    pub(super) whom: String,
    pub(super) privileged: bool,
    pub(super) status: Mark,
    pub(super) stage: Mark,
    pub(super) severity: Mark,
    pub(super) reason: String,
    pub(super) last: At,
}

pub(super) fn incident_row(state: &Facts, incident: &Incident) -> IncidentRow {
    let subject = state.subject(incident.subject);
    IncidentRow {
        id: incident.id.to_string(),
        whom: subject.map_or_else(|| "somebody".to_owned(), |s| tame_field(&s.name)),
        privileged: subject.is_some_and(crate::model::subject::Subject::privileged),
        status: incident.status.into(),
        stage: incident.stage.into(),
        severity: incident.severity.into(),
        reason: tame_field(&incident.reason),
        last: At(incident.last_evidence_at),
    }
}

#[derive(Template)]
#[template(path = "approvals.html")]
struct ApprovalsPage {
    frame: Frame,
    piles: Vec<Pile>,
    questions: Vec<QuestionRow>,
    shows: Vec<Choice>,
    /// Something may have been left out.
    sifted: bool,
    older: Option<String>,
}

pub(super) async fn approvals(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Query(form): Query<AskedForm>,
) -> Result<Response, Oops> {
    let now = state.engine.now();
    let (show, before) = (form.show()?, form.before()?);
    let frame = Frame::new(&state, &by, "Approvals");
    let wanted = |question: &Approval| show.wants(question, now);
    let listed = state.engine.list::<Approval>(before, MOST, wanted).await?;
    let (piles, questions) = state.engine.read(|core| {
        let found = listed.ids.iter().filter_map(|id| core.state.approvals.get(id));
        let policy = state.engine.policy();
        let who = Approvers::new(&core.state, &policy, now);
        let mut rows: Vec<_> = found.map(|q| question_row(&who, q, &by.person)).collect();
        rows.retain(|row| show != Show::Mine || row.mine);
        rows.sort_by_key(|row| !row.open);
        (piles(&who), rows)
    });
    let older = listed.next.map(|id| form.older(&id.to_string()));
    let sifted = show != Show::All || before.is_some();
    Ok(render(&ApprovalsPage { frame, piles, questions, shows: show.choices(), sifted, older }))
}

#[derive(Template)]
#[template(path = "incidents.html")]
struct IncidentsPage {
    frame: Frame,
    incidents: Vec<IncidentRow>,
    statuses: Vec<Choice>,
    stages: Vec<Choice>,
    who: String,
    /// Something may have been left out.
    sifted: bool,
    older: Option<String>,
    speed: Option<Speed>,
}

pub(super) async fn incidents(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Query(form): Query<CasesForm>,
) -> Result<Response, Oops> {
    let frame = Frame::new(&state, &by, "Incidents");
    let (cases, before) = (form.cases(&state).await?, form.before()?);
    let wanted = |incident: &Incident| cases.wants(incident);
    let listed = state.engine.list::<Incident>(before, MOST, wanted).await?;
    let incidents = state.engine.read(|core| {
        let found = listed.ids.iter().filter_map(|id| core.state.incidents.get(id));
        found.map(|i| incident_row(&core.state, i)).collect()
    });
    Ok(render(&IncidentsPage {
        frame,
        incidents,
        statuses: cases.statuses(),
        stages: cases.stages(),
        who: form.name(),
        sifted: !form.is_plain(),
        older: listed.next.map(|id| form.older(&id.to_string())),
        speed: if form.is_plain() { speed(&state).await? } else { None },
    }))
}
