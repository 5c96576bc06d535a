//! People: who they are, that it is them, and what they may do.
//!
//! A person is a name, roles and a passkey enrolled with this deployment; there are
//! no passwords. [`enrol`] uses up a ticket, [`sign_in`] opens a session, [`decide`]
//! has a passkey sign one exact statement, and [`offline`] checks such a signature
//! again with nothing but the journal. [`soft`] is a made-up person for the demo.
//!
//! Sessions and ceremonies live in memory: a restart means signing in again.
//!
//! May use `engine`, `approval` and `model`. Knows no axum and no cookies.

mod bind;
mod ceremony;
mod decide;
pub(crate) mod decisions;
mod deeds;
mod enrol;
pub(crate) mod offline;
pub(crate) mod oidc;
mod session;
mod sign_in;
pub(crate) mod soft;
mod ticket;

#[cfg(test)]
mod guardrails_tests;
#[cfg(test)]
mod quorum_tests;
#[cfg(test)]
pub(crate) mod stand;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod together_tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use webauthn_rs::prelude::{AuthenticationResult, Url, Webauthn, WebauthnBuilder, WebauthnError};

use crate::approval::who::Bar;
use crate::engine::driver::Engine;
use crate::engine::people::Refusal;
use crate::model::entry::PersonEnrolled;
use crate::model::id::PersonId;
use crate::model::time::Time;

pub(crate) use crate::approval::roles::{Act, may};
use ceremony::Ceremonies;
pub(crate) use ceremony::{Begun, LIFETIME};
pub(crate) use decide::{Part, TOGETHER_MAX, Together, Wish, tick};
pub(crate) use session::Session;
use session::Sessions;
pub(crate) use ticket::{Ticket, ticket_hash};

/// Why something that a person tried did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Problem {
    #[error("this enrolment ticket was used, has expired or never existed; ask for a new one")]
    Ticket,
    #[error("this took longer than two minutes or was already used; begin again")]
    Ceremony,
    #[error("the passkey's answer was not accepted: {0}")]
    Passkey(#[from] WebauthnError),
    #[error("the passkey's counter went backwards; it may have been copied")]
    Copied,
    #[error("that passkey is already enrolled for somebody")]
    Taken,
    #[error("your role does not allow this")]
    Role,
    #[error(transparent)]
    Bar(#[from] Bar),
    #[error("tick at least one action to approve, or deny")]
    NoItems,
    #[error("at most {0} questions are answered together: more than that nobody reads")]
    TooMany(usize),
    #[error("what concerns `{0}` is decided on a page of its own")]
    Alone(String),
    #[error("the question has changed since the page was loaded; load it again")]
    Changed,
    #[error("give a reason of at least {0} characters: a privileged person is concerned")]
    Justification(usize),
    #[error("type `{0}`, whom this concerns, to confirm it")]
    Confirm(String),
    #[error("there is no such {0}")]
    Missing(&'static str),
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A serialised form is not what this code knows: the library changed underneath.
    #[error("the passkey library's state has an unknown shape: {0}")]
    Shape(String),
}

/// Why people cannot sign in under a public address.
#[derive(Debug, thiserror::Error)]
#[error(
    "`server.public_url` is `{url}`, but passkeys need a host name, over https or on http://localhost"
)]
pub(crate) struct Misconfigured {
    url: String,
}

/// The people of one deployment. Cheap to clone.
#[derive(Clone)]
pub(crate) struct People(Arc<Inner>);

struct Inner {
    engine: Engine,
    webauthn: Webauthn,
    rp: String,
    origin: Url,
    /// Keys the credential ids that are made up for names nobody has.
    stranger: [u8; 32],
    sessions: Mutex<Sessions>,
    enrolling: Mutex<Ceremonies<enrol::Enrolling>>,
    signing_in: Mutex<Ceremonies<sign_in::SigningIn>>,
    deciding: Mutex<Ceremonies<decide::Deciding>>,
    doing: Mutex<Ceremonies<deeds::Doing>>,
    /// The highest signature counter seen of each credential since the start.
    counters: Mutex<HashMap<Vec<u8>, u32>>,
}

impl People {
    /// People of the deployment that is reached at `public_url`.
    pub(crate) fn new(engine: Engine, public_url: &Url) -> Result<Self, Misconfigured> {
        let webauthn = webauthn_for(public_url)?;
        let rp = public_url.host_str().unwrap_or_default().to_owned();
        let mut stranger = [0; 32];
        engine.ports().entropy.fill(&mut stranger);
        let inner = Inner {
            engine,
            stranger,
            webauthn,
            rp,
            origin: public_url.clone(),
            sessions: Mutex::default(),
            enrolling: Mutex::new(Ceremonies::new(64, 4)),
            signing_in: Mutex::new(Ceremonies::new(1024, 1024)),
            deciding: Mutex::new(Ceremonies::new(1024, 8)),
            doing: Mutex::new(Ceremonies::new(1024, 8)),
            counters: Mutex::default(),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// A person by id.
    pub(crate) fn person(&self, id: PersonId) -> Option<PersonEnrolled> {
        self.0.engine.read(|core| core.state.people.get(&id).cloned())
    }

    /// Where people's browsers are sent to.
    pub(crate) fn origin(&self) -> &Url {
        &self.0.origin
    }

    fn now(&self) -> Time {
        self.0.engine.now()
    }

    /// 256 random bits in the URL's alphabet.
    fn secret(&self) -> String {
        ticket::secret(&*self.0.engine.ports().entropy)
    }

    /// Refuses a counter that did not grow: the sign of a copied authenticator.
    fn count(&self, result: &AuthenticationResult) -> Result<(), Problem> {
        let mut counters = lock(&self.0.counters);
        let seen = counters.entry(result.cred_id().clone()).or_default();
        if result.counter() > 0 && result.counter() <= *seen {
            tracing::warn!(
                "Refused a passkey whose counter went from {seen} to {}",
                result.counter()
            );
            return Err(Problem::Copied);
        }
        *seen = result.counter();
        Ok(())
    }
}

/// The verifier for one origin: https anywhere, http on localhost only.
fn webauthn_for(origin: &Url) -> Result<Webauthn, Misconfigured> {
    let refuse = || Misconfigured { url: origin.to_string() };
    let host = origin.domain().ok_or_else(refuse)?;
    if origin.scheme() != "https" && host != "localhost" {
        return Err(refuse());
    }
    WebauthnBuilder::new(host, origin)
        .map(|b| b.rp_name("Quell").timeout(Duration::from_mins(2)))
        .and_then(WebauthnBuilder::build)
        .map_err(|_| refuse())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
