//! The configured connections: built once from configuration, then asked and called.
//!
//! The methods here and in `call`, `lookup` and `probe` have the shapes of the engine's
//! ports, so that joining them is a matter of a few lines above.

use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::auth::Signer;
use super::catalogue::{Catalogue, Described};
use super::manifest::Native;
use super::options::{Options, Targets};
use super::outbound::{Dial, Guard, Transport, Way};
use super::pace::Pace;
use super::resolve::Asked;
use crate::model::action::{ActionSpec, Signatures, Target, Unavailable};
use crate::model::id::{Capability, ConnectionId};
use crate::model::time::Time;
use crate::secret::{Scrubber, Sources};

/// Tells the time.
pub(crate) type Now = Arc<dyn Fn() -> Time + Send + Sync>;
/// Fills bytes with randomness.
pub(crate) type Fill = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// What connections need of the world.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) clock: Now,
    pub(crate) entropy: Fill,
    pub(crate) sources: Sources,
    pub(crate) scrubber: Scrubber,
    pub(crate) dial: Dial,
}

/// One connection, ready to call.
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) options: Options,
    /// The connector's settings with their defaults; absent ones are `null`.
    pub(crate) settings: Value,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) ordinary: Signer,
    pub(crate) privileged: Option<Signer>,
    pub(crate) pace: Pace,
}

impl Connection {
    /// The credential for an account of this class.
    pub(crate) fn signer(&self, privileged: bool) -> &Signer {
        self.privileged.as_ref().filter(|_| privileged).unwrap_or(&self.ordinary)
    }
}

/// All connections, in configured order.
pub(crate) struct Connections {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) ports: Ports,
    list: Vec<Connection>,
}

impl Connections {
    /// Builds every connection, or says everything that is wrong with them.
    pub(crate) fn new(
        catalogue: Arc<Catalogue>,
        options: impl IntoIterator<Item = (ConnectionId, Options)>,
        ports: Ports,
    ) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut list = Vec::new();
        for (id, options) in options {
            match connection(&catalogue, &id, options, &ports) {
                Ok(connection) => list.push(connection),
                Err(found) => problems.extend(
                    found.into_iter().map(|problem| format!("connection `{id}`: {problem}")),
                ),
            }
        }
        if problems.is_empty() { Ok(Self { catalogue, ports, list }) } else { Err(problems) }
    }

    pub(crate) fn get(&self, id: &ConnectionId) -> Option<&Connection> {
        self.list.iter().find(|connection| connection.id == *id)
    }

    /// All of them, in configured order.
    pub(super) fn all(&self) -> &[Connection] {
        &self.list
    }

    pub(crate) fn described(&self, connection: &Connection) -> Option<&Described> {
        self.catalogue.connectors.get(&connection.options.connector)
    }

    /// The action that implements `name` on a connection, for a target if it has one.
    pub(crate) fn resolve(
        &self,
        name: &str,
        connection: &ConnectionId,
        target: Option<&Target>,
    ) -> Result<ActionSpec, Unavailable> {
        let found = self.get(connection).ok_or_else(|| {
            Unavailable::Unsupported(format!("there is no connection `{connection}`"))
        })?;
        let refused = match (found.options.targets, target.map(|t| t.privileged)) {
            (Targets::Ordinary, Some(true)) => Some("ordinary"),
            (Targets::Privileged, Some(false)) => Some("privileged"),
            _ => None,
        };
        if let Some(class) = refused {
            let why = format!("the connection `{connection}` is for {class} accounts only");
            return Err(Unavailable::Unsupported(why));
        }
        Asked {
            catalogue: &self.catalogue,
            connector: &found.options.connector,
            settings: &found.settings,
            target,
        }
        .resolve(name)
    }

    /// The connections, in configured order, that implement a capability or own the named action.
    pub(crate) fn connections_for(&self, name: &str) -> Vec<ConnectionId> {
        self.list
            .iter()
            .filter(|c| !self.catalogue.implementing(&c.options.connector, name).is_empty())
            .map(|c| c.id.clone())
            .collect()
    }

    /// The capability behind a `use:` name. An action that implements none is its own.
    pub(crate) fn capability_of(&self, name: &str) -> Option<Capability> {
        if self.catalogue.capabilities.contains_key(name) {
            return Some(Capability::new(name));
        }
        let (_, action) = self.catalogue.action(name)?;
        Some(Capability::new(action.implements.clone().unwrap_or_else(|| name.to_owned())))
    }

    /// How many calls a connection may have under way at once.
    pub(crate) fn concurrency(&self, connection: &ConnectionId) -> usize {
        let Some(connection) = self.get(connection) else { return 1 };
        let manifest = self.described(connection).map(|d| d.manifest.limits.concurrency);
        connection.options.concurrency.or(manifest).unwrap_or(1).max(1)
    }

    /// Everything a playbook may call.
    pub(crate) fn signatures(&self) -> Signatures {
        self.catalogue.signatures()
    }
}

fn connection(
    catalogue: &Catalogue,
    id: &ConnectionId,
    options: Options,
    ports: &Ports,
) -> Result<Connection, Vec<String>> {
    let Some(described) = catalogue.connectors.get(&options.connector) else {
        let known: Vec<_> = catalogue.connectors.keys().map(String::as_str).collect();
        return Err(vec![format!(
            "there is no connector `{}`; there are {}",
            options.connector,
            known.join(", ")
        )]);
    };
    let native = described.manifest.native;
    let mut problems = addresses(&options, native);
    let settings = settings(described, &options.settings, &options.base_url, &mut problems);
    credentials(described, &options, &mut problems);
    let transport = match (ports.dial)(Way { networks: &options.allow_networks, native }) {
        Ok(transport) if problems.is_empty() => transport,
        Ok(_) => return Err(problems),
        Err(error) => {
            problems.push(error.to_string());
            return Err(problems);
        }
    };
    let signer = |auth: &super::auth::Auth| Signer::new(auth.clone(), options.token_url.clone());
    Ok(Connection {
        id: id.clone(),
        settings,
        transport,
        ordinary: signer(&options.auth),
        privileged: options.privileged.as_ref().map(signer),
        pace: Pace::default(),
        options,
    })
}

/// Everything that is wrong with one connection's section, without building it.
pub(crate) fn settings_problems(catalogue: &Catalogue, options: &Options) -> Vec<String> {
    let Some(described) = catalogue.connectors.get(&options.connector) else {
        let known: Vec<_> = catalogue.connectors.keys().map(String::as_str).collect();
        return vec![format!(
            "there is no connector `{}`; there are {}",
            options.connector,
            known.join(", ")
        )];
    };
    let mut problems = addresses(options, described.manifest.native);
    settings(described, &options.settings, &options.base_url, &mut problems);
    credentials(described, options, &mut problems);
    problems
}

/// Whether the connector takes such credentials, and whether what they need is there.
fn credentials(described: &Described, options: &Options, problems: &mut Vec<String>) {
    for auth in [Some(&options.auth), options.privileged.as_ref()].into_iter().flatten() {
        if !described.manifest.auth.iter().any(|offered| offered == auth.name()) {
            problems.push(format!(
                "`auth` is one of {}, not {}",
                described.manifest.auth.join(", "),
                auth.name()
            ));
        }
        if auth.uses_tokens() && options.token_url.is_none() {
            problems.push(format!("`auth` {} needs `token_url`", auth.name()));
        }
    }
}

fn addresses(options: &Options, native: Option<Native>) -> Vec<String> {
    let guard = Guard::new(&options.allow_networks);
    let base = Some(("base_url", &options.base_url));
    let token = options.token_url.as_ref().map(|url| ("token_url", url));
    let mut problems = Vec::new();
    for (name, url) in [base, token].into_iter().flatten() {
        let judged = match native {
            Some(Native::Smtp) if name == "base_url" => guard.mail(url),
            _ => guard.url(url),
        };
        match judged {
            Err(refusal) => problems.push(format!("`{name}`: {refusal}")),
            Ok(url)
                if name == "base_url" && (url.query().is_some() || url.fragment().is_some()) =>
            {
                problems.push("`base_url` holds neither query nor fragment".into());
            }
            Ok(_) => {}
        }
    }
    problems
}

/// The settings as expressions see them: declared ones with their defaults, and `base_url`.
pub(super) fn settings(
    described: &Described,
    given: &BTreeMap<String, Value>,
    base_url: &str,
    problems: &mut Vec<String>,
) -> Value {
    let declared = &described.manifest.settings;
    for unknown in given.keys().filter(|name| !declared.contains_key(*name)) {
        problems.push(format!("there is no setting `{unknown}`"));
    }
    let mut out = serde_json::Map::new();
    for (name, setting) in declared {
        let value = given.get(name).or(setting.default.as_ref()).cloned().unwrap_or_default();
        if value.is_null() && setting.required {
            problems.push(format!("the setting `{name}` is missing: {}", setting.summary));
        }
        out.insert(name.clone(), value);
    }
    out.insert("base_url".into(), Value::String(base_url.trim_end_matches('/').to_owned()));
    Value::Object(out)
}

#[cfg(test)]
mod tests;
