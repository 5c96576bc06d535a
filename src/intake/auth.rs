//! How a source proves who it is, as its section of the configuration says it.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::model::time::Span;

/// One scheme. `secrets` are references; the values are handed to the
/// [`Verifier`](super::Verifier) resolved, two while they are being rotated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Auth {
    /// `webhook-id`, `webhook-timestamp` and `webhook-signature`, HMAC-SHA256.
    StandardWebhooks {
        secrets: Vec<String>,
        #[serde(default = "five_minutes")]
        tolerance: Span,
    },
    /// HMAC-SHA256 in a header of the sender's choice.
    Hmac {
        header: String,
        /// What stands before the signature: `sha256=`, `v0=`, `v1=`.
        #[serde(default)]
        prefix: String,
        #[serde(default)]
        encoding: Encoding,
        /// Unix seconds. Counts only if it is signed too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp_header: Option<String>,
        /// Names the delivery, for schemes that number theirs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id_header: Option<String>,
        /// What is signed, with `{timestamp}`, `{id}` and `{body}`; the body comes last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<String>,
        secrets: Vec<String>,
        #[serde(default = "five_minutes")]
        tolerance: Span,
    },
    /// `Authorization: Bearer …`.
    Bearer { secrets: Vec<String> },
    /// `Authorization: Basic …`; each secret is `user:password`.
    Basic { secrets: Vec<String> },
    /// A fixed value in a header, as Okta's event hooks send it.
    Header { name: String, secrets: Vec<String> },
    /// `Authorization: HMAC …` by a Microsoft Teams outgoing webhook; each secret is the token that Teams shows.
    Teams { secrets: Vec<String> },
    /// The body is a security event token.
    Set(Transmitter),
    /// Nothing. Only for a lab that listens on loopback; the caller checks that.
    None,
}

/// Who sends security event tokens, to whom, and which keys sign them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Typed", into = "Typed")]
pub(crate) struct Transmitter {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) keys: Keys,
}

/// Where the keys of a transmitter come from: one place, so that a key which is gone from it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Each secret is a JSON Web Key Set, which somebody renews by hand.
    Given { secrets: Vec<String> },
    /// They are read there, again and again.
    Fetched(Place),
}

/// Where a transmitter's keys are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) jwks_uri: String,
    /// Private ranges that it may be in.
    pub(crate) allow_networks: Vec<IpNet>,
}

/// A transmitter as it is typed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    issuer: String,
    audience: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allow_networks: Vec<IpNet>,
}

impl TryFrom<Typed> for Transmitter {
    type Error = &'static str;

    fn try_from(typed: Typed) -> Result<Self, &'static str> {
        let Typed { issuer, audience, secrets, jwks_uri, allow_networks } = typed;
        let keys = match jwks_uri {
            Some(_) if !secrets.is_empty() => {
                return Err("`jwks_uri` and `secrets` both say which keys count: name one of them");
            }
            None if !allow_networks.is_empty() => {
                return Err("`allow_networks` says where `jwks_uri` may be, and there is none");
            }
            Some(jwks_uri) => Keys::Fetched(Place { jwks_uri, allow_networks }),
            None => Keys::Given { secrets },
        };
        Ok(Self { issuer, audience, keys })
    }
}

impl From<Transmitter> for Typed {
    fn from(said: Transmitter) -> Self {
        let Transmitter { issuer, audience, keys } = said;
        let (secrets, place) = match keys {
            Keys::Given { secrets } => (secrets, None),
            Keys::Fetched(place) => (Vec::new(), Some(place)),
        };
        let (jwks_uri, allow_networks) =
            place.map(|place| (place.jwks_uri, place.allow_networks)).unzip();
        let allow_networks = allow_networks.unwrap_or_default();
        Self { issuer, audience, secrets, jwks_uri, allow_networks }
    }
}

/// How the signature's bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Encoding {
    #[default]
    Hex,
    Base64,
}

impl Auth {
    /// The references whose values the verifier needs, in order.
    pub(crate) fn secrets(&self) -> &[String] {
        match self {
            Self::StandardWebhooks { secrets, .. }
            | Self::Hmac { secrets, .. }
            | Self::Bearer { secrets }
            | Self::Basic { secrets }
            | Self::Header { secrets, .. }
            | Self::Teams { secrets }
            | Self::Set(Transmitter { keys: Keys::Given { secrets }, .. }) => secrets,
            Self::Set(_) | Self::None => &[],
        }
    }

    /// Where the keys are read, if they are.
    pub(crate) fn place(&self) -> Option<&Place> {
        match self {
            Self::Set(Transmitter { keys: Keys::Fetched(place), .. }) => Some(place),
            _ => None,
        }
    }

    /// Whether something has to be looked up before a delivery can be proved.
    pub(crate) fn needs_secrets(&self) -> bool {
        !self.is_open() && self.place().is_none()
    }

    /// Whether the bytes of the body are proved, not only who sent them.
    pub(crate) fn signs_body(&self) -> bool {
        matches!(
            self,
            Self::StandardWebhooks { .. } | Self::Hmac { .. } | Self::Teams { .. } | Self::Set(_)
        )
    }

    /// Whether anybody may send.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::None)
    }
}

fn five_minutes() -> Span {
    Span::minutes(5)
}
