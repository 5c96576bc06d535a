//! One source against many people: what is remembered of sources, across subjects.
//!
//! Only tries from somewhere that is new for the person count, so that an office's address or a company's
//! VPN is nobody's campaign; nor is a source from which as many people sign in with devices that
//! their provider vouches for. What counts is a set of facts: in whatever order they come, the same
//! prompts are a campaign's. A campaign raises nothing by itself: it is a trait (`campaign`) of a person's own prompts.
//!
//! Bounded in every direction; a source that only records is not asked.

mod familiar;
mod source;

use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::window::Window;
use crate::model::event::Event;
use crate::model::incident::Campaign;
use crate::model::time::{Span, Time};

use familiar::Familiar;
use source::{Covered, Source, Try};
pub(super) use source::{Part, Tries};

/// Sources that are kept in memory at most; the longest idle ones go first.
const SOURCES_MAX: usize = 20_000;
/// As long as a subject's events.
const KEEP: Span = Span::hours(48);

/// What makes a campaign.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CampaignRule {
    pub(crate) name: String,
    /// What the tries share.
    pub(crate) by: Vec<Part>,
    /// What is tried.
    pub(crate) tries: Tries,
    /// So many different people …
    pub(crate) people: usize,
    /// … in this time.
    pub(crate) within: Span,
    /// How long afterwards a prompt from the source still belongs to it.
    pub(crate) after: Span,
}

/// Prompts of one person that belong to a campaign: from when to when, and from where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Cover {
    part: Part,
    key: String,
    first: Time,
    pub(super) last: Time,
    people: u32,
    tries: Tries,
}

impl Cover {
    /// Whether a prompt is of the campaign: of its time, from its source, which is new for the person.
    pub(super) fn holds(&self, window: &Window, event: &Event, before: Time) -> bool {
        self.first <= event.time
            && event.time <= self.last
            && self.part.of(event).is_some_and(|key| key == self.key)
            && self.part.is_new(window, event, before)
    }

    /// Of several the narrowest source is told, and of one source what tried most people: the lowest.
    pub(super) fn rank(&self) -> (Part, &str, Reverse<u32>) {
        (self.part, &self.key, Reverse(self.people))
    }

    /// The source, and what it did to how many.
    pub(super) fn words(&self) -> String {
        let done = match self.tries {
            Tries::Prompts => "asked",
            Tries::Passwords => "tried the passwords of",
        };
        format!("{} {done} {} people", self.key, self.people)
    }

    pub(super) fn source(&self) -> (Part, String) {
        (self.part, self.key.clone())
    }

    /// As the incident carries it.
    pub(super) fn campaign(&self) -> Campaign {
        let id = format!("c-{:012x}", super::habits::digest("campaign", &self.key) >> 16);
        Campaign { id, key: self.key.clone(), people: self.people }
    }

    /// Of the same source and kind: what is new takes the place of the old.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        self.key == other.key
            && self.tries == other.tries
            && self.first <= other.last
            && other.first <= self.last
    }
}

/// The sources of all tries.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Campaigns {
    sources: BTreeMap<String, Source>,
    familiar: Familiar,
}

/// What one try changed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Changed {
    /// Campaigns that the event is of.
    pub(super) own: Vec<Cover>,
    /// Other people, of whose prompts more belong to a campaign than before.
    pub(super) others: Vec<(String, Cover)>,
}

impl Campaigns {
    /// Somebody signed in with a device that the provider vouches for: where from is no attacker's place.
    pub(super) fn learn(&mut self, person: &str, event: &Event) {
        for key in Part::ALL.iter().filter_map(|(part, _)| part.of(event)) {
            self.familiar.note(&key, person, event.time);
        }
    }

    /// Takes a try in. `window` is the person's, and knows what is new for them.
    pub(super) fn take(
        &mut self,
        person: &str,
        event: &Event,
        window: &Window,
        rules: &[CampaignRule],
        now: Time,
    ) -> Changed {
        let Some(tries) = Tries::of(event, window) else { return Changed::default() };
        let mut changed = Changed::default();
        for (part, _) in Part::ALL {
            let rules: Vec<&CampaignRule> = rules.iter().filter(|r| r.by.contains(part)).collect();
            let Some(key) = part.of(event).filter(|_| !rules.is_empty()) else { continue };
            if !part.is_new(window, event, event.time) {
                continue;
            }
            let known = self.familiar.people(&key);
            let source = self.source(&key, now);
            let one = Try { person: person.to_owned(), at: event.time, tries };
            let more = source.take(&one, &rules, known, now);
            let cover = |covered: &Covered| Cover {
                part: *part,
                key: key.clone(),
                first: covered.first,
                last: covered.last,
                people: covered.people,
                tries: covered.tries,
            };
            let covered = source.covered();
            changed.own.extend(covered.iter().filter(|c| c.holds(event.time)).map(cover));
            for (other, which) in more.iter().filter(|(other, _)| other != person) {
                changed.others.extend(covered.get(*which).map(|c| (other.clone(), cover(c))));
            }
        }
        changed
    }

    fn source(&mut self, key: &str, now: Time) -> &mut Source {
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(key) {
            self.make_room(now);
        }
        self.sources.entry(key.to_owned()).or_default()
    }

    /// Drops what is too old, and of the rest the tenth that has been idle longest; campaigns last.
    fn make_room(&mut self, now: Time) {
        self.sources.retain(|_, source| !source.is_older(now - KEEP.delta()));
        if self.sources.len() < SOURCES_MAX {
            return;
        }
        let rank = |(key, source): (&String, &Source)| (source.rank(), key.clone());
        let ranked: BTreeSet<_> = self.sources.iter().map(rank).collect();
        for (_, key) in ranked.into_iter().take(SOURCES_MAX / 10) {
            self.sources.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
