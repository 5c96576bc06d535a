//! Identifiers. Everything Quell creates is named by a UUIDv7; everything others name stays their text.
//!
//! Ids are minted from a time and random bytes that are handed in, so that a
//! simulation gives the same ids for the same seed.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

use super::time::Time;

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub(crate) struct $name(pub(crate) Uuid);

        impl $name {
            /// Mints an id that sorts by `at` and is unique by `random`.
            pub(crate) fn mint(at: Time, random: [u8; 10]) -> Self {
                Self(uuid_v7(at, random))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

uuid_id! {
    /// One accepted delivery.
    ReceiptId;
    /// One alert, whether posted or raised by Quell's own detection.
    AlertId;
    /// One user's report.
    ReportId;
    /// The person (or workload) behind one or more accounts.
    SubjectId;
    /// The case about one subject.
    IncidentId;
    /// One execution of one plan for one incident.
    RunId;
    /// One durable question to people.
    ApprovalId;
    /// One person who may sign in to the console.
    PersonId;
    /// One time in which somebody stands in for another.
    DelegationId;
    /// One API token.
    TokenId;
    /// The deployment itself; written once at `init`.
    DeploymentId;
}

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub(crate) struct $name(pub(crate) String);

        impl $name {
            pub(crate) fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }
            #[allow(dead_code, reason = "one set of methods for every text id")]
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    )*};
}

text_id! {
    /// The name of a `[sources.NAME]` section.
    SourceId;
    /// The name of a `[connections.NAME]` section: one configured, credentialed system.
    ConnectionId;
    /// `connector/action`, such as `entra-id/revoke-sessions`.
    ActionId;
    /// A provider-neutral operation, such as `identity.revoke_sessions`.
    Capability;
    /// A playbook's name.
    PlaybookName;
    /// SHA-256 of a plan's canonical JSON, lower-case hex: what a run pins.
    PlanDigest;
    /// A step's place in a run: `block`, `CALL/block` in a call, `rise.1/block` in a continuation.
    StepPath;
    /// A provider's event id, prefixed with the source kind: `okta:7f3c…`.
    EventId;
}

impl ActionId {
    /// The connector half of `connector/action`.
    pub(crate) fn connector(&self) -> &str {
        self.0.split_once('/').map_or(self.0.as_str(), |(connector, _)| connector)
    }
}

impl StepPath {
    /// Which round it belongs to: 0 for a run's first, `N` behind `rise.N/`.
    pub(crate) fn round(&self) -> u32 {
        let prefix = self.0.strip_prefix("rise.").and_then(|rest| rest.split_once('/'));
        prefix.and_then(|(number, _)| number.parse().ok()).unwrap_or(0)
    }

    /// The step's id in its plan, without a continuation's `rise.N/` prefix.
    pub(crate) fn step(&self) -> &str {
        let risen = self.0.strip_prefix("rise.").and_then(|rest| rest.split_once('/'));
        risen.map_or(self.0.as_str(), |(_, step)| step)
    }
}

impl TokenId {
    /// When it was made, to the millisecond.
    pub(crate) fn made_at(self) -> Time {
        let stamp = self.0.get_timestamp().map(|stamp| stamp.to_unix());
        let (seconds, nanos) = stamp.unwrap_or_default();
        Time::from_timestamp(seconds.cast_signed(), nanos).unwrap_or_default()
    }
}

fn uuid_v7(at: Time, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_the_time_they_were_minted_at() {
        let early = RunId::mint(Time::from_timestamp_millis(1_000).unwrap(), [0xff; 10]);
        let late = RunId::mint(Time::from_timestamp_millis(1_001).unwrap(), [0; 10]);

        assert!(early < late);
        assert_eq!(early.0.get_version_num(), 7);
    }
}
