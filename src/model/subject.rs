//! People and their accounts.

use serde::{Deserialize, Serialize};
use std::fmt;

use super::id::{ConnectionId, SubjectId};
use super::time::Time;

/// An account's name that never changes: the connection and the provider's immutable id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct AccountKey {
    pub(crate) connection: ConnectionId,
    pub(crate) provider_id: String,
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.connection, self.provider_id)
    }
}

/// Who decides what the account's attributes are. What the authority overwrites must be done there.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Authority {
    #[default]
    Cloud,
    /// Mastered in an on-premises directory.
    Synced,
    /// Signs in at another identity provider.
    Federated,
    /// A guest of another organisation's tenant.
    Guest,
    /// Passwords are checked by another directory (Okta with AD or LDAP delegation).
    Delegated,
}

impl Authority {
    pub(crate) const ALL: [Self; 5] =
        [Self::Cloud, Self::Synced, Self::Federated, Self::Guest, Self::Delegated];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Synced => "synced",
            Self::Federated => "federated",
            Self::Guest => "guest",
            Self::Delegated => "delegated",
        }
    }
}

/// How sure it is that an account belongs to its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Link {
    /// Mail address or display name only: shown and asked, never acted on by itself.
    Weak,
    /// Object id, immutable id, employee id or verified sign-in name.
    #[default]
    Strong,
}

/// One account as last read from its provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) connection: ConnectionId,
    pub(crate) provider_id: String,
    pub(crate) login: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) authority: Authority,
    /// The provider's own word in lower case: `active`, `suspended`, `locked_out`, `disabled` …
    #[serde(default)]
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) privileged: bool,
    /// On the protected list (break-glass, last active administrator): revoke and page, never block or reset.
    #[serde(default)]
    pub(crate) protected: bool,
    #[serde(default)]
    pub(crate) link: Link,
    /// Its roles could not be read: no block or reset, but revoke and page.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) roles_unread: bool,
    /// When this was read: the stated age of everything above.
    pub(crate) read_at: Time,
}

impl Account {
    pub(crate) fn key(&self) -> AccountKey {
        AccountKey { connection: self.connection.clone(), provider_id: self.provider_id.clone() }
    }
}

/// A name under which records speak of a subject, in one canonical spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Alias(pub(crate) String);

impl Alias {
    /// Whether a text could be somebody's sign-in name: long enough for any directory, and of the form
    /// that they all use.
    pub(crate) fn is_sign_in_name(name: &str) -> bool {
        let plain = name.chars().all(|c| c.is_alphanumeric() || ".@_+-#$'".contains(c));
        plain
            && name.len() <= 256
            && name.split_once('@').is_some_and(|(who, host)| !who.is_empty() && host.contains('.'))
    }

    /// A sign-in name; case does not matter in any of the supported directories.
    pub(crate) fn login(login: &str) -> Self {
        Self(format!("login:{}", login.trim().to_lowercase()))
    }
    /// A provider's immutable id.
    pub(crate) fn account(key: &AccountKey) -> Self {
        Self(format!("id:{key}"))
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The person (or workload) behind one or more accounts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Subject {
    pub(crate) id: SubjectId,
    pub(crate) name: String,
    pub(crate) aliases: Vec<Alias>,
    #[serde(default)]
    pub(crate) accounts: Vec<Account>,
    /// When the accounts were last read; `None` = provisional, known by an alias only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resolved_at: Option<Time>,
    /// The subject this one was merged into; the older survives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) merged_into: Option<SubjectId>,
    /// Connections that the sources naming this subject may cause actions on.
    #[serde(default)]
    pub(crate) connections: Vec<ConnectionId>,
    /// Those of them that gave no answer when the accounts were last read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) silent: Vec<ConnectionId>,
}

impl Subject {
    pub(crate) fn privileged(&self) -> bool {
        self.accounts.iter().any(|account| account.privileged)
    }
    pub(crate) fn protected(&self) -> bool {
        self.accounts.iter().any(|account| account.protected)
    }
    pub(crate) fn account(&self, key: &AccountKey) -> Option<&Account> {
        self.accounts
            .iter()
            .find(|a| a.connection == key.connection && a.provider_id == key.provider_id)
    }
}
