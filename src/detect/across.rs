//! Evidence about one person that means something for others: many people, and one source.

use std::sync::Arc;

use super::window::{Added, Window};
use super::{About, Detector, Signal, around, watch};
use crate::model::event::{AccountName, CLAIMED_DEVICE, Event};
use crate::model::id::SourceId;

/// People that are remembered to be looked at again.
const STIRRED_MAX: usize = 10_000;

/// Somebody whose evidence means more than it did.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stirred {
    /// The name that their windows go by.
    pub(crate) key: String,
    /// As the newest record names them.
    pub(crate) account: AccountName,
    /// Who told of their prompts.
    pub(crate) source: Option<SourceId>,
}

impl Detector {
    /// Whose evidence means more since somebody else's came in: hand each to [`Self::look_again`].
    pub(crate) fn stirred(&mut self) -> Vec<Stirred> {
        let keys = std::mem::take(&mut self.stirred);
        let stirred = keys.into_iter().filter_map(|key| {
            let window = self.subjects.get(&key)?;
            let account = window.events().next_back()?.account.clone();
            Some(Stirred { account, source: window.told_by().cloned(), key })
        });
        stirred.collect()
    }

    /// What all evidence about a subject supports by now.
    pub(crate) fn look_again(&mut self, key: &str, about: &About<'_>) -> Vec<Signal> {
        let rules = Arc::clone(&self.rules);
        let Some(window) = self.subjects.get_mut(key) else { return Vec::new() };
        let mut signals = around(key, &rules, window, None, about);
        signals.extend(watch::changes(window, about));
        signals
    }

    /// Takes an event in whose consequences are known already.
    pub(crate) fn remember(&mut self, key: &str, event: &Event, about: &About<'_>) {
        drop(self.observe(key, event, about));
        for other in self.stirred() {
            let bare = About { now: about.now, ..About::default() };
            drop(self.look_again(&other.key, &bare));
        }
    }

    /// What an event says of its source.
    pub(super) fn across(&mut self, key: &str, event: &Event, added: Added, about: &About<'_>) {
        if !about.counts_for_others() {
            return;
        }
        if added == Added::Learned && is_vouched_for(event) {
            self.campaigns.learn(key, event);
        }
        let Some(window) = self.subjects.get_mut(key) else { return };
        let changed = self.campaigns.take(key, event, window, &self.rules.campaigns, about.now);
        changed.own.into_iter().for_each(|cover| window.cover(cover));
        for (other, cover) in changed.others {
            let Some(window) = self.subjects.get_mut(&other) else { continue };
            Window::cover(window, cover);
            if self.stirred.len() < STIRRED_MAX {
                self.stirred.insert(other);
            }
        }
    }
}

/// Whether it came from a device that the provider, and not only the client, knows.
fn is_vouched_for(event: &Event) -> bool {
    let named = event.device.as_deref().is_some_and(|device| !device.starts_with(CLAIMED_DEVICE));
    named || event.new_device == Some(false)
}
