//! Deliveries with any headers and any body, under every scheme of proof.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

use super::{NOW, led, now};
use crate::intake::{Auth, Encoding, Kind, Verified, Verifier};
use crate::model::time::Span;

/// Set in the first byte: the delivery is signed here as its source would sign it.
const SIGNED: u8 = 0x80;

/// The first byte picks the scheme, the second the kind; then headers, an empty line, the body.
///
/// Without the secret nothing is accepted. With it, everything is that can be inflated, and
/// nothing if the body was changed afterwards.
pub fn headers(data: &[u8]) {
    let (first, rest) = led(data);
    let (second, rest) = led(rest);
    let kinds: Vec<Kind> = Kind::all().collect();
    let kind = kinds[usize::from(second) % kinds.len()];
    let (mut headers, body) = read(rest);
    let secret = secret(data, "source");
    let source = Source::new(first, &secret);
    if first & SIGNED != 0 {
        source.sign(&mut headers, body);
    }

    let answer = source.take(kind, &headers, body);

    if first & SIGNED == 0 {
        assert!(answer.is_none(), "accepted without the secret");
        return;
    }
    let whole = body.len() <= kind.body_cap();
    let plain = headers.get("content-encoding").is_none();
    assert!(answer.is_some() || !whole || !plain, "refused with the secret");
    let wrong = self::secret(data, "other");
    let other = Source::new(first, &wrong);
    assert!(other.take(kind, &headers, body).is_none(), "accepted with another secret");
    if source.auth().signs_body() {
        let changed = [body, b"!"].concat();
        assert!(source.take(kind, &headers, &changed).is_none(), "accepted, but changed");
    }
}

/// A secret that the data cannot hold, because it is made of it.
pub(super) fn secret(data: &[u8], of: &str) -> String {
    STANDARD.encode(Sha256::new().chain_update(data).chain_update(of).finalize())
}

fn read(data: &[u8]) -> (HeaderMap, &[u8]) {
    let mut headers = HeaderMap::new();
    let mut rest = data;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { break };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(&line[colon + 1..]);
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    (headers, rest)
}

/// A source with its secret.
struct Source<'s> {
    scheme: u8,
    secret: &'s str,
}

impl<'s> Source<'s> {
    fn new(first: u8, secret: &'s str) -> Self {
        Self { scheme: (first & !SIGNED) % 6, secret }
    }

    fn auth(&self) -> Auth {
        let secrets = Vec::new();
        let hmac = |header: &str, prefix: &str, stamped: bool| Auth::Hmac {
            header: header.to_owned(),
            prefix: prefix.to_owned(),
            encoding: Encoding::default(),
            timestamp_header: stamped.then(|| "x-time".to_owned()),
            id_header: stamped.then(|| "x-id".to_owned()),
            signed: stamped.then(|| "v0:{id}:{timestamp}:{body}".to_owned()),
            secrets: Vec::new(),
            tolerance: Span::minutes(5),
        };
        match self.scheme {
            0 => Auth::StandardWebhooks { secrets, tolerance: Span::minutes(5) },
            1 => hmac("x-hub-signature-256", "sha256=", false),
            2 => hmac("x-signature", "v0=", true),
            3 => Auth::Bearer { secrets },
            4 => Auth::Basic { secrets },
            _ => Auth::Header { name: "x-secret".to_owned(), secrets },
        }
    }

    /// What is accepted of a delivery, if it is.
    fn take(&self, kind: Kind, headers: &HeaderMap, body: &[u8]) -> Option<Verified> {
        let secrets = vec![self.secret.as_bytes().to_vec()];
        let verifier = Verifier::new(self.auth(), secrets).expect("the secret fits every scheme");
        let answer = verifier.verify(kind, headers, Bytes::copy_from_slice(body), now());
        answer.inspect_err(|problem| drop(problem.to_string())).ok()
    }

    /// Proves the delivery as the scheme's document says.
    fn sign(&self, headers: &mut HeaderMap, body: &[u8]) {
        let raw = STANDARD.decode(self.secret).expect("the secret is base64");
        let tag = |key: &[u8], lead: &str| {
            let mac = Hmac::<Sha256>::new_from_slice(key).expect("any key will do");
            mac.chain_update(lead).chain_update(body).finalize().into_bytes()
        };
        let own = self.secret.as_bytes();
        let proof = match self.scheme {
            0 => {
                let tag = tag(&raw, &format!("m1.{NOW}."));
                vec![
                    ("webhook-id", "m1".to_owned()),
                    ("webhook-timestamp", NOW.to_string()),
                    ("webhook-signature", format!("v1,{}", STANDARD.encode(tag))),
                ]
            }
            1 => vec![("x-hub-signature-256", format!("sha256={}", hex::encode(tag(own, ""))))],
            2 => {
                let tag = hex::encode(tag(own, &format!("v0:m1:{NOW}:")));
                vec![
                    ("x-id", "m1".to_owned()),
                    ("x-time", NOW.to_string()),
                    ("x-signature", format!("v0={tag}")),
                ]
            }
            3 => vec![("authorization", format!("Bearer {}", self.secret))],
            4 => vec![("authorization", format!("Basic {}", STANDARD.encode(own)))],
            _ => vec![("x-secret", self.secret.to_owned())],
        };
        for (name, value) in proof {
            headers.insert(name, value.parse().expect("a proof is plain text"));
        }
    }
}
