//! The configured connections, plugged into the engine's ports.

use std::sync::Arc;

use super::BootError;
use super::ports::Reach;
use crate::config::Config;
use crate::connector::catalogue::{Catalogue as Manifests, ManifestErrors};
use crate::connector::connections::{Connections, Ports};
use crate::connector::outbound::{self, Dial};
use crate::console::Probe;
use crate::engine::ports::{Actions, Catalogue, Clock, Directory, Entropy};
use crate::model::action::Signatures;
use crate::people::oidc::Oidc;
use crate::poll::Pull;
use crate::secret::{Scrubber, Sources};

/// What the engine calls through.
#[derive(Clone)]
pub(crate) struct Plugs {
    pub(crate) catalogue: Arc<dyn Catalogue>,
    pub(crate) actions: Arc<dyn Actions>,
    pub(crate) directory: Arc<dyn Directory>,
    /// Reads providers' logs.
    pub(crate) pull: Arc<dyn Pull>,
    /// Tries credentials.
    pub(crate) probe: Arc<dyn Probe>,
    /// What playbooks may call.
    pub(crate) signatures: Arc<Signatures>,
}

impl From<Arc<Reach>> for Plugs {
    fn from(reach: Arc<Reach>) -> Self {
        Self {
            catalogue: reach.clone(),
            actions: reach.clone(),
            pull: reach.clone(),
            probe: reach.clone(),
            signatures: Arc::new(reach.signatures().clone()),
            directory: reach,
        }
    }
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
) -> Result<Arc<Reach>, BootError> {
    let manifests = catalogue(config).map_err(|e| BootError::Connections(e.0))?;
    let ports = Ports {
        clock: Arc::new(move || clock.now()),
        entropy: Arc::new(move |bytes: &mut [u8]| entropy.fill(bytes)),
        sources: secrets.clone(),
        scrubber: scrubber.clone(),
        dial,
    };
    let connections = config.connections.iter().map(|(id, o)| (id.clone(), o.clone()));
    Connections::new(Arc::new(manifests), connections, ports)
        .map(Reach::new)
        .map_err(BootError::Connections)
}

/// The organisation's identity provider, where one is configured; nobody asks it before somebody signs in.
pub(crate) fn identity_provider(
    config: &Config,
    secrets: &Sources,
    scrubber: &Scrubber,
) -> Result<Option<Arc<Oidc>>, BootError> {
    let Some(options) = config.oidc.clone() else { return Ok(None) };
    let refuse = |why: String| BootError::Connections(vec![format!("[oidc]: {why}")]);
    let secret = options.client_secret.as_ref().map(|reference| secrets.resolve(reference));
    let secret = secret.transpose().map_err(|error| refuse(error.to_string()))?;
    if let Some(secret) = &secret {
        scrubber.register(secret);
    }
    let way = outbound::Way { networks: &options.allow_networks, native: None };
    let transport = outbound::dial()(way);
    let transport = transport.map_err(|error| refuse(error.to_string()))?;
    Ok(Some(Arc::new(Oidc::new(options, secret, transport, &config.server.public_url))))
}
