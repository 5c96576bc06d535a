//! What counts only within an open incident: a changed factor or recovery means, and a success
//! from the hostile context.

use super::signal::{About, FactorSeen, Open, Signal, is_stale};
use super::window::{AFTERMATH, Window, is_approval, is_success, shares};
use crate::model::alert::AlertKind;
use crate::model::event::{ChangedBy, Event, EventKind, EventOutcome};
use crate::model::id::EventId;
use crate::model::incident::{ApprovalSeen, HostileContext, Stage};
use crate::model::time::Time;

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

/// Changes of factors and means of recovery that no administrator made, after the first hostile event:
/// each once, also where the change was told of before the prompts.
pub(super) fn changes(window: &mut Window, about: &About<'_>) -> Vec<Signal> {
    let raised = window.raised().iter().map(|raised| raised.first).min();
    let Some(first) = about.open.map(|open| open.first_event_at).into_iter().chain(raised).min()
    else {
        return Vec::new();
    };
    let signals: Vec<(EventId, Signal)> = window
        .events()
        .filter(|event| event.time >= first && !window.is_change_told(&event.id))
        .filter_map(|event| Some((event.id.clone(), change(event, about.now)?)))
        .collect();
    let tell = |(id, signal)| {
        window.change_told(id);
        signal
    };
    signals.into_iter().map(tell).collect()
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
        && event.time <= open.last_evidence_at + AFTERMATH.delta();
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

fn change(event: &Event, now: Time) -> Option<Signal> {
    let kind = match event.kind {
        EventKind::FactorChange => "factor",
        EventKind::RecoveryChange => "recovery means",
        EventKind::Prompt | EventKind::SignIn | EventKind::TokenRefresh => return None,
    };
    if event.outcome != EventOutcome::Succeeded || event.changed_by == ChangedBy::Administrator {
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
