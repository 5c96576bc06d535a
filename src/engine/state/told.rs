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
