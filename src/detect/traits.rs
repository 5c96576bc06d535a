//! What can be odd about failed prompts: their outcome, and what is new for this person.
//!
//! New is what no success of the last thirty days came from, before the episode began. A record
//! that does not say (no network number, no country) is never odd by its silence.

use super::episode::Episode;
use super::signal::About;
use super::window::{AFTERMATH, Window};
use crate::model::event::{Event, EventKind, EventOutcome, Origin};
use crate::model::time::{Span, Time};

/// How long before the first prompt a contact with recovery matters.
const CONTACT: Span = Span::hours(1);
/// Two countries within this time are too far apart.
const TRAVEL: Span = Span::hours(2);

macro_rules! traits {
    ($($name:ident $word:literal $what:literal,)*) => {
        /// One thing that may hold of a prompt, or of an episode.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Trait { $(#[doc = $what] $name),* }

        impl Trait {
            pub(super) const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $word)),*];
        }
    };
}

traits! {
    Denied "denied" "The person said no.",
    Ignored "ignored" "Nobody answered.",
    WrongNumber "wrong_number" "The wrong number was chosen.",
    Reported "reported" "The person or the provider called it a fraud.",
    Privileged "privileged" "The person may change much.",
    NoContext "no_context" "The record names neither address nor network nor device.",
    NewIp "new_ip" "An address that is new for this person.",
    NewNetwork "new_network" "A network (ASN) that is new for this person.",
    NewCountry "new_country" "A country that is new for this person.",
    NewDevice "new_device" "A device that is new for this person, or that the provider calls new.",
    NewApp "new_app" "An application that is new for this person.",
    Unfamiliar "unfamiliar" "A new address, and no device or network that is known.",
    OwnContext "own_context" "All prompts are from a known device that the provider vouches for, where the person can be.",
    Elsewhere "elsewhere" "Not from such a device, or from where the person cannot be.",
    UnusualHour "unusual_hour" "An hour at which this person does not sign in.",
    ImpossibleTravel "impossible_travel" "Another country than two hours before.",
    Campaign "campaign" "Its source, new for this person, tries many people.",
    NoHistory "no_history" "No success of the person is known, so that all of it is new.",
    RecoveryBefore "recovery_before" "A reset or recovery change within the hour before.",
}

impl Trait {
    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, word)| *word)
    }

    /// Whether it can be said of one prompt.
    pub(super) fn is_of_a_prompt(self) -> bool {
        !matches!(self, Self::Reported | Self::Privileged | Self::RecoveryBefore)
    }

    /// Whether it holds of one prompt of an episode that began at `before`.
    pub(super) fn holds_of(self, window: &Window, event: &Event, before: Time) -> bool {
        let new_ip = event.ip.is_some() && !window.knows_ip(event.ip, before);
        let device = event.device.as_deref();
        match self {
            Self::Denied => event.outcome == EventOutcome::Denied,
            Self::Ignored => event.outcome == EventOutcome::TimedOut,
            Self::WrongNumber => event.outcome == EventOutcome::WrongAnswer,
            Self::NoContext => {
                let bare = event.ip.is_none() && event.asn.is_none() && device.is_none();
                bare && event.new_device.is_none()
            }
            Self::NewIp => new_ip,
            Self::NewNetwork => {
                let known =
                    window.knows_asn(event.asn, before) || window.knows_ip(event.ip, before);
                event.asn.is_some() && !known
            }
            Self::NewDevice => {
                event.new_device == Some(true)
                    || device.is_some() && !window.knows_device(device, before)
            }
            Self::NewCountry => {
                country(event).is_some_and(|c| !window.habits().knows_country(c, before))
            }
            Self::NewApp => {
                event.app.as_deref().is_some_and(|app| !window.habits().knows_app(app, before))
            }
            Self::Unfamiliar => {
                new_ip
                    && event.new_device != Some(false)
                    && !window.knows_device(device, before)
                    && !window.knows_asn(event.asn, before)
            }
            Self::OwnContext => is_own(window, event, before),
            Self::Elsewhere => !is_own(window, event, before),
            Self::Campaign => window.cover_of(event, before).is_some(),
            Self::NoHistory => window.is_blank(before),
            Self::UnusualHour => window.habits().is_unusual_hour(event.time),
            Self::ImpossibleTravel => is_far(window, event),
            Self::Reported | Self::Privileged | Self::RecoveryBefore => false,
        }
    }

    /// Whether it holds of an episode: of any prompt in it, or of what is around it.
    pub(super) fn holds(
        self,
        window: &Window,
        episode: &Episode<'_>,
        about: &About<'_>,
        told: bool,
    ) -> bool {
        match self {
            Self::Reported => {
                told || episode.failed.iter().any(|e| e.outcome == EventOutcome::Reported)
            }
            Self::Privileged => about.privileged,
            Self::RecoveryBefore => recovery_before(window, episode),
            // One prompt from elsewhere makes the whole of it suspect.
            Self::OwnContext => {
                episode.failed.iter().all(|e| self.holds_of(window, e, episode.first))
            }
            // A fan-out's copies may be what was answered.
            Self::Denied => episode.failed.iter().any(|e| self.holds_of(window, e, episode.first)),
            _ => episode.counted.iter().any(|e| self.holds_of(window, e, episode.first)),
        }
    }
}

pub(super) fn country(event: &Event) -> Option<&str> {
    event.place.as_ref()?.country.as_deref()
}

/// Whether a request came from a device that nobody else has, at a place where the person can be: one that is known, or
/// that they can have travelled to. A device whose keys were stolen would be somewhere else at the same time.
pub(super) fn is_own(window: &Window, event: &Event, before: Time) -> bool {
    let own = window.is_own_device(event.device.as_deref(), before);
    own && event.new_device != Some(true)
        && (window.knows_ip(event.ip, before) || !is_far(window, event))
}

/// A success in another country shortly before.
pub(super) fn is_far(window: &Window, event: &Event) -> bool {
    let Some(here) = country(event) else { return false };
    window.events().filter(|other| super::window::is_success(other)).any(|other| {
        let ago = event.time.signed_duration_since(other.time);
        ago >= Span::seconds(0).delta()
            && ago <= TRAVEL.delta()
            && country(other).is_some_and(|there| there != here)
    })
}

fn recovery_before(window: &Window, episode: &Episode<'_>) -> bool {
    window.events().any(|event| {
        let ago = episode.first.signed_duration_since(event.time);
        let contact = event.kind == EventKind::RecoveryChange || event.origin == Origin::Sspr;
        contact && ago >= -AFTERMATH.delta() && ago <= CONTACT.delta() && event.time < episode.last
    })
}
