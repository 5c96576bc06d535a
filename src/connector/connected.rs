//! The connections as people look at them. Pure: nothing is called.

use std::collections::{BTreeMap, BTreeSet};

use super::connections::{Connection, Connections};
use super::options::Targets;
use crate::model::connected::Connected;
use crate::model::id::Capability;

impl Connections {
    /// Every connection, in configured order.
    pub(crate) fn connected(&self) -> Vec<Connected> {
        self.all().iter().filter_map(|connection| self.told(connection)).collect()
    }

    fn told(&self, connection: &Connection) -> Option<Connected> {
        let described = self.described(connection)?;
        let mut capabilities: BTreeMap<Capability, BTreeSet<String>> = BTreeMap::new();
        for action in described.actions.values() {
            if let Some(name) = &action.implements {
                let rights = capabilities.entry(Capability::new(name.as_str())).or_default();
                rights.extend(action.permissions.iter().cloned());
            }
        }
        let sorts: BTreeSet<&str> = capabilities.keys().filter_map(|c| sort(c.as_str())).collect();
        let all = self.catalogue.capabilities.keys();
        let of_sort = all.filter(|name| sort(name).is_some_and(|own| sorts.contains(own)));
        let lacks = of_sort.map(|name| Capability::new(name.as_str()));
        Some(Connected {
            id: connection.id.clone(),
            connector: connection.options.connector.clone(),
            title: described.manifest.title.clone(),
            targets: match connection.options.targets {
                Targets::All => "all accounts",
                Targets::Ordinary => "accounts that are not privileged",
                Targets::Privileged => "privileged accounts only",
            },
            credential: connection.options.auth.name(),
            privileged: connection.options.privileged.as_ref().map(super::auth::Auth::name),
            lacks: lacks.filter(|name| !capabilities.contains_key(name)).collect(),
            capabilities,
        })
    }
}

/// The sort of system that a capability is of.
fn sort(capability: &str) -> Option<&str> {
    capability.split_once('.').map(|(sort, _)| sort)
}
