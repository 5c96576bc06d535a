//! The kinds of source, and what is fixed about each.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

use super::shipped::Shipped;
use crate::model::incident::MayCause;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What a source sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Kind {
    /// Quell's own event schema.
    Events,
    /// What a detector asserts.
    Alerts,
    /// What people say.
    Reports,
    /// Okta System Log records, by hook, poll or forwarder.
    Okta,
    /// Entra sign-in, audit and risk records.
    Entra,
    PingId,
    /// Duo's authentication log.
    Duo,
    /// Microsoft Sentinel incidents.
    Sentinel,
    /// Defender XDR alerts (Graph `alerts_v2`).
    Defender,
    /// Splunk's webhook alert action.
    Splunk,
    /// Elastic Security's connector.
    Elastic,
    /// Wazuh alerts.
    Wazuh,
    /// Mail about prompts, posted by a forwarder.
    Mail,
    /// Slack's slash command and message shortcut.
    Slack,
    /// Microsoft Teams' outgoing webhook.
    Teams,
    /// Whatever the deployment's own mapping describes.
    Mapping,
    /// A product whose mapping comes with Quell.
    Shipped(Shipped),
}

impl Kind {
    const NATIVE: [Self; 16] = [
        Self::Events,
        Self::Alerts,
        Self::Reports,
        Self::Okta,
        Self::Entra,
        Self::PingId,
        Self::Duo,
        Self::Sentinel,
        Self::Defender,
        Self::Splunk,
        Self::Elastic,
        Self::Wazuh,
        Self::Mail,
        Self::Slack,
        Self::Teams,
        Self::Mapping,
    ];

    /// Every kind, those of shipped mappings last.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::NATIVE.into_iter().chain(Shipped::all().map(Self::Shipped))
    }

    /// The name used in configuration and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Alerts => "alerts",
            Self::Reports => "reports",
            Self::Okta => "okta",
            Self::Entra => "entra",
            Self::PingId => "pingid",
            Self::Duo => "duo",
            Self::Sentinel => "sentinel",
            Self::Defender => "defender",
            Self::Splunk => "splunk",
            Self::Elastic => "elastic",
            Self::Wazuh => "wazuh",
            Self::Mail => "mail",
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::Mapping => "mapping",
            Self::Shipped(shipped) => shipped.name(),
        }
    }

    /// Longest body, before and after inflating.
    pub(crate) fn body_cap(self) -> usize {
        match self {
            Self::Alerts
            | Self::Reports
            | Self::Okta
            | Self::Sentinel
            | Self::Defender
            | Self::Splunk
            | Self::Elastic
            | Self::Wazuh
            | Self::Slack
            | Self::Teams => 256 * KIB,
            // What is attached to a mail comes with it.
            Self::Mail
            | Self::Events
            | Self::Entra
            | Self::PingId
            | Self::Duo
            | Self::Mapping
            | Self::Shipped(_) => 4 * MIB,
        }
    }

    /// Whether its deliveries are `CloudEvents`, which come in three forms.
    pub(crate) fn is_cloudevents(self) -> bool {
        self.name() == "cloudevents"
    }

    /// How far the word of such a source carries when its section does not say.
    #[expect(clippy::unused_self, reason = "part of what is fixed about each kind")]
    pub(crate) fn default_may_cause(self) -> MayCause {
        MayCause::Revoke
    }

    /// Paths under which an object holds an array of records.
    pub(super) fn wrappers(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Events => &[&["events"]],
            Self::Alerts => &[&["alerts"]],
            Self::Reports => &[&["reports"]],
            Self::Okta => &[&["data", "events"], &["events"]],
            Self::Entra => &[&["records"], &["value"]],
            Self::PingId => &[&["events"], &["records"]],
            Self::Duo => &[&["response", "authlogs"], &["authlogs"]],
            Self::Sentinel | Self::Defender => &[&["value"]],
            Self::Splunk
            | Self::Elastic
            | Self::Wazuh
            | Self::Mail
            | Self::Slack
            | Self::Teams
            | Self::Mapping
            | Self::Shipped(_) => &[],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a text names no [`Kind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no kind of source: use {kinds}", kinds = kinds())]
pub(crate) struct NoSuchKind(String);

fn kinds() -> String {
    Kind::all().map(Kind::name).collect::<Vec<_>>().join(", ")
}

impl TryFrom<String> for Kind {
    type Error = NoSuchKind;

    fn try_from(text: String) -> Result<Self, NoSuchKind> {
        text.parse()
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind.name().to_owned()
    }
}

impl FromStr for Kind {
    type Err = NoSuchKind;

    fn from_str(text: &str) -> Result<Self, NoSuchKind> {
        let named = if text == "generic" { "events" } else { text };
        Self::all()
            .find(|kind| kind.name() == named)
            .ok_or_else(|| NoSuchKind(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_reads_back_as_it_is_named() {
        for kind in Kind::all() {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
