//! The first page: what needs a person now.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::TimeDelta;

use super::ConsoleState;
use super::frame::Frame;
use super::lists::{IncidentRow, QuestionRow, incident_row, question_row};
use super::oncall::{DutyRow, duty};
use super::problem::{Oops, render};
use super::show::{At, Mark};
use super::signed_in::SignedIn;
use super::together::{Pile, piles};
use crate::approval::gate::{APPROVED_BLOCKS, AUTO_BLOCKS, RESERVED_BLOCKS};
use crate::approval::rota::Source;
use crate::engine::approvers::Approvers;
use crate::engine::driver::Core;
use crate::engine::policy::{Ceilings, Policy};
use crate::jwks::{self, Renewals};
use crate::model::approval::{Approval, ApprovalState, Tier};
use crate::model::deed::Deed;
use crate::model::id::SourceId;
use crate::model::incident::{Incident, IncidentStatus};
use crate::model::text::{tame, tame_field};
use crate::model::time::Time;
use crate::people::Act;
use crate::poll::{Meter, Meters};

/// So many failures in a row make a channel one that cannot be told.
const DEAD: usize = 3;

/// Longest text that is shown of what is wrong with a key set.
const PROBLEM_MAX: usize = 500;

/// Open incidents that the page shows at most.
const OPEN_MOST: usize = 100;

#[derive(Template)]
#[template(path = "now.html")]
struct NowPage {
    frame: Frame,
    piles: Vec<Pile>,
    /// Those that the reader is asked.
    mine: Vec<QuestionRow>,
    others: Vec<QuestionRow>,
    /// Questions of which nobody could be told.
    untold: Vec<Untold>,
    dead: Vec<DeadChannel>,
    /// Logs that are not read.
    stuck: Vec<StuckLog>,
    /// Transmitters whose keys cannot be read.
    keyless: Vec<StuckLog>,
    /// Why the pager is not believed.
    fallback: Option<String>,
    duty: Vec<DutyRow>,
    incidents: Vec<IncidentRow>,
    ceilings: Vec<Ceiling>,
    connections: Vec<Connection>,
    out_of_reach: Vec<&'static str>,
    /// Whatever comes in, nothing would be done about it.
    nothing_contains: bool,
    /// What guards everybody would be changed by the settings, and waits.
    guardrails_wait: bool,
    acts: Acts,
    releases: Vec<ReleaseRow>,
}

/// What the reader may do from here.
struct Acts {
    contain: bool,
    pause: bool,
    release: bool,
}

/// An end of the pause that somebody has signed, and others may.
struct ReleaseRow {
    reason: String,
    by: String,
    needed: u32,
    mine: bool,
}

struct Untold {
    id: String,
    whom: String,
    what: &'static str,
}

struct DeadChannel {
    name: String,
    since: At,
    times: usize,
    why: String,
}

struct StuckLog {
    source: String,
    since: At,
    why: String,
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
    let policy = state.engine.policy();
    let frame = Frame::new(&state, &by, "Now");
    let is_open = |i: &Incident| i.status == IncidentStatus::Open;
    // The newest come into memory if they are not there; something still happens in the others.
    state.engine.list::<Incident>(None, OPEN_MOST, is_open).await?;
    let page = state.engine.read(|core| {
        let who = Approvers::new(&core.state, &policy, now);
        let (mine, others) = waiting(&who, &by).into_iter().partition(|row| row.mine);
        NowPage {
            frame,
            piles: piles(&who),
            mine,
            others,
            untold: untold(core, now),
            dead: dead(core, &policy),
            stuck: stuck(&state.polls, now),
            keyless: keyless(&state.keys, now),
            fallback: fallback(core, &policy, now),
            duty: duty(core, &policy, now),
            incidents: open(core),
            ceilings: ceilings(core, &policy.ceilings, now),
            connections: connections(core, now),
            out_of_reach: out_of_reach(&who),
            nothing_contains: !core
                .state
                .published
                .values()
                .any(|digest| core.state.plan(digest).is_some_and(|plan| !plan.also)),
            guardrails_wait: core.wished.is_some(),
            acts: Acts {
                contain: by.may(Act::Contain),
                pause: by.may(Act::Pause),
                release: by.may(Act::Release),
            },
            releases: releases(&who, &by),
        }
    });
    Ok(render(&page))
}

/// Kinds of questions that not enough people could answer, in words.
fn out_of_reach(who: &Approvers<'_>) -> Vec<&'static str> {
    let words = |tier| match tier {
        Tier::Harmless | Tier::LocksOut => {
            "Nobody could decide anything: no approver is enrolled, or their own accounts are in incidents."
        }
        Tier::Privileged => {
            "Nothing about a privileged person could be decided: it takes two approvers, of different groups where there are groups."
        }
    };
    who.out_of_reach().into_iter().map(words).collect()
}

/// Questions that stand longer because nobody could be told, and those that ended so within a day.
fn untold(core: &Core, now: Time) -> Vec<Untold> {
    let recent = |q: &&Approval| q.untold > 0 && q.expires_at > now - TimeDelta::days(1);
    let row = |q: &Approval| {
        let what = match q.state {
            ApprovalState::Pending => "It stands longer; silence counts as nothing until then.",
            ApprovalState::Expired => "It ended all the same; silence counted as no yes.",
            _ => return None,
        };
        let incident = core.state.incidents.get(&q.incident);
        let subject = incident.and_then(|i| core.state.subject(i.subject));
        let whom = subject.map_or_else(|| "somebody".to_owned(), |s| tame_field(&s.name));
        Some(Untold { id: q.id.to_string(), whom, what })
    };
    core.state.approvals.values().filter(recent).filter_map(row).take(OPEN_MOST).collect()
}

/// Channels that could not be told several things in a row.
fn dead(core: &Core, policy: &Policy) -> Vec<DeadChannel> {
    let channels = policy.oncall.channels.iter();
    let row = |name: &String| {
        let (times, since, why) = core.state.telling.dead(name)?;
        (times >= DEAD).then(|| DeadChannel {
            name: tame_field(name),
            since: At(since),
            times,
            why: tame_field(why),
        })
    };
    channels.filter_map(row).collect()
}

/// Logs that have not been read for so long that what happens in them goes unseen.
fn stuck(polls: &Meters, now: Time) -> Vec<StuckLog> {
    let row = |(source, meter): (SourceId, Meter)| {
        let since = meter.stuck_since(now)?;
        let held = "Its connection does not answer, or asked to wait.";
        let why = match meter.failed.filter(|_| meter.held_since.is_none()) {
            Some(failed) => {
                format!("{} failures in a row. {}", meter.in_a_row, tame_field(&failed.problem))
            }
            None => held.to_owned(),
        };
        Some(StuckLog { source: tame_field(source.as_str()), since: At(since), why })
    };
    polls.all().into_iter().filter_map(row).collect()
}

/// Transmitters whose keys could not be read for so long that what they tell may soon be refused.
fn keyless(keys: &Renewals, now: Time) -> Vec<StuckLog> {
    let row = |(source, meter): (SourceId, jwks::Meter)| {
        let (since, why) = meter.stuck(now)?;
        Some(StuckLog {
            source: tame_field(source.as_str()),
            since: At(since),
            why: tame(&why, PROBLEM_MAX),
        })
    };
    keys.meters().into_iter().filter_map(row).collect()
}

/// Why our own rota counts although there is a pager.
pub(super) fn fallback(core: &Core, policy: &Policy, now: Time) -> Option<String> {
    policy.oncall.pager.as_ref()?;
    match core.roster.source(policy.oncall.stale, now) {
        Source::Pager { .. } => None,
        Source::Fallback { why, .. } => Some(tame_field(&why)),
    }
}

fn waiting(who: &Approvers<'_>, by: &SignedIn) -> Vec<QuestionRow> {
    let questions = who.state.approvals.values();
    let mut rows: Vec<_> = questions
        .filter(|q| q.state == ApprovalState::Pending && q.expires_at > who.now)
        .map(|q| question_row(who, q, &by.person))
        .collect();
    rows.sort_by_key(|row| row.until.0);
    rows
}

fn releases(who: &Approvers<'_>, by: &SignedIn) -> Vec<ReleaseRow> {
    let open = who.state.seconds.iter().filter_map(|(key, seconded)| match &seconded.deed {
        Deed::Release { reason } => {
            let signing = who.signing(key);
            let name = |id| who.state.people.get(id).map(|p| tame_field(&p.name));
            let names: Vec<String> = signing.by.iter().filter_map(name).collect();
            Some(ReleaseRow {
                reason: reason.clone(),
                by: names.join(" and "),
                needed: signing.needed,
                mine: signing.by.contains(&by.person.person),
            })
        }
        _ => None,
    });
    open.filter(|row| !row.by.is_empty()).collect()
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
            state: lane.standing(now).into(),
            in_use: lane.in_use,
            limit: lane.limit,
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}
