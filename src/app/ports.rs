//! Joins the connector room to the engine's ports, and the system's clock and randomness.

use async_trait::async_trait;
use std::sync::Arc;

use crate::connector::connections::Connections;
use crate::connector::lookup::Looked;
use crate::connector::pull::{NotPulled, Pulled, Reading};
use crate::console::{Probe, Tried};
use crate::engine::ports::{Actions, Catalogue, Clock, Directory, Entropy, Found};
use crate::model::action::{
    ActionSpec, Applied, Call, CallResult, ReadBack, Signature, Signatures, Target, Unavailable,
};
use crate::model::connected::Connected;
use crate::model::entry::ClassTested;
use crate::model::id::{Capability, ConnectionId};
use crate::model::subject::Alias;
use crate::model::text::tame;
use crate::model::time::Time;
use crate::poll::Pull;

/// The configured connections, as the engine sees them.
pub(crate) struct Reach {
    connections: Connections,
    signatures: Signatures,
}

impl Reach {
    pub(crate) fn new(connections: Connections) -> Arc<Self> {
        let signatures = connections.signatures();
        Arc::new(Self { connections, signatures })
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }

    pub(crate) fn signatures(&self) -> &Signatures {
        &self.signatures
    }
}

#[async_trait]
impl Probe for Reach {
    async fn test(&self, connection: &ConnectionId) -> Option<Tried> {
        let report = self.connections.test(connection).await?;
        let classes = report.classes.into_iter().map(|class| ClassTested {
            of: class.of.to_owned(),
            credential: class.credential.to_owned(),
            works: class.works,
            problem: class.problem.map(|text| tame(&text, 500)),
        });
        Some(Tried { classes: classes.collect(), unset: report.unset })
    }
}

impl Catalogue for Reach {
    fn resolve(
        &self,
        name: &str,
        connection: &ConnectionId,
        target: Option<&Target>,
    ) -> Result<ActionSpec, Unavailable> {
        self.connections.resolve(name, connection, target)
    }
    fn connections_for(&self, name: &str) -> Vec<ConnectionId> {
        self.connections.connections_for(name)
    }
    fn capability_of(&self, name: &str) -> Option<Capability> {
        self.connections.capability_of(name)
    }
    fn signature(&self, name: &str) -> Option<&Signature> {
        self.signatures.get(name)
    }
    fn concurrency(&self, connection: &ConnectionId) -> usize {
        self.connections.concurrency(connection)
    }
    fn connected(&self) -> Vec<Connected> {
        self.connections.connected()
    }
}

#[async_trait]
impl Actions for Reach {
    async fn call(&self, call: &Call) -> CallResult {
        self.connections.call(call).await
    }
    async fn read_back(&self, applied: &Applied) -> ReadBack {
        self.connections.read_back(applied).await
    }
    async fn already_so(&self, call: &Call) -> Option<bool> {
        self.connections.already_so(call).await
    }
}

#[async_trait]
impl Directory for Reach {
    async fn look_up(&self, aliases: &[Alias], connections: &[ConnectionId]) -> Found {
        found(self.connections.look_up(aliases, connections).await)
    }
    async fn look_up_soon(&self, aliases: &[Alias], connections: &[ConnectionId]) -> Found {
        found(self.connections.look_up_soon(aliases, connections).await)
    }
}

#[async_trait]
impl Pull for Reach {
    async fn pull(
        &self,
        connection: &ConnectionId,
        reading: &Reading,
    ) -> Result<Pulled, NotPulled> {
        self.connections.pull(connection, reading).await
    }
}

fn found(looked: Looked) -> Found {
    let Looked { name, accounts, aliases, unread } = looked;
    Found { name, accounts, aliases, unread }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the time comes from")]
    fn now(&self) -> Time {
        chrono::Utc::now()
    }
    async fn sleep_until(&self, at: Time) {
        let wait = (at - self.now()).to_std().unwrap_or_default();
        tokio::time::sleep(wait).await;
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        // The operating system's generator does not fail once the machine is up; going on
        // with predictable bytes would be worse than ending.
        assert!(aws_lc_rs::rand::fill(bytes).is_ok(), "the operating system gave no randomness");
    }
}

/// Time that passes only when nothing else is left to do: for trials of playbooks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VirtualClock {
    zero: tokio::time::Instant,
    start: Time,
}

impl VirtualClock {
    /// Starts at `start`; the runtime's time must be paused.
    pub(crate) fn starting(start: Time) -> Self {
        Self { zero: tokio::time::Instant::now(), start }
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Time {
        self.start + chrono::TimeDelta::from_std(self.zero.elapsed()).unwrap_or_default()
    }
    async fn sleep_until(&self, at: Time) {
        let wait = (at - self.now()).to_std().unwrap_or_default();
        tokio::time::sleep(wait).await;
    }
}
