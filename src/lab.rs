//! A simulated tenant: Entra ID, Okta, Duo, `ServiceNow`, a webhook receiver and the channels by which people
//! are told, with real state.
//!
//! Everything a connector does here has the effect it would have there, and answers and
//! errors look as the vendors document them. On top of that there are switches for what
//! vendors do on bad days (`fault`), and an [`oracle`] that knows what really happened, so
//! that a test never has to believe the system that it tests.
//!
//! The time is handed in, so a whole incident runs in virtual time. A [`Lab`] is called
//! in-process through [`transport`](Lab::transport), or mounted on a listener as a router.
//!
//! May use `model`, `secret` and `connector`, and axum. Knows no engine and no store.

pub(crate) mod attacker;
pub(crate) mod channels;
mod directory;
mod door;
mod duo;
pub(crate) mod fault;
mod graph;
mod login;
mod logs;
#[cfg(test)]
pub(crate) mod mail;
mod okta;
pub(crate) mod oracle;
mod receiver;
mod reply;
mod servicenow;
mod switches;
pub(crate) mod tenant;
mod transport;
mod wiring;
pub(crate) mod world;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::connector::connections::Now;
use tenant::Tenant;
use world::World;

/// A running lab. Cheap to clone; all clones are the same tenant.
#[derive(Clone)]
pub(crate) struct Lab {
    world: Arc<Mutex<World>>,
    clock: Now,
}

impl Lab {
    pub(crate) fn new(tenant: &Tenant, clock: Now) -> Self {
        let world = World::new(tenant, clock());
        Self { world: Arc::new(Mutex::new(world)), clock }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
