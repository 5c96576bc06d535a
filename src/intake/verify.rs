//! Proves that a delivery comes from its source. The only way to a [`Verified`] is to verify.
//!
//! The raw body is authenticated before anything looks into it, and before it is inflated.
//! Every comparison is in constant time, and every active secret is tried, so that the
//! time taken says nothing. Freshness is judged after the signature: only somebody who
//! holds the secret learns that a delivery was merely late.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use sha2::{Digest as _, Sha256};
use std::fmt;
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use super::auth::{Auth, Encoding, Place, Transmitter};
use super::body;
use super::cloud;
use super::json::{sha256_hex, text_at};
use super::kind::Kind;
use super::problem::Problem;
use super::ring::{KeySet, Ring};
use super::set;
use super::teams;
use crate::model::text::tame_field;
use crate::model::time::{Span, Time};

type HmacSha256 = Hmac<Sha256>;

/// Why a secret cannot be used with its scheme. Never shows it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BadSecret {
    #[error("no secret is given")]
    Missing,
    #[error("the secret is not `whsec_` and base64 of 24 to 64 bytes")]
    NotWhsec,
    #[error("the secret is no JSON Web Key Set with a key that signs")]
    NotJwks,
    #[error(
        "the secret is no security token of a Teams outgoing webhook: base64 of at least 16 bytes"
    )]
    NotOfTeams,
    #[error("the secret is shorter than {0} bytes")]
    TooShort(usize),
    #[error("`signed` must end with {{body}}, and name {{timestamp}} if `timestamp_header` is set")]
    BadTemplate,
}

/// Checks the deliveries of one source.
pub(crate) struct Verifier {
    auth: Auth,
    keys: Vec<Zeroizing<Vec<u8>>>,
    /// Of a transmitter of event tokens.
    public: Ring,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("auth", &self.auth)
            .field("keys", &self.keys.len())
            .field("public", &self.public)
            .finish()
    }
}

/// A delivery whose sender has been proved; its body is plain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verified {
    body: Bytes,
    delivery_id: String,
}

impl Verified {
    /// The inflated body.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// Names the delivery within its source: the sender's own id, else the body's SHA-256.
    pub(crate) fn delivery_id(&self) -> &str {
        &self.delivery_id
    }
}

impl Verifier {
    /// Shortest shared secret that is accepted.
    const SHORTEST: usize = 8;

    /// Joins a scheme with the values of its secrets.
    pub(crate) fn new(auth: Auth, secrets: Vec<Vec<u8>>) -> Result<Self, BadSecret> {
        let secrets: Vec<_> = secrets.into_iter().map(Zeroizing::new).collect();
        if secrets.is_empty() && auth.needs_secrets() {
            return Err(BadSecret::Missing);
        }
        let keys = match &auth {
            Auth::StandardWebhooks { .. } => {
                secrets.iter().map(|s| whsec(s)).collect::<Result<_, _>>()?
            }
            Auth::Teams { .. } => secrets.iter().map(|s| shown(s)).collect::<Result<_, _>>()?,
            _ if secrets.iter().any(|s| s.len() < Self::SHORTEST) => {
                return Err(BadSecret::TooShort(Self::SHORTEST));
            }
            _ => secrets,
        };
        if let Auth::Hmac { timestamp_header, signed: Some(signed), .. } = &auth {
            let stamped = timestamp_header.is_none() || signed.contains("{timestamp}");
            if !signed.ends_with("{body}") || !stamped {
                return Err(BadSecret::BadTemplate);
            }
        }
        let mut public = Ring::default();
        if matches!(auth, Auth::Set(_)) && auth.needs_secrets() {
            let sets = keys.iter().map(|set| KeySet::read(set).filter(|set| set.len() > 0));
            let sets: Option<Vec<KeySet>> = sets.collect();
            public = Ring::given(sets.ok_or(BadSecret::NotJwks)?);
        }
        Ok(Self { auth, keys, public })
    }

    /// Whether its deliveries are security event tokens.
    pub(crate) fn is_set(&self) -> bool {
        matches!(self.auth, Auth::Set(_))
    }

    /// Keys that are read at the same place are the same keys: whoever renews those of `before` renews these.
    pub(crate) fn goes_on_with(&mut self, before: &Self) {
        let same = self.renewed().map(|(place, _)| place);
        if let Some((place, ring)) = before.renewed()
            && same == Some(place)
        {
            self.public = ring.clone();
        }
    }

    /// Where its transmitter's keys are read, and where they are put, if they are read again and again.
    pub(crate) fn renewed(&self) -> Option<(&Place, &Ring)> {
        self.auth.place().map(|place| (place, &self.public))
    }

    /// Authenticates the raw body, inflates it and names the delivery.
    pub(crate) fn verify(
        &self,
        kind: Kind,
        headers: &HeaderMap,
        raw: Bytes,
        now: Time,
    ) -> Result<Verified, Problem> {
        let cap = kind.body_cap();
        if raw.len() > cap {
            return Err(Problem::BodyTooLarge { cap });
        }
        if let Auth::Set(Transmitter { issuer, audience, .. }) = &self.auth {
            let token = set::prove(&raw, &self.public.at(now), issuer, audience)?;
            return Ok(Verified { body: token.claims.into(), delivery_id: bounded(&token.id) });
        }
        let named = self.authenticate(headers, &raw, now)?;
        let fallback = sha256_hex(&raw);
        // Whoever is told has proved the delivery, so this is no secret of the source's.
        let coding = optional(headers, "content-encoding")
            .map_err(|_| Problem::WrongEncoding("more than one, or not plain text".to_owned()))?;
        let body = match coding {
            None => raw,
            Some(coding) if coding.eq_ignore_ascii_case("identity") => raw,
            Some(coding) if coding.eq_ignore_ascii_case("gzip") => body::gunzip(&raw, cap)?.into(),
            Some(coding) => return Err(Problem::WrongEncoding(tame_field(coding))),
        };
        let body = if kind.is_cloudevents() {
            cloud::from_binary(headers, &body, self.auth.signs_body())?.unwrap_or(body)
        } else {
            body
        };
        let delivery_id = named
            .or_else(|| id_in_body(kind, &body))
            .map_or_else(|| format!("sha256:{fallback}"), |id| bounded(&id));
        Ok(Verified { body, delivery_id })
    }

    /// The headers that prove a delivery together with its bytes, for whoever wants to prove it again later. None where
    /// they would be the secret itself.
    pub(crate) fn signed_headers(&self, headers: &HeaderMap) -> Option<Vec<(String, String)>> {
        let mut names = vec!["content-encoding"];
        match &self.auth {
            Auth::StandardWebhooks { .. } => {
                names.extend(["webhook-id", "webhook-timestamp", "webhook-signature"]);
            }
            Auth::Hmac { header, timestamp_header, id_header, .. } => {
                names.push(header);
                names.extend(timestamp_header.as_deref().into_iter().chain(id_header.as_deref()));
            }
            // A code over the body, not the secret.
            Auth::Teams { .. } => names.push("authorization"),
            Auth::Set(_) => {}
            Auth::Bearer { .. } | Auth::Basic { .. } | Auth::Header { .. } | Auth::None => {
                return None;
            }
        }
        let of = |name: &str| {
            let values = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
            values.map(|v| (name.to_owned(), v.to_owned())).collect::<Vec<_>>()
        };
        Some(names.into_iter().flat_map(of).collect())
    }

    /// Returns the delivery's id where the scheme has one.
    fn authenticate(
        &self,
        headers: &HeaderMap,
        raw: &[u8],
        now: Time,
    ) -> Result<Option<String>, Problem> {
        match &self.auth {
            Auth::StandardWebhooks { tolerance, .. } => {
                self.standard_webhooks(headers, raw, *tolerance, now).map(Some)
            }
            Auth::Hmac { .. } => self.hmac(headers, raw, now),
            Auth::Bearer { .. } => self.credential(headers, "Bearer", |token| Some(token.into())),
            Auth::Basic { .. } => {
                self.credential(headers, "Basic", |pair| STANDARD.decode(pair).ok())
            }
            Auth::Header { name, .. } => {
                self.shared(required(headers, name)?.as_bytes()).map(|()| None)
            }
            Auth::Teams { .. } => {
                let tag = credential(headers, "HMAC", |tag| STANDARD.decode(tag).ok())?;
                self.signature(&[raw], &[tag])?;
                teams::fresh(raw, now).map(Some)
            }
            // Proved as a whole, before this.
            Auth::Set(_) => Err(Problem::WrongSignature),
            Auth::None => Ok(None),
        }
    }

    fn standard_webhooks(
        &self,
        headers: &HeaderMap,
        raw: &[u8],
        tolerance: Span,
        now: Time,
    ) -> Result<String, Problem> {
        let id = required(headers, "webhook-id")?;
        let stamp = required(headers, "webhook-timestamp")?;
        let list = required(headers, "webhook-signature")?;
        // A dot in the id would let one signature stand for two readings of `id.timestamp`.
        if id.contains('.') {
            return Err(Problem::WrongSignature);
        }
        let tags = list.split(' ').filter_map(|one| one.strip_prefix("v1,"));
        let tags: Vec<_> = tags.filter_map(|tag| STANDARD.decode(tag).ok()).collect();
        self.signature(&[id.as_bytes(), b".", stamp.as_bytes(), b".", raw], &tags)?;
        fresh(stamp, tolerance, now)?;
        Ok(id.to_owned())
    }

    fn hmac(&self, headers: &HeaderMap, raw: &[u8], now: Time) -> Result<Option<String>, Problem> {
        let Auth::Hmac {
            header,
            prefix,
            encoding,
            timestamp_header,
            id_header,
            signed,
            tolerance,
            ..
        } = &self.auth
        else {
            return Err(Problem::WrongSignature);
        };
        let list = required(headers, header)?;
        let stamp = timestamp_header.as_deref().map(|name| required(headers, name)).transpose()?;
        let id = id_header.as_deref().map(|name| required(headers, name)).transpose()?;
        let default = if stamp.is_some() { "{timestamp}.{body}" } else { "{body}" };
        let lead = signed.as_deref().unwrap_or(default).trim_end_matches("{body}");
        let lead = lead.replace("{timestamp}", stamp.unwrap_or_default());
        let lead = lead.replace("{id}", id.unwrap_or_default());
        let tags =
            list.split([',', ' ']).filter_map(|one| one.trim().strip_prefix(prefix.as_str()));
        let tags = tags.filter_map(|tag| match encoding {
            Encoding::Hex => hex::decode(tag).ok(),
            Encoding::Base64 => STANDARD.decode(tag).ok(),
        });
        self.signature(&[lead.as_bytes(), raw], &tags.collect::<Vec<_>>())?;
        if let Some(stamp) = stamp {
            fresh(stamp, *tolerance, now)?;
        }
        Ok(id.map(str::to_owned))
    }

    /// Whether any tag is the signature of the parts under any active key.
    fn signature(&self, parts: &[&[u8]], tags: &[Vec<u8>]) -> Result<(), Problem> {
        // More tags than a rotation needs only cost time.
        if tags.len() > 8 {
            return Err(Problem::WrongSignature);
        }
        let mut good = false;
        for key in &self.keys {
            for tag in tags {
                let mac = HmacSha256::new_from_slice(key).map_err(|_| Problem::WrongSignature)?;
                let mac = parts.iter().fold(mac, hmac::Mac::chain_update);
                good |= mac.verify_slice(tag).is_ok();
            }
        }
        if good { Ok(()) } else { Err(Problem::WrongSignature) }
    }

    fn credential(
        &self,
        headers: &HeaderMap,
        scheme: &str,
        read: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Option<String>, Problem> {
        self.shared(&credential(headers, scheme, read)?).map(|()| None)
    }

    /// Compares digests, so that not even a length can be learned.
    fn shared(&self, given: &[u8]) -> Result<(), Problem> {
        let given = Sha256::digest(given);
        let good = self.keys.iter().fold(Choice::from(0), |good, key| {
            good | Sha256::digest(key.as_slice())[..].ct_eq(&given[..])
        });
        if bool::from(good) { Ok(()) } else { Err(Problem::WrongSignature) }
    }
}

/// What an `Authorization` header of this scheme holds.
fn credential(
    headers: &HeaderMap,
    scheme: &str,
    read: impl Fn(&str) -> Option<Vec<u8>>,
) -> Result<Vec<u8>, Problem> {
    let header = required(headers, "authorization")?;
    let (named, value) = header.split_once(' ').ok_or(Problem::WrongSignature)?;
    if !named.eq_ignore_ascii_case(scheme) {
        return Err(Problem::WrongSignature);
    }
    read(value.trim()).ok_or(Problem::WrongSignature)
}

/// The key in the token that Teams shows.
fn shown(secret: &[u8]) -> Result<Zeroizing<Vec<u8>>, BadSecret> {
    let text = std::str::from_utf8(secret).map_err(|_| BadSecret::NotOfTeams)?.trim();
    let key = STANDARD.decode(text).map(Zeroizing::new).map_err(|_| BadSecret::NotOfTeams)?;
    if key.len() >= 16 { Ok(key) } else { Err(BadSecret::NotOfTeams) }
}

fn whsec(secret: &[u8]) -> Result<Zeroizing<Vec<u8>>, BadSecret> {
    let text = std::str::from_utf8(secret).map_err(|_| BadSecret::NotWhsec)?.trim();
    let key = STANDARD
        .decode(text.strip_prefix("whsec_").unwrap_or(text))
        .map(Zeroizing::new)
        .map_err(|_| BadSecret::NotWhsec)?;
    if (24..=64).contains(&key.len()) { Ok(key) } else { Err(BadSecret::NotWhsec) }
}

/// A header that may be absent, but not there twice: two readers could pick different ones.
fn optional<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| Problem::MissingSignature(tame_field(name)))?;
            Ok(Some(text.trim()))
        }
        (Some(_), Some(_)) => Err(Problem::MissingSignature(tame_field(name))),
    }
}

fn required<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, Problem> {
    optional(headers, name)?
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Problem::MissingSignature(tame_field(name)))
}

fn fresh(stamp: &str, tolerance: Span, now: Time) -> Result<(), Problem> {
    let stamp: i64 = stamp.parse().map_err(|_| Problem::WrongSignature)?;
    let limit = tolerance.delta().num_seconds();
    let away = now.timestamp().saturating_sub(stamp).saturating_abs();
    if away > limit { Err(Problem::StaleTimestamp(limit)) } else { Ok(()) }
}

/// The id that some kinds carry inside the body.
fn id_in_body(kind: Kind, body: &[u8]) -> Option<String> {
    if kind != Kind::Okta && !kind.is_cloudevents() {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?;
    let whole = body::document(text.trim()).ok()?;
    if kind.is_cloudevents() { cloud::name(&whole) } else { text_at(&whole, &["eventId"]) }
}

fn bounded(id: &str) -> String {
    let fits = id.len() <= 200 && tame_field(id) == id;
    if fits { id.to_owned() } else { format!("sha256:{}", sha256_hex(id.as_bytes())) }
}

#[cfg(test)]
mod tests;
