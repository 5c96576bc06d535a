//! Several people's cases decided at once: one page, one list, one signature.
//!
//! Whoever attacks many people would otherwise have the approvers tired out by their own questions. Nothing is
//! decided in bulk: every action is listed and ticked, each question gets a statement of its own, and the passkey
//! signs them all. What concerns a privileged person stays on its own page.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::ConsoleState;
use super::approval::{ItemRow, item_row};
use super::frame::Frame;
use super::lists::{QuestionRow, question_row};
use super::problem::{Oops, render};
use super::show::Mark;
use super::signed_in::SignedIn;
use crate::engine::approvers::Approvers;
use crate::engine::state::State as Facts;
use crate::model::approval::{Approval, ApprovalState};
use crate::model::entry::PersonEnrolled;
use crate::model::incident::Incident;
use crate::model::text::{tame, tame_field};
use crate::people::TOGETHER_MAX;

/// So many open questions are a storm: the lists say that they can be decided together.
const STORM: usize = 5;

/// Questions that one page can answer, as a list names them.
pub(super) struct Pile {
    /// The campaign's id; none for all that are open.
    pub(super) campaign: Option<String>,
    pub(super) key: String,
    pub(super) count: usize,
}

/// Open questions about one incident's ordinary person, with that incident.
fn joinable<'a>(who: &'a Approvers<'_>) -> impl Iterator<Item = (&'a Approval, &'a Incident)> {
    let open = who.state.open_together(who.now);
    open.filter_map(|q| Some((q, &**who.state.incidents.get(&q.incident)?)))
}

/// What can be decided together now, campaigns first.
pub(super) fn piles(who: &Approvers<'_>) -> Vec<Pile> {
    let mut piles: Vec<Pile> = Vec::new();
    let mut all = 0;
    for (_, incident) in joinable(who) {
        all += 1;
        let Some(campaign) = &incident.campaign else { continue };
        match piles.iter_mut().find(|p| p.campaign.as_ref() == Some(&campaign.id)) {
            Some(pile) => pile.count += 1,
            None => piles.push(Pile {
                campaign: Some(campaign.id.clone()),
                key: tame_field(&campaign.key),
                count: 1,
            }),
        }
    }
    piles.retain(|pile| pile.count > 1);
    let listed = piles.iter().any(|pile| pile.count == all);
    if all >= STORM && !listed {
        piles.push(Pile { campaign: None, key: String::new(), count: all });
    }
    piles
}

#[derive(Template)]
#[template(path = "together.html")]
struct TogetherPage {
    frame: Frame,
    /// The source and how many people it tried.
    campaign: Option<(String, u32)>,
    cases: Vec<Case>,
    /// More than one answer can be about.
    left_over: usize,
    /// Of the same campaign, but each on a page of its own.
    alone: Vec<QuestionRow>,
    nobody_yet: usize,
}

struct Case {
    row: QuestionRow,
    incident: String,
    stage: Mark,
    severity: Mark,
    reason: String,
    items: Vec<ItemRow>,
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    campaign: Option<String>,
}

pub(super) async fn page(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Oops> {
    let now = state.engine.now();
    let frame = Frame::new(&state, &by, "Decide together");
    let page = state.engine.read(|core| {
        let policy = state.engine.policy();
        let who = Approvers::new(&core.state, &policy, now);
        assemble(frame, &who, wanted.campaign.as_deref(), &by.person)
    });
    Ok(render(&page))
}

fn assemble(
    frame: Frame,
    who: &Approvers<'_>,
    campaign: Option<&str>,
    reader: &PersonEnrolled,
) -> TogetherPage {
    let state = who.state;
    let of_it = |incident: &Incident| {
        campaign.is_none_or(|id| incident.campaign.as_ref().is_some_and(|c| c.id == id))
    };
    let mut found: Vec<(&Approval, &Incident)> =
        joinable(who).filter(|(_, incident)| of_it(incident)).collect();
    // Whoever is worst off comes first, and whose question ends first.
    found.sort_by_key(|(q, i)| (std::cmp::Reverse((i.severity, i.stage)), q.expires_at));
    let named = found.iter().filter_map(|(_, i)| i.campaign.as_ref()).max_by_key(|c| c.people);
    let campaign = campaign.and(named).map(|c| (tame_field(&c.key), c.people));
    let (mut cases, mut nobody_yet) = (Vec::new(), 0);
    for (question, incident) in &found {
        let row = question_row(who, question, reader);
        if row.not_me.is_some() {
            nobody_yet += 1;
        } else if cases.len() < TOGETHER_MAX {
            cases.push(case(state, row, question, incident));
        }
    }
    let left_over = found.len() - nobody_yet - cases.len();
    let alone = state.approvals.values().filter(|q| {
        let of_it = state.incidents.get(&q.incident).is_some_and(|i| of_it(i));
        q.state == ApprovalState::Pending && q.expires_at > who.now && !q.joins_others() && of_it
    });
    let alone = alone.map(|q| question_row(who, q, reader)).collect();
    TogetherPage { frame, campaign, cases, left_over, alone, nobody_yet }
}

fn case(state: &Facts, row: QuestionRow, question: &Approval, incident: &Incident) -> Case {
    let subject = state.subject(incident.subject);
    Case {
        row,
        incident: incident.id.to_string(),
        stage: incident.stage.into(),
        severity: incident.severity.into(),
        reason: tame(&incident.reason, 500),
        items: question.items.iter().map(|item| item_row(item, question, subject)).collect(),
    }
}
