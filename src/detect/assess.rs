//! What an episode, with the approvals and reports around it, supports.

use std::fmt::Write as _;

use super::campaign::{Cover, Part};
use super::episode::Episode;
use super::rules::Rule;
use super::signal::{About, Signal, is_stale};
use super::traits::{Trait, is_far, is_own};
use super::window::{AFTERMATH, Window, is_approval, is_success, shares};
use crate::model::alert::AlertKind;
use crate::model::event::{ChangedBy, Event, EventKind, EventOutcome};
use crate::model::incident::{ApprovalSeen, Campaign, HostileContext, Stage};
use crate::model::time::{Span, Time};

/// Whoever was asked in vain so shortly before does not slip again.
const DAY: Span = Span::hours(24);
/// Most values that are kept of each part of a context.
pub(super) const CONTEXT_MAX: usize = 32;

/// The assessment of one episode, free of the window it was made from.
pub(super) struct Finding {
    kind: AlertKind,
    pub(super) stage: Stage,
    pub(super) approval: ApprovalSeen,
    pub(super) entry_at: Option<Time>,
    pub(super) first: Time,
    pub(super) last: Time,
    pub(super) failed: usize,
    rule: String,
    reason: String,
    events: Vec<Event>,
    pub(super) hostile: HostileContext,
    /// See [`are_slips`].
    pub(super) slips: bool,
    campaign: Option<Campaign>,
    /// What the campaign's tries share.
    pub(super) source: Option<(Part, String)>,
}

impl Finding {
    pub(super) fn signal(self, about: &About<'_>) -> Signal {
        let prompts = self.events.iter().filter(|e| e.kind == EventKind::Prompt);
        Signal {
            kind: self.kind,
            stage: self.stage,
            approval: self.approval,
            reason: self.reason,
            rule: self.rule,
            password_exposed: prompts.clone().any(|event| event.origin.exposes_password()),
            first: self.first,
            last: self.last,
            hostile: self.hostile,
            hostile_entry_at: self.entry_at,
            hostile_factor: None,
            campaign: self.campaign,
            stale: is_stale(self.entry_at.unwrap_or(self.last).max(self.last), about.now),
            events: self.events,
        }
    }
}

/// The person's own word, without failed prompts beside it.
pub(super) fn report_alone(time: Time) -> Finding {
    Finding {
        kind: AlertKind::MfaFraudReported,
        stage: Stage::Suspected,
        approval: ApprovalSeen::None,
        entry_at: None,
        first: time,
        last: time,
        failed: 0,
        rule: "report".into(),
        reason: "The person reported a prompt that they did not ask for".into(),
        events: Vec::new(),
        hostile: HostileContext::default(),
        slips: false,
        campaign: None,
        source: None,
    }
}

/// One use of what is not used.
pub(super) fn use_alone(rule: &Rule, event: &Event) -> Finding {
    let from = event.ip.map(|ip| format!(" from {ip}")).unwrap_or_default();
    Finding {
        kind: AlertKind::MfaFatigue,
        stage: rule.stage,
        approval: ApprovalSeen::None,
        entry_at: None,
        first: event.time,
        last: event.time,
        failed: 0,
        rule: rule.name.clone(),
        reason: format!("An account of which nothing is expected: {}{from}", event.words()),
        events: vec![event.clone()],
        hostile: HostileContext::default(),
        slips: false,
        campaign: None,
        source: None,
    }
}

pub(super) fn assess(
    window: &Window,
    episode: &Episode<'_>,
    rules: &[&Rule],
    about: &About<'_>,
) -> Option<Finding> {
    let told = window.is_marked(episode.first, episode.last);
    let found = by_rules(window, episode, rules, about, told);
    let (stage, rule) = (found.map(|rule| rule.stage), found.map_or("", |rule| &rule.name));
    if stage.is_none() && !belongs(window, episode, about) {
        return None;
    }
    let slips = stage <= Some(Stage::Noted) && are_slips(window, episode, about);
    let entries = entries(window, episode, about, slips);
    let approval = entries.iter().map(|(seen, _)| *seen).max().unwrap_or_default();
    let (stage, rule) = match approval {
        // Told in order, the prompts would have opened the incident that the approval is in.
        ApprovalSeen::Hostile => (Stage::Breached, "hostile_approval"),
        ApprovalSeen::Unknown => {
            (stage.unwrap_or(Stage::Confirmed).max(Stage::Confirmed), "unknown_approval")
        }
        ApprovalSeen::Own | ApprovalSeen::None => (stage?, rule),
    };
    let cover = cover(window, episode);
    let reported = told || episode.failed.iter().any(|e| e.outcome == EventOutcome::Reported);
    let foreign = |seen: &ApprovalSeen| *seen == ApprovalSeen::Hostile;
    let hostile_entries = entries.iter().filter(|(seen, _)| foreign(seen)).map(|(_, event)| *event);
    Some(Finding {
        kind: if reported { AlertKind::MfaFraudReported } else { AlertKind::MfaFatigue },
        stage,
        approval,
        entry_at: hostile_entries.clone().map(|event| event.time).max(),
        first: episode.first,
        last: episode.last,
        failed: episode.counted.len(),
        rule: rule.to_owned(),
        reason: reason(window, episode, approval, told),
        hostile: context(window, episode, hostile_entries),
        slips,
        campaign: cover.map(Cover::campaign),
        source: cover.map(Cover::source),
        events: evidence(episode, &entries),
    })
}

/// The campaign that some prompt of an episode is of.
fn cover<'w>(window: &'w Window, episode: &Episode<'_>) -> Option<&'w Cover> {
    let covers = episode.counted.iter().filter_map(|e| window.cover_of(e, episode.first));
    covers.min_by(|a, b| a.rank().cmp(&b.rank()))
}

/// Whether a few failed prompts, too few by themselves, continue the open incident: they come
/// from its hostile context, or it names none and they are from no
/// device of the person's own.
fn belongs(window: &Window, episode: &Episode<'_>, about: &About<'_>) -> bool {
    about.open.is_some_and(|open| {
        let foreign = |event: &Event| !window.is_own_device(event.device.as_deref(), episode.first);
        open.hostile == HostileContext::default()
            && episode.failed.iter().any(|event| foreign(event))
            || episode.failed.iter().any(|event| shares(&open.hostile, event))
    })
}

/// The detection that supports most, without any approval. Of equal ones the first, by name.
fn by_rules<'r>(
    window: &Window,
    episode: &Episode<'_>,
    rules: &[&'r Rule],
    about: &About<'_>,
    told: bool,
) -> Option<&'r Rule> {
    let fires = |rule: &&Rule| missing(window, episode, rule, about, told).is_none();
    let firing = rules.iter().copied().filter(fires);
    // `max_by_key` gives the last of equals.
    firing.rev().max_by_key(|rule| rule.stage)
}

/// What an episode lacks for a detection, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Prompts {
        most: usize,
        needed: usize,
    },
    Addresses {
        most: usize,
        needed: usize,
    },
    Trait(Trait),
    /// It holds, and must not.
    Barred(Trait),
    AnyOf,
    Points {
        has: u32,
        needed: u32,
    },
}

pub(super) fn missing(
    window: &Window,
    episode: &Episode<'_>,
    rule: &Rule,
    about: &About<'_>,
    told: bool,
) -> Option<Missing> {
    let holds = |one: &Trait| one.holds(window, episode, about, told);
    // Cheapest first: most episodes are too short for most detections.
    let all = episode.counted.len();
    let most = if all < rule.failed { all } else { episode.peak(window, rule.within, &rule.of) };
    if most < rule.failed {
        return Some(Missing::Prompts { most, needed: rule.failed });
    }
    if rule.sources > 1 {
        let most = episode.addresses(window, rule.within, &rule.of);
        if most < rule.sources {
            return Some(Missing::Addresses { most, needed: rule.sources });
        }
    }
    if let Some(lacks) = rule.all.iter().find(|one| !holds(one)) {
        return Some(Missing::Trait(*lacks));
    }
    if let Some(has) = rule.none.iter().find(|one| holds(one)) {
        return Some(Missing::Barred(*has));
    }
    if !rule.any.is_empty() && !rule.any.iter().any(holds) {
        return Some(Missing::AnyOf);
    }
    let has = points(rule, holds);
    (has < rule.score).then_some(Missing::Points { has, needed: rule.score })
}

fn points(rule: &Rule, holds: impl Fn(&Trait) -> bool) -> u32 {
    rule.weights.iter().filter(|(one, _)| holds(one)).map(|(_, points)| points).sum()
}

/// Successes between the first failure and half an hour after the last, and whose they were.
fn entries<'w>(
    window: &'w Window,
    episode: &Episode<'_>,
    about: &About<'_>,
    slips: bool,
) -> Vec<(ApprovalSeen, &'w Event)> {
    let whose = |event: &Event| match whose(window, episode, event, about.privileged) {
        ApprovalSeen::Hostile if slips && !is_far(window, event) => ApprovalSeen::Unknown,
        seen => seen,
    };
    window
        .events()
        .filter(|event| is_success(event))
        // A slow chain has long pauses, and an approval counts for half an hour only.
        .filter(|event| {
            let follows = |failed: &&Event| {
                event.time > failed.time && event.time <= failed.time + AFTERMATH.delta()
            };
            episode.failed.iter().any(follows)
        })
        .map(|event| (whose(event), event))
        // A sign-in of the person's own is everyday life; only an approval must be explained.
        .filter(|(seen, event)| is_approval(event) || *seen == ApprovalSeen::Hostile)
        .collect()
}

/// Whether a journey looks just like this: a first few prompts, by themselves only noted, of an ordinary person who never
/// brings a device that could be told from an attacker's, and nothing done after them. Whoever says no twice, or chooses
/// a wrong number, did not ask for them.
fn are_slips(window: &Window, episode: &Episode<'_>, about: &About<'_>) -> bool {
    let failed = || episode.failed.iter();
    let said_no = failed().filter(|e| e.outcome == EventOutcome::Denied).count();
    let guessed = failed().any(|e| e.outcome == EventOutcome::WrongAnswer);
    let before = episode.first - DAY.delta()..episode.first;
    let after = episode.first..episode.last + AFTERMATH.delta();
    let more = |event: &Event| {
        event.is_failed_prompt() && before.contains(&event.time)
            || event.kind.is_watched()
                && event.changed_by != ChangedBy::Administrator
                && after.contains(&event.time)
    };
    !about.privileged
        && said_no < 2
        && !guessed
        && cover(window, episode).is_none()
        && window.carries_nothing(episode.first)
        && !window.events().any(more)
        && !failed().any(|failed| is_far(window, failed))
}

/// Whose an approval was. Flow and session settle it; an address, network or device does only
/// where it is not the person's own as well.
fn whose(window: &Window, episode: &Episode<'_>, event: &Event, privileged: bool) -> ApprovalSeen {
    let before = episode.first;
    let any = |same: &dyn Fn(&Event) -> bool| episode.failed.iter().any(|failed| same(failed));
    let flow = any(&|f| f.correlation.is_some() && f.correlation == event.correlation)
        || any(&|f| f.session.is_some() && f.session == event.session);
    let ip = any(&|f| f.ip.is_some() && f.ip == event.ip);
    let device = any(&|f| f.device.is_some() && f.device == event.device);
    let asn = any(&|f| f.asn.is_some() && f.asn == event.asn);
    let own_ip = window.knows_ip(event.ip, before);
    let own_device = window.knows_device(event.device.as_deref(), before);
    let own_asn = window.knows_asn(event.asn, before);
    // Nobody else has the person's own device: a burst that all came from it is their own mishap.
    let same_device = |e: &Event| window.is_own_device(e.device.as_deref(), before);
    let own_burst = same_device(event) && episode.failed.iter().all(|failed| same_device(failed));
    // Of who may change much it is asked, wherever they are for the first time.
    let own_place = own_ip || !privileged && is_own(window, event, before);
    // Without a device that is vouched for, a known address is the person's or a neighbour's.
    let familiar = window.is_familiar(event, before)
        && episode.failed.iter().all(|failed| window.is_familiar(failed, before));
    if own_burst {
        if own_place { ApprovalSeen::Own } else { ApprovalSeen::Unknown }
    } else if familiar && (flow || ip || device) {
        ApprovalSeen::Unknown
    } else if flow || ip && !own_ip || device && !own_device || asn && !own_asn && !own_ip {
        ApprovalSeen::Hostile
    } else if ip || device {
        ApprovalSeen::Unknown
    } else if own_ip || own_device {
        ApprovalSeen::Own
    } else {
        ApprovalSeen::Unknown
    }
}

fn evidence(episode: &Episode<'_>, entries: &[(ApprovalSeen, &Event)]) -> Vec<Event> {
    let failed = episode.failed.iter().map(|event| (*event).clone());
    let mut events: Vec<_> =
        failed.chain(entries.iter().map(|(_, event)| (*event).clone())).collect();
    events.sort_by_key(|event| event.time);
    events
}

/// The hostile side, without what is the person's own as well.
fn context<'e>(
    window: &Window,
    episode: &Episode<'e>,
    entries: impl Iterator<Item = &'e Event>,
) -> HostileContext {
    let mut context = HostileContext::default();
    let before = episode.first;
    for event in episode.failed.iter().copied().chain(entries) {
        // Else the person's own session would be a hostile entry into their own incident.
        let own = window.is_own_device(event.device.as_deref(), before);
        if own || window.is_familiar(event, before) {
            continue;
        }
        if !window.knows_ip(event.ip, before) {
            keep(&mut context.ips, event.ip);
        }
        if !window.knows_asn(event.asn, before) {
            keep(&mut context.asns, event.asn);
        }
        if !window.knows_device(event.device.as_deref(), before) {
            keep(&mut context.devices, event.device.clone());
        }
        keep(&mut context.sessions, event.session.clone());
        keep(&mut context.correlations, event.correlation.clone());
    }
    context
}

fn keep<T: PartialEq>(list: &mut Vec<T>, item: Option<T>) {
    if let Some(item) = item.filter(|item| list.len() < CONTEXT_MAX && !list.contains(item)) {
        list.push(item);
    }
}

fn reason(window: &Window, episode: &Episode<'_>, approval: ApprovalSeen, told: bool) -> String {
    let count = episode.counted.len();
    let took = episode.last.signed_duration_since(episode.first).num_seconds();
    let mut out =
        format!("{count} failed prompt{} within {took} s", if count == 1 { "" } else { "s" });
    let unknown = |event: &&&Event| window.is_new(event, episode.first);
    if let Some(ip) = episode.counted.iter().find(unknown).and_then(|event| event.ip) {
        // Writing to a String cannot fail.
        write!(out, " from {ip}, which is new for this person").ok();
    }
    if let Some(cover) = cover(window, episode) {
        write!(out, "; the same {} (a campaign)", cover.words()).ok();
    }
    if told {
        out.push_str(", and the person reported it");
    }
    match approval {
        ApprovalSeen::Hostile => out.push_str(", then an approval from the same context"),
        ApprovalSeen::Unknown => out.push_str(", then an approval that cannot be told apart"),
        ApprovalSeen::Own => out.push_str("; the approval beside it is the person's own"),
        ApprovalSeen::None => {}
    }
    out
}
