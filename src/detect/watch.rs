//! What counts only within an open incident: a changed factor or recovery means, a success from the hostile
//! context, what is done once inside (mail rules, grants, roles), and what the provider takes for stolen.

use super::assess::CONTEXT_MAX;
use super::signal::{About, FactorSeen, Open, Signal, is_stale};
use super::window::{AFTERMATH, Raised, Window, is_approval, is_success, shares};
use crate::model::alert::AlertKind;
use crate::model::event::{ChangedBy, Event, EventKind};
use crate::model::id::EventId;
use crate::model::incident::{ApprovalSeen, HostileContext, Stage};
use crate::model::text::tame_field;
use crate::model::time::{Span, Time};

/// How long after an episode a change is watched for, if nobody keeps an incident open for longer.
const WATCHED: Span = Span::hours(24);
/// How long before the first prompt a password that others know still explains it.
const EXPOSED: Span = Span::hours(24);

pub(super) fn in_open_incident(
    window: &mut Window,
    event: &Event,
    about: &About<'_>,
) -> Vec<Signal> {
    let entry = about.open.and_then(|open| entry(window, event, open, about.now));
    if let Some(signal) = &entry {
        window.entry_told = signal.hostile_entry_at.max(window.entry_told);
    }
    entry.into_iter().collect()
}

/// Changes, follow-on actions and the provider's own marks, as far as they say something about the episode that they
/// belong to: each once, also where it was told of before the prompts.
pub(super) fn changes(window: &mut Window, about: &About<'_>) -> Vec<Signal> {
    let signals: Vec<(EventId, Signal)> = window
        .events()
        .filter(|event| event.kind.is_watched() && !window.is_change_told(&event.id))
        .filter_map(|event| {
            let side = Side::of(window, about, event)?;
            Some((event.id.clone(), follow_on(event, &side, about.now)?))
        })
        .collect();
    let tell = |(id, signal)| {
        window.change_told(id);
        signal
    };
    signals.into_iter().map(tell).collect()
}

/// The hostile side of what is open, or was raised before anybody opened anything.
struct Side {
    hostile: HostileContext,
    first: Time,
    /// The first success from there.
    entry: Option<Time>,
}

impl Side {
    /// As it concerns an event: what was raised is watched for as long as an incident without more evidence is joined.
    fn of(window: &Window, about: &About<'_>, event: &Event) -> Option<Self> {
        let watched = |raised: &&Raised| event.time <= raised.last + WATCHED.delta();
        let raised: Vec<&Raised> = window.raised().iter().filter(watched).collect();
        let open = about.open.map(|open| open.first_event_at);
        let first = raised.iter().map(|raised| raised.first).chain(open).min()?;
        let mut hostile = about.open.map(|open| open.hostile.clone()).unwrap_or_default();
        for raised in raised {
            hostile.merge(&raised.hostile, CONTEXT_MAX * 2);
        }
        let success = window.events().filter(|e| is_success(e) && e.time >= first);
        let entry = success.filter(|e| shares(&hostile, e)).map(|e| e.time).min();
        Some(Self { hostile, first, entry })
    }
}

/// A success from the hostile context: at any time after containment, and before it only as
/// long as an approval counts.
fn entry(window: &Window, event: &Event, open: &Open, now: Time) -> Option<Signal> {
    if !is_success(event) || !shares(&open.hostile, event) {
        return None;
    }
    let after = open.contained_at.is_some_and(|contained| event.time > contained);
    let soon = event.kind != EventKind::TokenRefresh
        && event.time > open.first_event_at
        && event.time <= open.last_evidence_at + AFTERMATH.delta()
        && !window.ends_slips(event.time);
    if !(after || soon) || window.entry_told >= Some(event.time) {
        return None;
    }
    let (rule, reason) = if after {
        ("success_after_containment", "A success from the hostile context after containment")
    } else {
        ("hostile_entry", "A success from the hostile context")
    };
    let approval = if is_approval(event) { ApprovalSeen::Hostile } else { ApprovalSeen::None };
    let mut signal = breached(event, rule, reason.into(), approval, now);
    signal.hostile_entry_at = Some(event.time);
    signal.hostile = HostileContext {
        ips: event.ip.into_iter().collect(),
        sessions: event.session.clone().into_iter().collect(),
        correlations: event.correlation.clone().into_iter().collect(),
        ..HostileContext::default()
    };
    Some(signal)
}

fn follow_on(event: &Event, side: &Side, now: Time) -> Option<Signal> {
    let ours = shares(&side.hostile, event);
    let soon = event.time >= side.first - AFTERMATH.delta();
    match event.kind {
        EventKind::FactorChange if event.time >= side.first => change(event, "factor", now),
        EventKind::RecoveryChange if event.time >= side.first => {
            change(event, "recovery means", now)
        }
        EventKind::InboxRule => taken(event, side, ours, "A mail rule was made", now),
        EventKind::Grant => taken(event, side, ours, "An application was given access", now),
        EventKind::RoleChange => taken(event, side, ours, "A role was given", now),
        EventKind::StolenSession if soon && (ours || event.ip.is_none()) => {
            let stage = if ours { Stage::Confirmed } else { Stage::Suspected };
            Some(marked(event, stage, "the session for stolen", now))
        }
        EventKind::StolenPassword if event.time >= side.first - EXPOSED.delta() => {
            let mut signal = marked(event, Stage::Noted, "the password for known to others", now);
            signal.password_exposed = true;
            Some(signal)
        }
        EventKind::OddSignIn if soon && ours => {
            Some(marked(event, Stage::Suspected, "a sign-in from the same place for odd", now))
        }
        _ => None,
    }
}

/// A change of a factor or of a means of recovery that no administrator made.
fn change(event: &Event, kind: &str, now: Time) -> Option<Signal> {
    if event.changed_by == ChangedBy::Administrator {
        return None;
    }
    let reason =
        format!("A {kind} was changed after the first hostile prompt, by no administrator");
    let rule = "change_in_open_incident";
    let mut signal = breached(event, rule, reason, ApprovalSeen::None, now);
    signal.hostile_factor = event.factor_id.clone().map(|id| FactorSeen {
        account: event.account.clone(),
        id,
        factor: event.factor,
        added_at: event.time,
    });
    Some(signal)
}

/// What an attacker does once inside. From elsewhere, and with nobody let in, it is everyday work.
fn taken(event: &Event, side: &Side, ours: bool, what: &str, now: Time) -> Option<Signal> {
    let from_there = ours && event.time >= side.first;
    let let_in = side.entry.is_some_and(|entry| entry <= event.time);
    let reason = match (from_there, let_in) {
        (true, _) => format!("{what} from the hostile context"),
        (false, true) => format!("{what} after somebody was let in"),
        (false, false) => return None,
    };
    let mut signal = breached(event, "follow_on_action", reason, ApprovalSeen::None, now);
    // Somebody is inside: what was revoked before is revoked again.
    signal.hostile_entry_at = from_there.then_some(event.time);
    Some(signal)
}

/// The provider's own mark.
fn marked(event: &Event, stage: Stage, what: &str, now: Time) -> Signal {
    let kind = tame_field(&event.message);
    let reason = format!("The provider takes {what} (`{kind}`)");
    Signal { stage, ..breached(event, "provider_risk", reason, ApprovalSeen::None, now) }
}

fn breached(
    event: &Event,
    rule: &'static str,
    reason: String,
    approval: ApprovalSeen,
    now: Time,
) -> Signal {
    Signal {
        kind: AlertKind::MfaFatigue,
        stage: Stage::Breached,
        approval,
        reason,
        rule: rule.to_owned(),
        events: vec![event.clone()],
        first: event.time,
        last: event.time,
        password_exposed: event.kind == EventKind::Prompt && event.origin.exposes_password(),
        hostile: HostileContext::default(),
        hostile_entry_at: None,
        hostile_factor: None,
        campaign: None,
        stale: is_stale(event.time, now),
    }
}
