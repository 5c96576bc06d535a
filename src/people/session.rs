//! Sessions: kept in memory under the hash of their secret. A restart ends them all.

use chrono::TimeDelta;
use std::collections::HashMap;

use super::oidc::Provided;
use super::{People, lock};
use crate::approval::statement::sha256_hex;
use crate::model::id::PersonId;
use crate::model::text::tame;
use crate::model::time::Time;

/// Without a request for so long it ends.
pub(super) const IDLE: TimeDelta = TimeDelta::minutes(15);
/// It ends after so long in any case.
pub(super) const ABSOLUTE: TimeDelta = TimeDelta::hours(8);
/// More at once than anybody needs; the oldest goes.
const PER_PERSON: usize = 8;

/// One signed-in browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// Names it on pages; worth nothing by itself.
    pub(crate) id: String,
    pub(crate) person: PersonId,
    pub(crate) since: Time,
    pub(crate) seen: Time,
    /// What the browser calls itself.
    pub(crate) agent: String,
    /// Opened on the identity provider's word, not by a passkey.
    pub(crate) provided: Option<Provided>,
}

#[derive(Default)]
pub(super) struct Sessions {
    /// By SHA-256 of the secret, so that a memory dump or a log line holds no usable one.
    open: HashMap<String, Session>,
}

impl Sessions {
    fn expire(&mut self, now: Time) {
        self.open.retain(|_, s| now - s.seen < IDLE && now - s.since < ABSOLUTE);
    }
}

impl People {
    /// Opens a session and returns its secret, which is new every time.
    pub(super) fn open_session(&self, person: PersonId, agent: &str) -> String {
        self.open(person, None, agent)
    }

    pub(super) fn open(&self, person: PersonId, provided: Option<Provided>, agent: &str) -> String {
        let (secret, now) = (self.secret(), self.now());
        let mut sessions = lock(&self.0.sessions);
        sessions.expire(now);
        while sessions.open.values().filter(|s| s.person == person).count() >= PER_PERSON {
            let oldest = sessions
                .open
                .iter()
                .filter(|(_, s)| s.person == person)
                .min_by_key(|(_, s)| s.seen);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { break };
            sessions.open.remove(&oldest);
        }
        let key = sha256_hex(secret.as_bytes());
        let id = sha256_hex(key.as_bytes())[..16].to_owned();
        let agent = tame(agent, 120);
        sessions.open.insert(key, Session { id, person, since: now, seen: now, agent, provided });
        secret
    }

    /// The session behind a secret. `touch` is for what a person did, not for what their open page does.
    pub(crate) fn session(&self, secret: &str, touch: bool) -> Option<Session> {
        let now = self.now();
        let mut sessions = lock(&self.0.sessions);
        sessions.expire(now);
        let session = sessions.open.get_mut(&sha256_hex(secret.as_bytes()))?;
        if touch {
            session.seen = now;
        }
        Some(session.clone())
    }

    /// A person's sessions, newest first.
    pub(crate) fn sessions_of(&self, person: PersonId) -> Vec<Session> {
        let mut sessions = lock(&self.0.sessions);
        sessions.expire(self.now());
        let mut own: Vec<_> =
            sessions.open.values().filter(|s| s.person == person).cloned().collect();
        own.sort_by_key(|s| std::cmp::Reverse(s.since));
        own
    }

    /// Ends one of a person's sessions; false if they have no such.
    pub(crate) fn end_session(&self, person: PersonId, id: &str) -> bool {
        let mut sessions = lock(&self.0.sessions);
        let before = sessions.open.len();
        sessions.open.retain(|_, s| s.person != person || s.id != id);
        sessions.open.len() < before
    }

    pub(super) fn end_sessions_of(&self, person: PersonId) {
        lock(&self.0.sessions).open.retain(|_, s| s.person != person);
    }
}
