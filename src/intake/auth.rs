//! How a source proves who it is, as its section of the configuration says it.

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
    /// The body is a security event token of this issuer for this audience; each secret is the issuer's JSON
    /// Web Key Set.
    Set { issuer: String, audience: String, secrets: Vec<String> },
    /// Nothing. Only for a lab that listens on loopback; the caller checks that.
    None,
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
            | Self::Set { secrets, .. } => secrets,
            Self::None => &[],
        }
    }

    /// Whether the bytes of the body are proved, not only who sent them.
    pub(crate) fn signs_body(&self) -> bool {
        matches!(
            self,
            Self::StandardWebhooks { .. }
                | Self::Hmac { .. }
                | Self::Teams { .. }
                | Self::Set { .. }
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
