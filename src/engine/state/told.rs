//! What has been told to whom: how far the journal is told, and where each thread stands on each channel.

use chrono::TimeDelta;
use std::collections::BTreeMap;

use super::{RowKey, State};
use crate::model::notice::{Did, Standing, Told};
use crate::model::time::Time;

/// How long a thread is remembered. What comes later about the same is a message of its own.
const MEMORY: TimeDelta = TimeDelta::hours(48);
/// How many threads are remembered; of more, those that were told longest ago are forgotten.
const MOST: usize = 20_000;

/// What has been told.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Telling {
    /// All lines up to here; none before somebody was to be told.
    pub(crate) through: Option<u64>,
    /// By thread and channel.
    pub(crate) threads: BTreeMap<(String, String), Standing>,
}

impl Telling {
    pub(crate) fn standing(&self, thread: &str, channel: &str) -> Option<&Standing> {
        self.threads.get(&(thread.to_owned(), channel.to_owned()))
    }

    /// Takes over what a row says.
    pub(super) fn load(&mut self, standing: Standing) {
        let thread = (standing.told.fact.about.to_string(), standing.told.channel.clone());
        self.threads.insert(thread, standing);
    }

    /// Whether anybody was told something about a thread since `since`. That what they were told could be brought
    /// up to date later does not count: it wakes nobody.
    pub(crate) fn reached(&self, thread: &str, since: Time) -> bool {
        let of_thread = self.threads.range((thread.to_owned(), String::new())..);
        of_thread
            .take_while(|((about, _), _)| about == thread)
            .any(|(_, standing)| standing.posted_at.is_some_and(|at| at >= since))
    }

    /// How many threads in a row a channel could not be told of, since when, and why; none while it can be told.
    pub(crate) fn dead(&self, channel: &str) -> Option<(usize, Time, &str)> {
        let of_channel = self.threads.iter().filter(|((_, to), _)| to == channel);
        let mut standings: Vec<&Standing> = of_channel.map(|(_, standing)| standing).collect();
        standings.sort_by_key(|standing| std::cmp::Reverse(standing.at));
        let failed: Vec<&Standing> = standings.into_iter().take_while(|s| s.failed).collect();
        let (last, first) = (failed.first()?, failed.last()?);
        Some((failed.len(), first.at, last.told.problem.as_deref().unwrap_or_default()))
    }

    /// When a channel was last given messages of their own, since `since`; oldest first.
    pub(crate) fn posts(&self, channel: &str, since: Time) -> Vec<Time> {
        let of_channel = self.threads.iter().filter(|((_, to), _)| to == channel);
        let mut posts: Vec<Time> =
            of_channel.filter_map(|(_, s)| s.posted_at).filter(|at| *at > since).collect();
        posts.sort_unstable();
        // One message about several things counts once.
        posts.dedup();
        posts
    }
}

impl State {
    pub(super) fn followed(&mut self, through: u64) {
        let told = &mut self.telling;
        told.through = Some(told.through.map_or(through, |known| known.max(through)));
        self.touch(RowKey::Telling);
    }

    pub(super) fn told_to(&mut self, at: Time, told: &Told, failed: bool) {
        self.followed(told.through);
        let key = (told.fact.about.to_string(), told.channel.clone());
        let before = self.telling.threads.get(&key);
        let posted = !failed && matches!(told.did, Did::Posted | Did::Gathered);
        let mut told = told.clone();
        // A change that failed does not make the message another one.
        let message = before.and_then(|known| known.told.message.clone());
        if told.did == Did::Updated {
            told.message = told.message.or(message);
        }
        let posted_at = if posted { Some(at) } else { before.and_then(|known| known.posted_at) };
        let failed = failed && told.did != Did::Updated;
        self.touch(RowKey::Thread(key.0.clone(), key.1.clone()));
        self.telling.threads.insert(key, Standing { told, at, failed, posted_at });
        self.forget_old_threads(at);
    }

    /// A copy of a deployment tells nobody of what the original had to tell.
    pub(super) fn tell_anew(&mut self) {
        self.telling.through = None;
        self.touch(RowKey::Telling);
        let all = std::mem::take(&mut self.telling.threads);
        for (thread, channel) in all.into_keys() {
            self.touch(RowKey::Thread(thread, channel));
        }
    }

    /// The names of all rows about this.
    pub(super) fn telling_rows(&self) -> Vec<RowKey> {
        let mut keys: Vec<RowKey> =
            self.telling.through.map(|_| RowKey::Telling).into_iter().collect();
        let threads = self.telling.threads.keys();
        keys.extend(
            threads.map(|(thread, channel)| RowKey::Thread(thread.clone(), channel.clone())),
        );
        keys
    }

    fn forget_old_threads(&mut self, now: Time) {
        let mut gone: Vec<(String, String)> = Vec::new();
        let threads = &self.telling.threads;
        gone.extend(threads.iter().filter(|(_, s)| s.at < now - MEMORY).map(|(k, _)| k.clone()));
        if gone.is_empty() && threads.len() > MOST {
            let oldest = threads.iter().min_by_key(|(key, s)| (s.at, *key));
            gone.extend(oldest.map(|(key, _)| key.clone()));
        }
        for key in gone {
            self.telling.threads.remove(&key);
            self.touch(RowKey::Thread(key.0, key.1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entry::{Commit, DeploymentCreated, DeploymentRestored, Entry};
    use crate::model::id::DeploymentId;
    use crate::model::notice::{About, Fact, Topic};

    fn at(hours: i64) -> Time {
        Time::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    fn sent(n: u64, hours: i64) -> Entry {
        let fact = Fact {
            topic: Topic::Pause,
            about: About::Pause(n),
            incident: None,
            of: n,
            at: at(hours),
            closed: false,
            detail: String::new(),
        };
        Entry::NoticeSent(Box::new(Told {
            channel: "soc".into(),
            fact,
            did: Did::Posted,
            message: Some(format!("m{n}")),
            instead_of: None,
            perhaps_again: false,
            problem: None,
            next: None,
            through: n,
        }))
    }

    fn state(entries: Vec<(i64, Entry)>) -> State {
        let mut state = State::default();
        for (n, (hours, entry)) in entries.into_iter().enumerate() {
            let seq = n as u64 + 1;
            state.apply(&Commit { seq, at: at(hours), entries: vec![entry] });
        }
        state
    }

    #[test]
    fn what_was_told_reads_back_from_its_rows() {
        let mut folded = state(vec![(0, sent(1, 0)), (1, sent(2, 1))]);

        let rows = folded.all_rows();
        let read = State::from_rows(2, rows).unwrap();

        assert_eq!(read.telling, folded.telling);
        assert_eq!(read.telling.through, Some(2));
        assert_eq!(read.telling.posts("soc", at(0)), [at(1)]);
    }

    #[test]
    fn a_pruned_journal_says_it_again() {
        let folded = state(vec![(0, sent(1, 0))]);

        let again = state(vec![(0, Entry::Snapshot { rows: folded.common_rows() })]);

        assert_eq!(again.telling, folded.telling);
    }

    #[test]
    fn threads_are_forgotten_after_two_days_with_their_rows() {
        let mut folded = state(vec![(0, sent(1, 0)), (49, sent(2, 49))]);

        assert_eq!(folded.telling.threads.len(), 1);
        let gone = RowKey::Thread("pause/1".into(), "soc".into()).text();
        assert!(folded.take_changes().contains(&(gone, None)));
    }

    #[test]
    fn a_channel_is_dead_while_its_last_notices_failed_and_nobody_was_reached() {
        let failed = |n: u64, hours: i64| match sent(n, hours) {
            Entry::NoticeSent(mut told) => {
                told.problem = Some("it answered 503".into());
                Entry::NoticeFailed(told)
            }
            other => other,
        };
        let mut folded = state(vec![(0, sent(1, 0)), (1, failed(2, 1)), (2, failed(3, 2))]);
        assert_eq!(folded.telling.dead("soc"), Some((2, at(1), "it answered 503")));
        assert_eq!(folded.telling.dead("pager"), None);
        assert!(folded.telling.reached("pause/1", at(0)));
        assert!(!folded.telling.reached("pause/1", at(1)), "that was before");
        assert!(!folded.telling.reached("pause/2", at(0)), "that failed");
        assert!(!folded.telling.reached("pause", at(0)), "another thread");

        folded.apply_entry(at(3), &sent(4, 3));

        assert_eq!(folded.telling.dead("soc"), None);
    }

    #[test]
    fn a_copy_begins_anew() {
        let created = DeploymentCreated {
            deployment: DeploymentId::mint(at(0), [1; 10]),
            lab: false,
            key: String::new(),
        };
        let restored = DeploymentRestored {
            from: "backup".into(),
            seq: 2,
            head: String::new(),
            made_at: None,
            key: String::new(),
        };
        let folded = state(vec![
            (0, Entry::DeploymentCreated(created)),
            (0, sent(1, 0)),
            (1, Entry::DeploymentRestored(restored)),
        ]);

        assert_eq!(folded.telling, Telling::default());
    }
}
