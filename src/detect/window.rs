//! What is remembered of one subject: recent events that matter, where it signs in from,
//! and what has been said about it already. Bounded in every direction.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

use super::assess::{CONTEXT_MAX, Finding};
use super::campaign::{Cover, Part};
use super::habits::Habits;
use super::signal::About;
use super::traits::is_own;
use crate::model::event::{CLAIMED_DEVICE, Event, EventKind, EventOutcome};
use crate::model::id::{EventId, SourceId};
use crate::model::incident::{ApprovalSeen, HostileContext, MayCause, Stage};
use crate::model::time::{Span, Time};

/// An approval counts this long after the last failure.
pub(crate) const AFTERMATH: Span = Span::minutes(30);
/// A context is known if a success came from it within this time.
const MEMORY: Span = Span::hours(30 * 24);
/// So long somebody has to be known before what they never do is a habit.
const HABIT: Span = Span::hours(3 * 24);
/// How long events are kept after they arrived.
const KEEP: Span = Span::hours(48);
/// In an open incident the same episode speaks up at most once in this time.
const COALESCE: Span = Span::minutes(1);
const EVENTS_MAX: usize = 512;
const KNOWN_MAX: usize = 128;
const MARKS_MAX: usize = 32;
const COVERS_MAX: usize = 16;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    event: Event,
    seen_at: Time,
}

/// A context that successes came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Known {
    ip: Option<IpAddr>,
    asn: Option<u32>,
    device: Option<String>,
    first: Time,
    last: Time,
}

/// The person, or their provider for them, reported a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) id: String,
    pub(super) time: Time,
    pub(super) seen_at: Time,
}

/// What has been said about one episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Raised {
    pub(super) first: Time,
    pub(super) last: Time,
    pub(super) failed: usize,
    pub(super) stage: Stage,
    pub(super) approval: ApprovalSeen,
    entry_at: Option<Time>,
    /// The campaign that it was told to be of: by its rank, so that a narrower source is told as well.
    #[serde(default)]
    campaign: Option<(Part, String)>,
    /// The hostile side, as far as it was seen.
    #[serde(default)]
    pub(super) hostile: HostileContext,
    /// A journey of the person's own looks just like it, so far.
    #[serde(default)]
    slips: bool,
    told_failed: usize,
    told_at: Time,
}

/// What became of an event that was handed to a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// It was here before.
    Before,
    Kept,
    /// A success that teaches where the person signs in from.
    Learned,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Window {
    /// Oldest first, each id once.
    events: Vec<Kept>,
    known: Vec<Known>,
    #[serde(default)]
    habits: Habits,
    marks: Vec<Mark>,
    raised: Vec<Raised>,
    /// The newest entry into an open incident that was told.
    pub(super) entry_told: Option<Time>,
    /// Changes that were told, as long as they are kept.
    #[serde(default)]
    changes_told: Vec<EventId>,
    /// Campaigns that prompts of this person belong to.
    #[serde(default)]
    covers: Vec<Cover>,
    /// Who told of the failed prompts, by whose word most may be caused.
    #[serde(default)]
    told_by: Option<(MayCause, SourceId)>,
    touched: Option<Time>,
    /// Events that the whole knows of: as many as there were at the last look.
    #[serde(default)]
    pub(super) counted: usize,
}

impl Window {
    /// Remembers the event, and says what was made of it.
    pub(super) fn add(&mut self, event: &Event, about: &About<'_>) -> Added {
        if self.events.iter().any(|kept| kept.event.id == event.id) {
            return Added::Before;
        }
        let learned = is_success(event) && !self.is_tainted(event, about);
        if learned {
            self.learn(event);
        }
        if event.is_failed_prompt()
            && let Some(told) = about.told
        {
            let told = (told.may_cause, told.source.clone());
            // The same one whoever came last.
            self.told_by = self.told_by.take().max(Some(told));
        }
        if matters(event) {
            let place = self.events.partition_point(|kept| kept.event.time <= event.time);
            self.events.insert(place, Kept { event: event.clone(), seen_at: about.now });
            if self.events.len() > EVENTS_MAX {
                self.events.remove(0);
            }
        }
        if learned { Added::Learned } else { Added::Kept }
    }

    /// Prompts of this person belong to a campaign, or to more of it than before.
    pub(super) fn cover(&mut self, cover: Cover) {
        self.covers.retain(|known| !cover.replaces(known));
        if self.covers.len() >= COVERS_MAX {
            self.covers.remove(0);
        }
        self.covers.push(cover);
    }

    /// The campaign that a prompt is of, by the narrowest source.
    pub(super) fn cover_of(&self, event: &Event, before: Time) -> Option<&Cover> {
        let holding = self.covers.iter().filter(|cover| cover.holds(self, event, before));
        holding.min_by(|a, b| a.rank().cmp(&b.rank()))
    }

    pub(super) fn told_by(&self) -> Option<&SourceId> {
        self.told_by.as_ref().map(|(_, source)| source)
    }

    pub(super) fn mark(&mut self, mark: Mark) -> bool {
        if self.marks.iter().any(|known| known.id == mark.id) {
            return false;
        }
        if self.marks.len() >= MARKS_MAX {
            self.marks.remove(0);
        }
        self.marks.push(mark);
        true
    }

    pub(super) fn prune(&mut self, now: Time) {
        let old = |at: Time, span: Span| now.signed_duration_since(at) > span.delta();
        self.events.retain(|kept| !old(kept.seen_at, KEEP));
        let events = &self.events;
        self.changes_told.retain(|id| events.iter().any(|kept| kept.event.id == *id));
        self.marks.retain(|mark| !old(mark.seen_at, KEEP));
        self.raised.retain(|raised| !old(raised.told_at, KEEP));
        self.known.retain(|known| !old(known.last, MEMORY));
        self.covers.retain(|cover| !old(cover.last, KEEP));
        self.touched = Some(now);
        self.counted = self.events.len();
    }

    pub(super) fn is_change_told(&self, id: &EventId) -> bool {
        self.changes_told.contains(id)
    }

    pub(super) fn change_told(&mut self, id: EventId) {
        self.changes_told.push(id);
    }

    pub(super) fn touched(&self) -> Option<Time> {
        self.touched
    }

    pub(super) fn is_raised(&self) -> bool {
        !self.raised.is_empty()
    }

    pub(super) fn raised(&self) -> &[Raised] {
        &self.raised
    }

    pub(super) fn is_raised_near(&self, time: Time) -> bool {
        self.raised.iter().any(|raised| {
            raised.first - AFTERMATH.delta() <= time && time <= raised.last + AFTERMATH.delta()
        })
    }

    pub(super) fn events(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.events.iter().map(|kept| &kept.event)
    }

    pub(super) fn habits(&self) -> &Habits {
        &self.habits
    }

    /// Without one there is nothing to look at.
    pub(super) fn has_failed(&self) -> bool {
        self.events().any(Event::is_failed_prompt)
    }

    pub(super) fn is_marked(&self, first: Time, last: Time) -> bool {
        let around = first - AFTERMATH.delta()..=last + AFTERMATH.delta();
        self.marks.iter().any(|mark| around.contains(&mark.time))
    }

    /// Whether `holds` is true of some context that was known before `before`.
    fn knows(&self, before: Time, holds: impl Fn(&Known) -> bool) -> bool {
        self.known.iter().any(|known| {
            known.first < before
                && before.signed_duration_since(known.last) <= MEMORY.delta()
                && holds(known)
        })
    }

    pub(super) fn knows_ip(&self, ip: Option<IpAddr>, before: Time) -> bool {
        ip.is_some() && self.knows(before, |known| known.ip == ip)
    }

    /// Whether `holds` is true of an address that was known before `before`.
    pub(super) fn knows_any_ip(&self, before: Time, holds: impl Fn(IpAddr) -> bool) -> bool {
        self.knows(before, |known| known.ip.is_some_and(&holds))
    }

    pub(super) fn knows_asn(&self, asn: Option<u32>, before: Time) -> bool {
        asn.is_some() && self.knows(before, |known| known.asn == asn)
    }

    pub(super) fn knows_device(&self, device: Option<&str>, before: Time) -> bool {
        device.is_some() && self.knows(before, |known| known.device.as_deref() == device)
    }

    /// The same of a device that the provider vouches for: nobody else has it. What a client merely says
    /// of itself can be said by whoever has seen it.
    pub(super) fn is_own_device(&self, device: Option<&str>, before: Time) -> bool {
        device.is_some_and(is_vouched) && self.knows_device(device, before)
    }

    /// Whether the person is known for some days, and never brought a device that the provider vouches for: then none
    /// that is missing tells anything.
    pub(super) fn carries_nothing(&self, before: Time) -> bool {
        let vouched = |known: &Known| known.device.as_deref().is_some_and(is_vouched);
        self.knows(before - HABIT.delta(), |_| true) && !self.knows(before, vouched)
    }

    /// Whether a success then is the person's own, for all that can be told.
    pub(super) fn ends_slips(&self, time: Time) -> bool {
        let ends =
            |raised: &Raised| raised.first <= time && time <= raised.last + AFTERMATH.delta();
        self.raised.iter().any(|raised| raised.slips && ends(raised))
    }

    /// Whether a request came from somewhere that is not known. No history, or no context at
    /// all, is new.
    pub(super) fn is_new(&self, event: &Event, before: Time) -> bool {
        let device = event.device.as_deref();
        let bare = event.ip.is_none() && event.asn.is_none() && device.is_none();
        event.new_device == Some(true)
            || bare && event.new_device.is_none()
            || event.ip.is_some() && !self.knows_ip(event.ip, before)
            || event.asn.is_some()
                && !self.knows_asn(event.asn, before)
                && !self.knows_ip(event.ip, before)
            || device.is_some() && !self.knows_device(device, before)
    }

    /// Whether a request came from where the person signs in from, by nothing that is not known: it may be theirs,
    /// or somebody's who shares the address.
    pub(super) fn is_familiar(&self, event: &Event, before: Time) -> bool {
        let device = event.device.as_deref();
        self.knows_ip(event.ip, before)
            && event.new_device != Some(true)
            && (device.is_none() || self.knows_device(device, before))
    }

    /// Whether there is no success of the person to compare with.
    pub(super) fn is_blank(&self, before: Time) -> bool {
        !self.knows(before, |_| true)
    }

    fn learn(&mut self, event: &Event) {
        self.habits.learn(event);
        let same = |k: &Known| k.ip == event.ip && k.asn == event.asn && k.device == event.device;
        if let Some(known) = self.known.iter_mut().find(|known| same(known)) {
            known.first = known.first.min(event.time);
            known.last = known.last.max(event.time);
            return;
        }
        if self.known.len() >= KNOWN_MAX {
            let oldest = self.known.iter().enumerate().min_by_key(|(_, known)| known.last);
            if let Some((index, _)) = oldest {
                self.known.swap_remove(index);
            }
        }
        self.known.push(Known {
            ip: event.ip,
            asn: event.asn,
            device: event.device.clone(),
            first: event.time,
            last: event.time,
        });
    }

    /// A success on the heels of failed prompts from the same place teaches nothing: the
    /// attacker's own must not make their address a known one.
    fn is_tainted(&self, event: &Event, about: &About<'_>) -> bool {
        let open = about.open.is_some_and(|open| shares(&open.hostile, event));
        // Nobody else has the person's own device: what failed there is theirs, and so is the place.
        let own = |e: &Event| is_own(self, e, e.time);
        let theirs = own(event);
        open || self.events().filter(|e| e.is_failed_prompt()).any(|failed| {
            if theirs && own(failed) {
                return false;
            }
            let after = event.time.signed_duration_since(failed.time);
            after >= Span::seconds(0).delta()
                && after <= AFTERMATH.delta()
                && (event.ip.is_some() && event.ip == failed.ip
                    || event.session.is_some() && event.session == failed.session
                    || event.device.is_some() && event.device == failed.device)
        })
    }

    /// Notes what a finding supports; `true` if that is more than was said before.
    pub(super) fn raise(&mut self, finding: &Finding, about: &About<'_>) -> bool {
        let slack = if finding.failed == 0 { AFTERMATH } else { super::episode::GAP };
        let before = self.raised.iter_mut().find(|raised| {
            let slack = if raised.failed == 0 { AFTERMATH } else { slack };
            raised.first - slack.delta() <= finding.last
                && finding.first <= raised.last + slack.delta()
        });
        let Some(raised) = before else {
            self.raised.push(Raised {
                first: finding.first,
                last: finding.last,
                failed: finding.failed,
                stage: finding.stage,
                approval: finding.approval,
                entry_at: finding.entry_at,
                campaign: finding.source.clone(),
                hostile: finding.hostile.clone(),
                slips: finding.slips,
                told_failed: finding.failed,
                told_at: about.now,
            });
            return true;
        };
        let quiet = about.now.signed_duration_since(raised.told_at) < COALESCE.delta();
        let more = finding.stage > raised.stage
            || finding.approval > raised.approval
            || finding.entry_at > raised.entry_at
            || is_narrower(finding.source.as_ref(), raised.campaign.as_ref())
            || about.open.is_some() && finding.failed > raised.told_failed && !quiet;
        raised.first = raised.first.min(finding.first);
        raised.last = raised.last.max(finding.last);
        raised.failed = raised.failed.max(finding.failed);
        raised.slips = finding.slips;
        raised.hostile.merge(&finding.hostile, CONTEXT_MAX);
        if more {
            raised.stage = raised.stage.max(finding.stage);
            raised.approval = raised.approval.max(finding.approval);
            raised.entry_at = raised.entry_at.max(finding.entry_at);
            if is_narrower(finding.source.as_ref(), raised.campaign.as_ref()) {
                raised.campaign.clone_from(&finding.source);
            }
            raised.told_failed = finding.failed;
            raised.told_at = about.now;
        }
        more
    }
}

fn is_vouched(device: &str) -> bool {
    !device.starts_with(CLAIMED_DEVICE)
}

fn is_narrower(new: Option<&(Part, String)>, known: Option<&(Part, String)>) -> bool {
    new.is_some_and(|new| known.is_none_or(|known| new < known))
}

/// A prompt answered with yes.
pub(super) fn is_approval(event: &Event) -> bool {
    event.is_approved_prompt()
}

/// Somebody got in.
pub(super) fn is_success(event: &Event) -> bool {
    let signed_in = matches!(event.kind, EventKind::SignIn | EventKind::TokenRefresh)
        && event.outcome == EventOutcome::Succeeded;
    signed_in || is_approval(event)
}

fn matters(event: &Event) -> bool {
    let change = event.kind.is_watched() && event.outcome == EventOutcome::Succeeded;
    event.is_failed_prompt() || change || is_success(event) && event.kind != EventKind::TokenRefresh
}

/// Whether an event comes from a hostile context.
pub(super) fn shares(hostile: &HostileContext, event: &Event) -> bool {
    let among =
        |list: &[String], one: &Option<String>| one.as_ref().is_some_and(|o| list.contains(o));
    among(&hostile.sessions, &event.session)
        || among(&hostile.correlations, &event.correlation)
        || among(&hostile.devices, &event.device)
        || event.ip.is_some_and(|ip| hostile.ips.contains(&ip))
        || event.asn.is_some_and(|asn| hostile.asns.contains(&asn))
}
