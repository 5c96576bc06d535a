//! Connections as the engine's ports.

use async_trait::async_trait;
use std::sync::Arc;

use crate::config::Config;
use crate::connector::catalogue::{Catalogue as Manifests, ManifestErrors};
use crate::connector::connections::{Connections, Ports};
use crate::connector::outbound::Dial;
use crate::engine::ports::{Actions, Catalogue, Clock, Directory, Entropy, Found};
use crate::model::action::{
    ActionSpec, Applied, Call, CallResult, ReadBack, Signature, Signatures, Target, Unavailable,
};
use crate::model::id::{Capability, ConnectionId};
use crate::model::subject::Alias;
use crate::secret::{Scrubber, Sources};

use super::BootError;

/// What the engine calls through.
#[derive(Clone)]
pub(crate) struct Plugs {
    pub(crate) catalogue: Arc<dyn Catalogue>,
    pub(crate) actions: Arc<dyn Actions>,
    pub(crate) directory: Arc<dyn Directory>,
    /// What playbooks may call.
    pub(crate) signatures: Arc<Signatures>,
}

/// The manifests: those compiled in, with the configured folder's laid over them.
pub(crate) fn catalogue(config: &Config) -> Result<Manifests, ManifestErrors> {
    let folder = &config.store.connectors;
    if folder.as_os_str().is_empty() {
        Manifests::builtin()
    } else {
        Manifests::with_folder(folder)
    }
}

/// Makes the configured connections; `dial` is the way out.
pub(crate) fn connect(
    config: &Config,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    secrets: &Sources,
    scrubber: &Scrubber,
    dial: Dial,
) -> Result<Plugs, BootError> {
    let manifests = catalogue(config).map_err(|e| BootError::Connections(e.0))?;
    let ports = Ports {
        clock: Arc::new(move || clock.now()),
        entropy: Arc::new(move |bytes: &mut [u8]| entropy.fill(bytes)),
        sources: secrets.clone(),
        scrubber: scrubber.clone(),
        dial,
    };
    let connections = config.connections.iter().map(|(id, o)| (id.clone(), o.clone()));
    let connections = Connections::new(Arc::new(manifests), connections, ports)
        .map_err(BootError::Connections)?;
    let signatures = Arc::new(connections.signatures());
    let plugged = Arc::new(Plugged { connections, signatures: signatures.clone() });
    Ok(Plugs {
        catalogue: plugged.clone(),
        actions: plugged.clone(),
        directory: plugged,
        signatures,
    })
}

struct Plugged {
    connections: Connections,
    signatures: Arc<Signatures>,
}

impl Catalogue for Plugged {
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

    fn item_input(&self, name: &str) -> Option<String> {
        self.connections.item_input(name)
    }

    fn concurrency(&self, connection: &ConnectionId) -> usize {
        self.connections.concurrency(connection)
    }
}

#[async_trait]
impl Actions for Plugged {
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
impl Directory for Plugged {
    async fn look_up(&self, aliases: &[Alias], connections: &[ConnectionId]) -> Found {
        let looked = self.connections.look_up(aliases, connections).await;
        Found {
            name: looked.name,
            accounts: looked.accounts,
            aliases: looked.aliases,
            unread: looked.unread,
        }
    }
}
