//! What asking the person concerned changes.

use super::{RowKey, State};
use crate::model::asked::{Asked, OpenAsk, PersonAnswered, PersonAsked};
use crate::model::time::Time;

impl State {
    pub(super) fn person_asked(&mut self, at: Time, e: &PersonAsked) {
        let open = OpenAsk { incident: e.incident, expires_at: e.expires_at };
        self.asks.insert(e.hash.clone(), open);
        self.touch(RowKey::Ask(e.hash.clone()));
        self.with_incident(e.incident, |i| {
            i.asked.push(Asked {
                hash: e.hash.clone(),
                by: e.by.clone(),
                channel: e.channel,
                to: e.to.clone(),
                at,
                expires_at: e.expires_at,
                reply: None,
                closed: false,
                lowers: false,
            });
        });
    }

    pub(super) fn person_answered(&mut self, e: &PersonAnswered) {
        self.asks.remove(&e.hash);
        self.touch(RowKey::Ask(e.hash.clone()));
        self.with_incident(e.incident, |i| {
            let before = i.asked.iter().any(|asked| asked.lowers);
            let Some(asked) = i.asked.iter_mut().find(|asked| asked.hash == e.hash) else { return };
            asked.reply = e.reply;
            asked.closed = true;
            let Some(until) = e.lowered_watch_until else { return };
            asked.lowers = true;
            i.watch_until = i.watch_until.max(until);
            // Saying it twice does not make it truer.
            if !before {
                i.severity = i.severity.lowered();
            }
        });
    }
}
