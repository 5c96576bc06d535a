//! Who is on call: now and next, who says so, and what is wrong with it.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::identity::{Allowed, Read};
use super::state::Api;
use crate::approval::rota::{Source, Stretch};
use crate::engine::oncall::{OnDuty, on_duty, unready};
use crate::model::oncall::{Delegation, Level, Named, Scope};
use crate::model::time::rfc3339;

/// The rota as it stands. Being on call gives nobody a right to decide.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct OnCallView {
    /// Who is on call now; empty where there is no rota.
    now: Vec<LevelView>,
    pager: Option<PagerView>,
    /// The built-in rota's turns within `oncall.horizon`; without people, a gap.
    turns: Vec<TurnView>,
    stand_ins: Vec<StandInView>,
    /// What keeps it from working, in words.
    problems: Vec<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct LevelView {
    level: Level,
    people: Vec<PersonView>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct PersonView {
    name: String,
    by: Named,
    /// Who is asked in their place.
    stands_in: Option<String>,
}

/// What is known of the pager that names the lower levels.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct PagerView {
    connection: String,
    /// Whether it is believed; else the built-in rota counts at every level.
    believed: bool,
    /// When it last said who is on call.
    said_at: Option<String>,
    /// Why it is not believed.
    why: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TurnView {
    level: Level,
    people: Vec<String>,
    from: String,
    until: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct StandInView {
    id: String,
    /// Whose place it is.
    of: String,
    by: String,
    scope: Scope,
    from: String,
    until: String,
}

/// Shows who is on call now and next.
#[utoipa::path(get, path = "/v1/oncall", tag = "people",
    responses((status = 200, body = OnCallView), (status = "4XX", body = super::problem::Problem)))]
pub(super) async fn show(State(api): State<Api>, _: Allowed<Read>) -> Json<OnCallView> {
    let engine = api.engine();
    let (now, oncall) = (engine.now(), &engine.policy().oncall);
    let stretches = oncall.rota.stretches(now, now + oncall.horizon.delta());
    let gap = |s: &&Stretch| s.people.is_empty();
    let mut problems: Vec<String> = stretches
        .iter()
        .filter(gap)
        .map(|s| {
            let (from, until) = (rfc3339(s.from), rfc3339(s.until));
            format!("nobody is on call at the level `{}` from {from} to {until}", s.level.name())
        })
        .collect();
    Json(engine.read(|core| {
        let cannot = unready(core, &engine.policy(), now).into_iter();
        problems.extend(cannot.map(|(name, why)| format!("`{name}` has a turn to come and {why}")));
        let pager = oncall.pager.as_ref().map(|connection| {
            let (believed, said_at, why) = match core.roster.source(oncall.stale, now) {
                Source::Pager { at } => (true, Some(at), None),
                Source::Fallback { why, at } => (false, at, Some(why)),
            };
            let said_at = said_at.map(rfc3339);
            PagerView { connection: connection.to_string(), believed, said_at, why }
        });
        if let Some(why) = pager.as_ref().and_then(|pager| pager.why.as_ref()) {
            problems.push(format!("the pager is not believed: {why}"));
        }
        let levels = on_duty(core, &engine.policy(), now).into_iter();
        let given = core.state.delegations.values().filter(|given| given.ends > now);
        OnCallView {
            now: levels.map(level).collect(),
            pager,
            turns: stretches.into_iter().map(turn).collect(),
            stand_ins: given.map(stand_in).collect(),
            problems,
        }
    }))
}

fn level((level, people): (Level, Vec<OnDuty>)) -> LevelView {
    let person = |on: OnDuty| PersonView { name: on.name, by: on.by, stands_in: on.stands_in };
    LevelView { level, people: people.into_iter().map(person).collect() }
}

fn turn(stretch: Stretch) -> TurnView {
    let Stretch { level, people, from, until, .. } = stretch;
    TurnView { level, people, from: rfc3339(from), until: rfc3339(until) }
}

fn stand_in(given: &Delegation) -> StandInView {
    StandInView {
        id: given.id.to_string(),
        of: given.from_name.clone(),
        by: given.to_name.clone(),
        scope: given.scope,
        from: rfc3339(given.begins),
        until: rfc3339(given.ends),
    }
}
