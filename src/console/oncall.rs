//! The rota: who is on call now, whose turn is next, who stands in for whom, and what is wrong with it.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::TimeDelta;

use super::ConsoleState;
use super::frame::Frame;
use super::now::fallback;
use super::problem::render;
use super::show::At;
use super::signed_in::SignedIn;
use crate::engine::driver::Core;
use crate::engine::oncall::{OnDuty, on_duty, unready};
use crate::engine::policy::Policy;
use crate::model::oncall::{Delegation, Named, Scope};
use crate::model::text::tame_field;
use crate::model::time::Time;

/// How far ahead the page shows turns.
const AHEAD: TimeDelta = TimeDelta::days(14);
/// Turns that it shows at most.
const MOST: usize = 60;

#[derive(Template)]
#[template(path = "oncall.html")]
struct OnCallPage {
    frame: Frame,
    duty: Vec<DutyRow>,
    turns: Vec<TurnRow>,
    gaps: Vec<TurnRow>,
    /// There are more turns than what is shown.
    cut: bool,
    problems: Vec<String>,
    fallback: Option<String>,
    pager: Option<String>,
    stand_ins: Vec<StandInRow>,
}

/// One level, now.
pub(super) struct DutyRow {
    pub(super) level: &'static str,
    pub(super) people: String,
    /// The pager says so.
    pub(super) pager: bool,
}

struct TurnRow {
    level: &'static str,
    people: String,
    from: At,
    until: At,
    zones: String,
}

/// Somebody who stands in for somebody.
pub(super) struct StandInRow {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) from: At,
    pub(super) until: At,
    pub(super) in_force: bool,
}

pub(super) async fn page(State(state): State<ConsoleState>, by: SignedIn) -> Response {
    let now = state.engine.now();
    let policy = state.engine.policy();
    let frame = Frame::new(&state, &by, "On call");
    let mut turns = Vec::new();
    let mut gaps = Vec::new();
    for stretch in policy.oncall.rota.stretches(now, now + AHEAD) {
        let row = TurnRow {
            level: stretch.level.name(),
            people: tame_field(&stretch.people.join(", ")),
            from: At(stretch.from),
            until: At(stretch.until),
            zones: stretch.zones.into_iter().collect::<Vec<_>>().join(", "),
        };
        if stretch.people.is_empty() {
            gaps.push(row);
        } else if stretch.from > now {
            turns.push(row);
        }
    }
    turns.sort_by_key(|row| row.from);
    let cut = turns.len() > MOST || gaps.len() > MOST;
    turns.truncate(MOST);
    gaps.truncate(MOST);
    let page = state.engine.read(|core| OnCallPage {
        frame,
        duty: duty(core, &policy, now),
        turns,
        gaps,
        cut,
        problems: unready(core, &policy, now)
            .into_iter()
            .map(|(name, why)| format!("{} {why}", tame_field(&name)))
            .collect(),
        fallback: fallback(core, &policy, now),
        pager: policy.oncall.pager.as_ref().map(|pager| tame_field(pager.as_str())),
        stand_ins: core
            .state
            .delegations
            .values()
            .filter(|given| given.ends > now)
            .map(|given| stand_in(given, now))
            .collect(),
    });
    render(&page)
}

/// Who is on call now, level by level.
pub(super) fn duty(core: &Core, policy: &Policy, now: Time) -> Vec<DutyRow> {
    let name = |on: &OnDuty| match &on.stands_in {
        Some(other) => format!("{} (for {})", tame_field(other), tame_field(&on.name)),
        None => tame_field(&on.name),
    };
    let levels = on_duty(core, policy, now).into_iter();
    levels
        .map(|(level, people)| DutyRow {
            level: level.name(),
            pager: people.iter().any(|on| on.by == Named::Pager),
            people: people.iter().map(name).collect::<Vec<_>>().join(", "),
        })
        .collect()
}

pub(super) fn stand_in(given: &Delegation, now: Time) -> StandInRow {
    let scope = match given.scope {
        Scope::All => "",
        Scope::Ordinary => ", not for questions about privileged people",
    };
    let (to, from) = (tame_field(&given.to_name), tame_field(&given.from_name));
    StandInRow {
        id: given.id.to_string(),
        text: format!("{to} for {from}{scope}"),
        from: At(given.begins),
        until: At(given.ends),
        in_force: given.is_in_force(now),
    }
}
