//! The first page: what needs a person now.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::TimeDelta;

use super::ConsoleState;
use super::frame::Frame;
use super::lists::{IncidentRow, QuestionRow, incident_row, question_row};
use super::problem::{Oops, render};
use super::show::{ASKED_TO_WAIT, CLOSED_BREAKER, Mark, OPEN_BREAKER};
use super::signed_in::SignedIn;
use crate::approval::gate::{APPROVED_BLOCKS, AUTO_BLOCKS, RESERVED_BLOCKS};
use crate::engine::driver::{Core, Standing};
use crate::engine::policy::Ceilings;
use crate::model::approval::ApprovalState;
use crate::model::incident::{Incident, IncidentStatus};
use crate::model::text::tame_field;
use crate::model::time::Time;
use crate::people::{Act, may};

/// Open incidents that the page shows at most.
const OPEN_MOST: usize = 100;

#[derive(Template)]
#[template(path = "now.html")]
struct NowPage {
    frame: Frame,
    questions: Vec<QuestionRow>,
    incidents: Vec<IncidentRow>,
    ceilings: Vec<Ceiling>,
    connections: Vec<Connection>,
    no_approver: bool,
    may_pause: bool,
    may_release: bool,
}

struct Ceiling {
    name: &'static str,
    used: usize,
    limit: usize,
}

struct Connection {
    name: String,
    state: Mark,
    in_use: usize,
    limit: usize,
}

pub(super) async fn page(
    State(state): State<ConsoleState>,
    by: SignedIn,
) -> Result<Response, Oops> {
    let now = state.engine.now();
    let limits = state.engine.policy().ceilings.clone();
    let frame = Frame::new(&state, &by, "Now");
    let is_open = |i: &Incident| i.status == IncidentStatus::Open;
    // The newest come into memory if they are not there; something still happens in the others.
    state.engine.list::<Incident>(None, OPEN_MOST, is_open).await?;
    let page = state.engine.read(|core| NowPage {
        frame,
        questions: waiting(core, &by, now),
        incidents: open(core),
        ceilings: ceilings(core, &limits, now),
        connections: connections(core, now),
        no_approver: !core.state.people.values().any(|p| may(&p.roles, Act::Decide)),
        may_pause: by.may(Act::Pause),
        may_release: by.may(Act::Release),
    });
    Ok(render(&page))
}

fn waiting(core: &Core, by: &SignedIn, now: Time) -> Vec<QuestionRow> {
    let questions = core.state.approvals.values();
    let mut rows: Vec<_> = questions
        .filter(|q| q.state == ApprovalState::Pending && q.expires_at > now)
        .map(|q| question_row(&core.state, q, &by.person, now))
        .collect();
    rows.sort_by_key(|row| row.until.0);
    rows
}

fn open(core: &Core) -> Vec<IncidentRow> {
    let mut open: Vec<_> =
        core.state.incidents.values().filter(|i| i.status == IncidentStatus::Open).collect();
    open.sort_by_key(|i| (std::cmp::Reverse(i.severity), std::cmp::Reverse(i.last_evidence_at)));
    open.into_iter().take(OPEN_MOST).map(|i| incident_row(&core.state, i)).collect()
}

fn ceilings(core: &Core, limits: &Ceilings, now: Time) -> Vec<Ceiling> {
    [
        (AUTO_BLOCKS, "Automatic blocks"),
        (APPROVED_BLOCKS, "Approved blocks"),
        (RESERVED_BLOCKS, "Blocks after hostile approvals and of privileged people"),
    ]
    .into_iter()
    .map(|(key, name)| Ceiling {
        name,
        used: core.state.used(key, now - TimeDelta::hours(1)),
        limit: limits.limit(key),
    })
    .collect()
}

fn connections(core: &Core, now: Time) -> Vec<Connection> {
    let mut all: Vec<_> = core
        .desk
        .connections()
        .map(|(name, lane)| Connection {
            name: tame_field(name.as_str()),
            state: match lane.standing(now) {
                Standing::Answering => CLOSED_BREAKER,
                Standing::NotAnswering => OPEN_BREAKER,
                Standing::AskedToWait => ASKED_TO_WAIT,
            },
            in_use: lane.in_use,
            limit: lane.limit,
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}
