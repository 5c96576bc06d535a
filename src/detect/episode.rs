//! Failed prompts of one subject, put together into episodes.
//!
//! An episode is a chain of failed prompts with gaps of at most ten minutes. One push that
//! goes to several devices counts once, and a known device's VPN client that keeps
//! reconnecting does not count at all. Typed codes are no prompts to tire anybody with.

use std::collections::BTreeSet;

use super::traits::Trait;
use super::window::{AFTERMATH, Window};
use crate::model::event::{Event, EventOutcome, Factor, Origin};
use crate::model::time::{Span, Time};

/// Longest pause within an episode, and, unless a detection says otherwise, the span in which
/// prompts are counted.
pub(super) const GAP: Span = Span::minutes(10);
/// Prompts this close together, of one flow, are one push to several devices.
const FAN_OUT: Span = Span::seconds(2);

pub(super) struct Episode<'w> {
    /// Every failed prompt, those that count only once included.
    pub(super) failed: Vec<&'w Event>,
    /// Prompts that count.
    pub(super) counted: Vec<&'w Event>,
    pub(super) first: Time,
    pub(super) last: Time,
}

impl Episode<'_> {
    /// Most prompts within a time, of those that have all of `of`.
    pub(super) fn peak(&self, window: &Window, span: Span, of: &[Trait]) -> usize {
        if of.is_empty() {
            return peak(&self.counted, span);
        }
        let counts = |event: &&&Event| {
            of.iter().all(|one| one.holds_of(window, event, self.first.min(event.time)))
        };
        let counted: Vec<&Event> = self.counted.iter().filter(counts).copied().collect();
        peak(&counted, span)
    }

    /// Most different addresses within a time, of the prompts that have all of `of`.
    pub(super) fn addresses(&self, window: &Window, span: Span, of: &[Trait]) -> usize {
        let counts = |event: &&&Event| {
            of.iter().all(|one| one.holds_of(window, event, self.first.min(event.time)))
        };
        let counted: Vec<&Event> = self.counted.iter().filter(counts).copied().collect();
        let within = |from: usize| {
            let start = counted[from].time;
            let rest = counted[from..].iter();
            let near = rest.take_while(|e| e.time.signed_duration_since(start) <= span.delta());
            near.filter_map(|e| e.ip).collect::<BTreeSet<_>>().len()
        };
        (0..counted.len()).map(within).max().unwrap_or_default()
    }

    pub(super) fn overlaps(&self, other: &Episode<'_>) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Whether something at `time` can matter to it.
    pub(super) fn is_near(&self, time: Time) -> bool {
        self.first - AFTERMATH.delta() <= time && time <= self.last + AFTERMATH.delta()
    }
}

/// Chains of failed prompts with pauses of at most `pause`, of prompts that have all of `of`.
pub(super) fn episodes<'w>(window: &'w Window, pause: Span, of: &[Trait]) -> Vec<Episode<'w>> {
    let counts = |event: &&Event| {
        is_prompt_try(window, event) && of.iter().all(|one| one.holds_of(window, event, event.time))
    };
    let mut all: Vec<Episode<'w>> = Vec::new();
    for event in window.events().filter(counts) {
        match all.last_mut() {
            Some(open) if event.time.signed_duration_since(open.last) <= pause.delta() => {
                let leader = open.counted.last();
                if leader.is_none_or(|leader| !is_same_push(leader, event)) {
                    open.counted.push(event);
                }
                open.failed.push(event);
                open.last = event.time;
            }
            _ => all.push(Episode {
                failed: vec![event],
                counted: vec![event],
                first: event.time,
                last: event.time,
            }),
        }
    }
    all
}

/// A prompt that counts as somebody's try.
pub(super) fn is_prompt_try(window: &Window, event: &Event) -> bool {
    is_tiring(event) && !is_reconnect(window, event)
}

/// A prompt that came to the person without their doing, and was not approved.
fn is_tiring(event: &Event) -> bool {
    let typed = matches!(
        event.factor,
        Some(Factor::Otp | Factor::Sms | Factor::Email | Factor::Password | Factor::Fido)
    );
    event.is_failed_prompt() && !typed
}

fn is_reconnect(window: &Window, event: &Event) -> bool {
    let device = event.device.as_deref();
    let familiar = window.knows_device(device, event.time) || event.new_device == Some(false);
    event.origin == Origin::Vpn
        && event.outcome == EventOutcome::TimedOut
        && familiar
        && (event.ip.is_none() || window.knows_ip(event.ip, event.time))
}

fn is_same_push(leader: &Event, event: &Event) -> bool {
    let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    event.time.signed_duration_since(leader.time) <= FAN_OUT.delta()
        && (same(&leader.session, &event.session)
            || same(&leader.correlation, &event.correlation)
            || leader.ip.is_some() && leader.ip == event.ip)
}

/// Most of these prompts within a time.
fn peak(counted: &[&Event], span: Span) -> usize {
    let within = |from: usize| {
        let start = counted[from].time;
        let rest = counted[from..].iter();
        rest.take_while(|e| e.time.signed_duration_since(start) <= span.delta()).count()
    };
    (0..counted.len()).map(within).max().unwrap_or_default()
}
