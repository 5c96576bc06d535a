//! Everybody whom Quell keeps out: since when, until when, why, and on whose word.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::ConsoleState;
use super::frame::Frame;
use super::problem::render;
use super::show::At;
use super::signed_in::SignedIn;
use super::words;
use crate::engine::state::{Hold, Holds, State as Facts};
use crate::model::approval::{ApprovalState, Asks, Decision};
use crate::model::id::IncidentId;
use crate::model::incident::Stage;
use crate::model::run::Cell;
use crate::model::text::tame_field;

#[derive(Template)]
#[template(path = "in_force.html")]
struct InForcePage {
    frame: Frame,
    held: Vec<Held>,
}

struct Held {
    whom: String,
    account: String,
    what: String,
    /// Shut before Quell came: it is never opened by Quell.
    ours: bool,
    by: Vec<HeldBy>,
    since: At,
}

struct HeldBy {
    incident: String,
    why: String,
    since: At,
    until: Option<At>,
    owner: String,
}

pub(super) async fn page(State(state): State<ConsoleState>, by: SignedIn) -> Response {
    let frame = Frame::new(&state, &by, "In force");
    let held = state.engine.read(|core| {
        let mut held: Vec<Held> =
            core.state.holds.values().filter_map(|holds| row(&core.state, holds)).collect();
        held.sort_by_key(|row| row.since);
        held
    });
    render(&InForcePage { frame, held })
}

fn row(state: &Facts, holds: &Holds) -> Option<Held> {
    let first = holds.by.iter().min_by_key(|(_, hold)| hold.placed_at)?;
    let incident = state.incidents.get(first.0);
    let subject = incident.and_then(|i| state.subject(i.subject));
    let account = subject.and_then(|s| s.account(&holds.account));
    let login = account.map_or(holds.account.provider_id.as_str(), |a| a.login.as_str());
    Some(Held {
        whom: subject.map_or_else(|| "somebody".to_owned(), |s| tame_field(&s.name)),
        account: tame_field(&format!("{login} at {}", holds.account.connection)),
        what: tame_field(words::short(&holds.capability)),
        ours: holds.ours,
        by: holds.by.iter().map(|(id, hold)| held_by(state, *id, hold, holds)).collect(),
        since: At(first.1.placed_at),
    })
}

fn held_by(state: &Facts, incident: IncidentId, hold: &Hold, holds: &Holds) -> HeldBy {
    let why = state.incidents.get(&incident).map(|i| tame_field(&i.reason));
    HeldBy {
        incident: incident.to_string(),
        why: why.unwrap_or_default(),
        since: At(hold.placed_at),
        until: hold.expires_at.map(At),
        owner: owner(state, incident, hold, holds),
    }
}

/// On whose word it was done: those who approved or ratified it, or Quell's own.
fn owner(state: &Facts, incident: IncidentId, hold: &Hold, holds: &Holds) -> String {
    let is_it = |cell: &&Cell| {
        cell.account.as_ref() == Some(&holds.account)
            && cell.applied.as_ref().is_some_and(|a| a.call.action == hold.action)
    };
    let run = state.runs.get(&hold.run);
    let cell = run.and_then(|run| run.cells().find(is_it));
    let granted = cell.and_then(|c| c.grant).and_then(|id| state.approvals.get(&id));
    let ratified = cell.and_then(|cell| {
        let mut questions = state.approvals.values();
        questions.find(|q| {
            q.run == hold.run
                && q.asks == Asks::Ratify
                && q.items.iter().any(|item| item.cell == cell.key)
        })
    });
    let names = |question: &crate::model::approval::Approval| {
        let yes = question.votes.iter().filter(|v| v.decision == Decision::Approve);
        let mut names: Vec<String> = yes.map(|v| tame_field(&v.name)).collect();
        let last = question.decided_by.and_then(|id| state.people.get(&id));
        names.extend(last.map(|p| tame_field(&p.name)));
        names.dedup();
        names.join(" and ")
    };
    match (granted, ratified) {
        (Some(question), _) => format!("approved by {}", names(question)),
        (None, Some(q)) if q.state == ApprovalState::Approved => {
            format!("done at once, ratified by {}", names(q))
        }
        (None, Some(q)) if q.state == ApprovalState::Pending => {
            "done at once; people are asked whether it stands".to_owned()
        }
        (None, Some(_)) => "done at once; nobody answered whether it stands".to_owned(),
        (None, None) => {
            let reached = state.incidents.get(&incident).map_or(Stage::Noted, |i| i.stage);
            format!("done by itself, the incident being {}", reached.name())
        }
    }
}
