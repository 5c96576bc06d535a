//! One source: whom it tried and when, and which times of it are a campaign's.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::episode::is_prompt_try;
use super::super::window::Window;
use super::{CampaignRule, KEEP};
use crate::model::event::{Event, EventKind, EventOutcome, Factor};
use crate::model::text::tame_field;
use crate::model::time::Time;

/// Tries that are kept of one source, and of one person from it.
const TRIES_MAX: usize = 1_024;
const OF_ONE_MAX: usize = 16;
/// People who know a source so that it is nobody's campaign, however many it tries.
const HOUSEHOLD: usize = 32;

/// What tries may have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Part {
    // The narrowest first.
    Ip,
    Device,
    Network,
    Asn,
}

impl Part {
    /// Every part, with the word that a file says it by.
    pub(crate) const ALL: &'static [(Self, &'static str)] = &[
        (Self::Ip, "ip"),
        (Self::Network, "network"),
        (Self::Asn, "asn"),
        (Self::Device, "device"),
    ];

    /// The source, as people and keys name it.
    pub(super) fn of(self, event: &Event) -> Option<String> {
        match self {
            Self::Ip => event.ip.map(|ip| format!("address {}", ip.to_canonical())),
            Self::Network => event.ip.map(network),
            Self::Asn => event.asn.map(|asn| format!("AS{asn}")),
            Self::Device => event.device.as_deref().map(|d| format!("device {}", tame_field(d))),
        }
    }

    /// Whether no success of the person came from there before.
    pub(super) fn is_new(self, window: &Window, event: &Event, before: Time) -> bool {
        let new_ip = !window.knows_ip(event.ip, before);
        match self {
            Self::Ip => new_ip,
            Self::Network => {
                let here = event.ip.map(network);
                !window.knows_any_ip(before, |ip| Some(network(ip)) == here)
            }
            Self::Asn => new_ip && !window.knows_asn(event.asn, before),
            Self::Device => !window.knows_device(event.device.as_deref(), before),
        }
    }
}

/// Where addresses change within: /24, and /64 of the newer kind.
fn network(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let base = Ipv4Addr::from_bits(ip.to_bits() & 0xffff_ff00);
            format!("network {base}/24")
        }
        IpAddr::V6(ip) => {
            let base = Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX));
            format!("network {base}/64")
        }
    }
}

/// What is tried on people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Tries {
    /// Prompts that they did not approve.
    Prompts,
    /// Passwords that were wrong.
    Passwords,
}

impl Tries {
    /// Every kind, with the word that a file says it by.
    pub(crate) const ALL: &'static [(Self, &'static str)] =
        &[(Self::Prompts, "prompts"), (Self::Passwords, "passwords")];

    pub(super) fn of(event: &Event, window: &Window) -> Option<Self> {
        let password = matches!(event.factor, None | Some(Factor::Password))
            && matches!(event.kind, EventKind::SignIn | EventKind::Prompt)
            && event.outcome == EventOutcome::Failed;
        if password {
            return Some(Self::Passwords);
        }
        is_prompt_try(window, event).then_some(Self::Prompts)
    }
}

/// One try on one person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Try {
    pub(super) at: Time,
    pub(super) person: String,
    pub(super) tries: Tries,
}

/// A time in which what a source did is a campaign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Covered {
    pub(super) first: Time,
    pub(super) last: Time,
    pub(super) people: u32,
    pub(super) tries: Tries,
}

impl Covered {
    pub(super) fn holds(&self, at: Time) -> bool {
        self.first <= at && at <= self.last
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Source {
    /// By time, each once.
    tries: BTreeSet<Try>,
    covered: Vec<Covered>,
    touched: Time,
}

impl Source {
    pub(super) fn covered(&self) -> &[Covered] {
        &self.covered
    }

    pub(super) fn is_older(&self, than: Time) -> bool {
        self.touched < than
    }

    /// What goes first when room is needed: the lowest.
    pub(super) fn rank(&self) -> (bool, Time) {
        (!self.covered.is_empty(), self.touched)
    }

    /// People of whose prompts more are in a campaign than before, and in which of its times. `known` people sign in
    /// from here with devices that are vouched for.
    pub(super) fn take(
        &mut self,
        one: &Try,
        rules: &[&CampaignRule],
        known: usize,
        now: Time,
    ) -> BTreeSet<(String, usize)> {
        self.touched = self.touched.max(now);
        if !self.tries.insert(one.clone()) {
            return BTreeSet::new();
        }
        self.bound(one, now);
        let before = std::mem::take(&mut self.covered);
        for rule in rules {
            let found = times(&self.tries, rule, known);
            self.covered.extend(found);
        }
        if self.covered == before {
            return BTreeSet::new();
        }
        let prompts = self.tries.iter().filter(|one| one.tries == Tries::Prompts);
        let outside = prompts.filter(|one| !before.iter().any(|covered| covered.holds(one.at)));
        let newly = outside.filter_map(|one| {
            let which = self.covered.iter().position(|covered| covered.holds(one.at))?;
            Some((one.person.clone(), which))
        });
        newly.collect()
    }

    fn bound(&mut self, newest: &Try, now: Time) {
        let oldest = now - KEEP.delta();
        self.tries.retain(|one| one.at >= oldest || one == newest);
        let same = |one: &&Try| one.person == newest.person && one.tries == newest.tries;
        let of_one: Vec<Try> = self.tries.iter().filter(same).cloned().collect();
        // Of one person's many the first and the newest say all: when it began, and that it goes on.
        if of_one.len() > OF_ONE_MAX {
            self.tries.remove(&of_one[1]);
        }
        if self.tries.len() > TRIES_MAX {
            self.tries.pop_first();
        }
    }
}

/// The times in which enough people were tried, those that touch put together.
fn times(tries: &BTreeSet<Try>, rule: &CampaignRule, known: usize) -> Vec<Covered> {
    let mine: Vec<&Try> = tries.iter().filter(|one| one.tries == rule.tries).collect();
    let (mut from, mut within) = (0, BTreeMap::<&str, usize>::new());
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (to, one) in mine.iter().enumerate() {
        *within.entry(&one.person).or_default() += 1;
        while one.at.signed_duration_since(mine[from].at) > rule.within.delta() {
            if let Some(count) = within.get_mut(mine[from].person.as_str()) {
                *count -= 1;
                if *count == 0 {
                    within.remove(mine[from].person.as_str());
                }
            }
            from += 1;
        }
        if within.len() >= rule.people {
            match found.last_mut() {
                Some((_, end)) if *end >= from => *end = to,
                _ => found.push((from, to)),
            }
        }
    }
    let covered = found.into_iter().filter_map(|(from, to)| {
        let people: BTreeSet<&str> =
            mine[from..=to].iter().map(|one| one.person.as_str()).collect();
        if known >= people.len().min(HOUSEHOLD) {
            return None;
        }
        Some(Covered {
            first: mine[from].at,
            last: mine[to].at + rule.after.delta(),
            people: u32::try_from(people.len()).unwrap_or(u32::MAX),
            tries: rule.tries,
        })
    });
    covered.collect()
}
