//! What a `[connections.NAME]` section says. Plain data; `connections` gives it a meaning.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use super::auth::Auth;

/// One configured instance of a connector.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// The connector's folder name, such as `entra-id`.
    pub(crate) connector: String,
    /// Every request goes below this address.
    pub(crate) base_url: String,
    /// Where OAuth tokens come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_url: Option<String>,
    #[serde(default)]
    pub(crate) auth: Auth,
    /// A stronger credential, used for privileged accounts only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) privileged: Option<Auth>,
    /// Which accounts this connection may act on.
    #[serde(default)]
    pub(crate) targets: Targets,
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, Value>,
    /// Networks that are not public but may be called, such as an on-premises help desk's.
    #[serde(default, with = "networks")]
    #[schemars(with = "Vec<String>")]
    pub(crate) allow_networks: Vec<IpNet>,
    /// Overrides the connector's own limit of calls under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) concurrency: Option<usize>,
}

/// Which accounts a connection may act on.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Targets {
    #[default]
    All,
    Ordinary,
    Privileged,
}

/// Networks as text, such as `10.1.0.0/16`.
mod networks {
    use ipnet::IpNet;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(list: &[IpNet], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
        let refuse = |text: &String| {
            D::Error::custom(format!("`{text}` is not a network: write it like `10.1.0.0/16`"))
        };
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| text.parse().map_err(|_| refuse(text))).collect()
    }
}
