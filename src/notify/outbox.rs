//! Who is told what, and when. Pure: facts, what was told, and the time in; errands out.
//!
//! An errand is one fact for one channel. Facts about the same thread become one errand; what a channel was told
//! already is none. A question climbs the ladder: to the next one, never to the same one again.

use chrono::TimeDelta;
use std::collections::BTreeMap;

use super::options::Options;
use crate::engine::state::Telling;
use crate::model::id::{ApprovalId, IncidentId};
use crate::model::notice::{About, Did, Fact, Topic};
use crate::model::oncall::Level;
use crate::model::time::Time;

/// Attempts before a channel counts as one that cannot be told.
pub(super) const ATTEMPTS: u32 = 3;
/// A channel that asks to wait longer than this is not waited for: somebody else is told.
pub(super) const PATIENCE: TimeDelta = TimeDelta::seconds(30);
/// How long a question waits for others of its fold, so that they become one message.
const FOLD: TimeDelta = TimeDelta::seconds(60);
/// What nobody was told of for so long is not news.
const NEWS: TimeDelta = TimeDelta::hours(24);

/// Names an errand: thread and channel.
pub(super) type Key = (String, String);

/// One fact for one channel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Errand {
    pub(super) fact: Fact,
    pub(super) due: Time,
    pub(super) attempts: u32,
    pub(super) instead_of: Option<String>,
    /// The first line of the journal that waits for this; none if the state says it again after a crash.
    holds: Option<u64>,
    under_way: bool,
    /// An attempt had no answer: it may have been told.
    pub(super) in_doubt: bool,
    /// What came meanwhile about the same.
    then: Option<Fact>,
    /// Waits for the channel's budget.
    over_budget: bool,
}

/// What facts are, as the state tells it.
pub(super) struct Kinds<'s> {
    pub(super) urgent: &'s dyn Fn(&Fact) -> bool,
    /// Names what is told together.
    pub(super) fold: &'s dyn Fn(&Fact) -> Option<Fold>,
}

/// What is told together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fold {
    Campaign(String),
    Storm,
}

enum Due {
    /// These, as one message.
    Together(Vec<Key>),
    /// None that are; these one by one.
    Alone(Vec<Key>),
}

/// A question that stands open.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Standing {
    pub(super) question: ApprovalId,
    pub(super) incident: IncidentId,
    pub(super) opened_at: Time,
    /// The highest level that it is put to; none: everybody.
    pub(super) level: Option<Level>,
    /// Whom it is put to by name, in small letters.
    pub(super) people: Vec<String>,
}

/// Everything that is still to be told.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    options: Options,
    errands: BTreeMap<Key, Errand>,
    /// The last line that was looked at.
    pub(super) after: u64,
}

impl Outbox {
    pub(super) fn new(options: Options, after: u64) -> Self {
        Self { options, errands: BTreeMap::new(), after }
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Errand> {
        self.errands.get(key)
    }

    /// All lines up to here are told.
    pub(super) fn through(&self) -> u64 {
        let held = self.errands.values().filter_map(|errand| errand.holds).min();
        held.map_or(self.after, |held| self.after.min(held.saturating_sub(1)))
    }

    /// Gives a fact to the channels that want it.
    pub(super) fn take(&mut self, fact: &Fact, telling: &Telling, now: Time) {
        if fact.at < now - NEWS {
            return;
        }
        let channels: Vec<String> = self.options.channels.keys().cloned().collect();
        for channel in channels {
            let key = (fact.about.to_string(), channel);
            if let Some(errand) = self.errands.get_mut(&key) {
                if errand.join(fact) {
                    self.errands.remove(&key);
                }
                continue;
            }
            let wanted = self.wants(&key.1, fact);
            let known = telling.standing(&key.0, &key.1);
            let tell = match known {
                Some(known) if known.told.fact.of >= fact.of => false,
                Some(known) if !known.failed && !known.told.fact.closed => true,
                _ => wanted && !fact.closed,
            };
            if tell {
                self.errands.insert(key, Errand::new(fact.clone(), now, Some(fact.of)));
            }
        }
    }

    fn wants(&self, channel: &str, fact: &Fact) -> bool {
        if fact.about == About::Channel(channel.to_owned()) {
            return false;
        }
        let listed = self.options.channels.get(channel).is_some_and(|c| c.on.contains(&fact.topic));
        let first = self.options.ladder.first();
        let first = first.is_some_and(|rung| {
            rung.channel == channel && rung.after.delta().is_zero() && rung.level.is_none()
        });
        listed || (first && fact.topic == Topic::Approval)
    }

    /// Tells those to whom a question is put at their own addresses, and the next rung of each question that has stood
    /// long enough; in a storm the last one at once. When the next one is due.
    pub(super) fn climb(
        &mut self,
        open: &[Standing],
        telling: &Telling,
        (now, storm): (Time, bool),
    ) -> Option<Time> {
        let mut next = None;
        let lead = self.options.ladder.last().map(|rung| rung.channel.clone());
        for question in open {
            let about = About::Question(question.question);
            let fact = Fact {
                topic: Topic::Approval,
                about: about.clone(),
                incident: Some(question.incident),
                of: self.after,
                at: question.opened_at,
                closed: false,
                detail: String::new(),
            };
            let is_told = |outbox: &Self, key: &Key| {
                telling.standing(&key.0, &key.1).is_some() || outbox.errands.contains_key(key)
            };
            for person in &question.people {
                let Some(first) = self.options.of_person(person).first().copied().cloned() else {
                    continue;
                };
                let key = (about.to_string(), first);
                if !is_told(self, &key) {
                    self.errands.insert(key, Errand::new(fact.clone(), now, None));
                }
            }
            for rung in &self.options.ladder {
                let key = (about.to_string(), rung.channel.clone());
                if is_told(self, &key) {
                    continue;
                }
                // A level's channel is told when a line of the journal says that its turn has come.
                let at_once = storm && lead.as_ref() == Some(&rung.channel);
                if !at_once && rung.level.is_some_and(|own| question.level.is_some_and(|l| l < own))
                {
                    continue;
                }
                let due = question.opened_at + rung.after.delta();
                if due > now && !at_once {
                    next = Some(next.map_or(due, |next: Time| next.min(due)));
                    continue;
                }
                self.errands.insert(key, Errand::new(fact.clone(), now, None));
            }
        }
        next
    }

    /// Tells the next rung at once what a channel could not be told. The state says it, so that a crash between
    /// the one and the other loses nothing.
    pub(super) fn divert(&mut self, open: &[Standing], telling: &Telling, now: Time) {
        for ((thread, channel), known) in &telling.threads {
            let Some(next) = known.told.next.as_ref().filter(|_| known.failed) else { continue };
            let fact = &known.told.fact;
            let key = (thread.clone(), next.clone());
            let over = match &fact.about {
                About::Question(id) => !open.iter().any(|q| q.question == *id),
                _ => fact.closed || known.at < now - NEWS,
            };
            let known = telling.standing(thread, next).is_some() || self.errands.contains_key(&key);
            if over || known || !self.options.channels.contains_key(next) {
                continue;
            }
            let errand = Errand {
                instead_of: Some(channel.clone()),
                ..Errand::new(fact.clone(), now, None)
            };
            self.errands.insert(key, errand);
        }
    }

    /// The rung that is told when `channel` cannot be.
    pub(super) fn next_rung(&self, key: &Key, fact: &Fact, telling: &Telling) -> Option<String> {
        // What a ticket was to hear, nobody else needs to.
        if fact.topic == Topic::Undelivered || self.options.is_ticket(&key.1) {
            return None;
        }
        let ladder = &self.options.ladder;
        let here = ladder.iter().position(|rung| rung.channel == key.1);
        let above = &ladder[here.map_or(0, |here| here + 1)..];
        let free = |channel: &&String| telling.standing(&key.0, channel).is_none();
        // Whoever has another address is told there first; then those who are next anyway.
        let own = self.options.channels.get(&key.1).and_then(|channel| channel.own.as_ref());
        let others = own.map(|own| self.options.of_person(&own.person).split_off(own.turn + 1));
        let next = others.unwrap_or_default().into_iter().chain(above.iter().map(|r| &r.channel));
        next.filter(|next| **next != key.1).find(free).cloned()
    }

    /// What begins now: for each channel one message, about one thing or about all that its budget held back.
    /// `urgent` facts are never held back and never gathered. Facts of one fold become one message: the first is told
    /// at once, those that come while it is fresh wait a minute for each other.
    pub(super) fn begin(
        &mut self,
        telling: &Telling,
        now: Time,
        kinds: &Kinds<'_>,
    ) -> Vec<Vec<Key>> {
        let channels: Vec<String> = self.options.channels.keys().cloned().collect();
        let mut begun = Vec::new();
        for channel in channels {
            let own = self.errands.iter().filter(|((_, to), _)| *to == channel);
            if own.clone().any(|(_, errand)| errand.under_way) {
                continue;
            }
            let due: Vec<Key> =
                own.filter(|(_, errand)| errand.due <= now).map(|(key, _)| key.clone()).collect();
            let keys = self.choose(&channel, due, telling, now, kinds);
            for key in &keys {
                if let Some(errand) = self.errands.get_mut(key) {
                    errand.under_way = true;
                }
            }
            if !keys.is_empty() {
                begun.push(keys);
            }
        }
        begun
    }

    fn choose(
        &mut self,
        channel: &str,
        mut due: Vec<Key>,
        telling: &Telling,
        now: Time,
        kinds: &Kinds<'_>,
    ) -> Vec<Key> {
        due.sort_by_key(|key| self.errands.get(key).map(|errand| errand.fact.of));
        let free = |key: &&Key| {
            self.errands.get(*key).is_some_and(|errand| {
                let known = telling.standing(&key.0, &key.1);
                let change = known.is_some_and(|k| !k.failed && !k.told.fact.closed);
                change || (kinds.urgent)(&errand.fact)
            })
        };
        if self.options.is_ticket(channel) {
            return due.into_iter().take(1).collect();
        }
        if let Some(first) = due.iter().find(free) {
            return vec![first.clone()];
        }
        let since = now - self.options.per.delta();
        let due = match self.folded(channel, due, telling, (now, since), kinds) {
            Due::Together(keys) => return keys,
            Due::Alone(due) => due,
        };
        let posts = telling.posts(channel, since);
        if posts.len() < self.options.budget {
            let held = |key: &&Key| self.errands.get(*key).is_some_and(|e| e.over_budget);
            let held: Vec<Key> = due.iter().filter(held).cloned().collect();
            return match held.len() {
                0 | 1 => due.into_iter().take(1).collect(),
                _ => held,
            };
        }
        let again = posts[posts.len() - self.options.budget] + self.options.per.delta();
        for key in due {
            if let Some(errand) = self.errands.get_mut(&key) {
                errand.due = again;
                errand.over_budget = true;
            }
        }
        Vec::new()
    }

    /// Several of one fold that are due make one message. One alone is told if nothing of its fold was told lately.
    fn folded(
        &mut self,
        channel: &str,
        due: Vec<Key>,
        telling: &Telling,
        (now, since): (Time, Time),
        kinds: &Kinds<'_>,
    ) -> Due {
        let mut folds: BTreeMap<Fold, Vec<Key>> = BTreeMap::new();
        let mut others = Vec::new();
        for key in due {
            let fold = self.errands.get(&key).and_then(|errand| (kinds.fold)(&errand.fact));
            match fold {
                Some(fold) => folds.entry(fold).or_default().push(key),
                None => others.push(key),
            }
        }
        for (fold, keys) in folds {
            let is_fresh = || {
                telling.threads.iter().any(|((_, to), known)| {
                    to == channel
                        && !known.failed
                        && known.posted_at.is_some_and(|at| at >= since)
                        && (kinds.fold)(&known.told.fact).as_ref() == Some(&fold)
                })
            };
            let waited = |key: &Key| {
                self.errands.get(key).is_some_and(|errand| errand.fact.at + FOLD <= now)
            };
            if keys.iter().any(waited) || !is_fresh() {
                match keys.len() {
                    1 => others.extend(keys),
                    _ => return Due::Together(keys),
                }
                continue;
            }
            for key in keys {
                if let Some(errand) = self.errands.get_mut(&key) {
                    errand.due = errand.fact.at + FOLD;
                }
            }
        }
        others.sort_by_key(|key| self.errands.get(key).map(|errand| errand.fact.of));
        Due::Alone(others)
    }

    /// It was told, or will not be: what came meanwhile about the same is next.
    pub(super) fn done(&mut self, key: &Key, now: Time) {
        let then = self.errands.remove(key).and_then(|errand| errand.then);
        if let Some(fact) = then {
            let holds = Some(fact.of);
            self.errands.insert(key.clone(), Errand::new(fact, now, holds));
        }
    }

    /// It was not told yet.
    pub(super) fn again(&mut self, key: &Key, at: Time, doubt: bool) {
        if let Some(errand) = self.errands.get_mut(key) {
            errand.in_doubt |= doubt;
            errand.under_way = false;
            errand.attempts += 1;
            errand.due = at;
            if let Some(fact) = errand.then.take() {
                errand.join(&fact);
            }
        }
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.errands.values().filter(|errand| !errand.under_way).map(|errand| errand.due).min()
    }
}

impl Errand {
    fn new(fact: Fact, due: Time, holds: Option<u64>) -> Self {
        Self {
            fact,
            due,
            attempts: 0,
            instead_of: None,
            holds,
            under_way: false,
            in_doubt: false,
            then: None,
            over_budget: false,
        }
    }

    /// Takes in a later fact about the same. True if there is nothing left to tell.
    fn join(&mut self, fact: &Fact) -> bool {
        if fact.of <= self.fact.of && self.holds.is_some() {
            return false;
        }
        if self.under_way {
            self.then = Some(fact.clone());
            return false;
        }
        // A question that was answered before anybody was told of it.
        if fact.closed && matches!(fact.about, About::Question(_) | About::Channel(_)) {
            return true;
        }
        self.fact = Fact { incident: fact.incident.or(self.fact.incident), ..fact.clone() };
        false
    }
}

/// How long until the next attempt: with a call's own timeout all of them are over within a minute.
pub(super) fn backoff(attempts: u32) -> TimeDelta {
    TimeDelta::seconds(2 * 3_i64.pow(attempts.min(3)))
}

/// Whether a delivery of this kind is a message of its own.
pub(super) fn is_post(did: Did) -> bool {
    matches!(did, Did::Posted | Did::Gathered)
}

#[cfg(test)]
mod tests;
