//! Tests a connection the way an incident would use it: each credential makes a harmless call.

use serde::Serialize;
use std::collections::BTreeMap;

use super::connections::{Connection, Connections};
use crate::model::action::{Call, Outcome};
use crate::model::id::ConnectionId;
use serde_json::{Value, json};

/// What `quell connection test` shows for one connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    pub(crate) connection: ConnectionId,
    pub(crate) connector: String,
    pub(crate) classes: Vec<Class>,
    /// The rights that the vendor must have granted, each with the actions that need it.
    pub(crate) permissions: BTreeMap<String, Vec<String>>,
    /// Capabilities that this connection lacks only for want of a setting.
    pub(crate) unset: BTreeMap<String, Vec<String>>,
}

/// One class of accounts and its credential.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Class {
    /// `ordinary` or `privileged`.
    pub(crate) of: &'static str,
    pub(crate) credential: &'static str,
    pub(crate) works: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

impl Report {
    pub(crate) fn works(&self) -> bool {
        self.classes.iter().all(|class| class.works)
    }
}

impl Connections {
    /// Probes every credential of a connection.
    pub(crate) async fn test(&self, name: &ConnectionId) -> Option<Report> {
        let connection = self.get(name)?;
        let described = self.described(connection)?;
        let mut classes = vec![self.class(connection, "ordinary", false).await];
        if connection.privileged.is_some() {
            classes.push(self.class(connection, "privileged", true).await);
        }
        let mut permissions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut unset: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for action in described.actions.values() {
            for permission in &action.permissions {
                permissions.entry(permission.clone()).or_default().push(action.action.clone());
            }
            for setting in
                action.requires_settings.iter().filter(|s| connection.settings[*s].is_null())
            {
                unset.entry(setting.clone()).or_default().push(action.action.clone());
            }
        }
        let connector = connection.options.connector.clone();
        Some(Report { connection: name.clone(), connector, classes, permissions, unset })
    }

    async fn class(&self, connection: &Connection, class: &'static str, privileged: bool) -> Class {
        let credential = match (&connection.options.privileged, privileged) {
            (Some(auth), true) => auth.name(),
            _ => connection.options.auth.name(),
        };
        let Some(described) = self.described(connection) else {
            let problem = Some("there is no such connector".into());
            return Class { of: class, credential, works: false, problem };
        };
        let probe = &described.manifest.probe;
        let mut inputs = probe.inputs.clone();
        if let Some(Value::Object(account)) = inputs.get_mut("account") {
            account.insert("privileged".into(), json!(privileged));
        }
        let call = Call {
            connection: connection.id.clone(),
            action: format!("{}/{}", connection.options.connector, probe.action).as_str().into(),
            inputs,
            key: "connection-test".into(),
        };
        let result = self.call(&call).await;
        // The probe may ask for somebody who does not exist: being told so proves the credential.
        let works = matches!(result.outcome, Outcome::Done | Outcome::Unchanged)
            || (result.status == Some(404) && !result.connection_fault);
        Class { of: class, credential, works, problem: result.problem.filter(|_| !works) }
    }
}
