//! A transmitter's public keys as they stand: given once, or put here anew by whoever reads them.
//!
//! There is one set at a time, whole: a key that the newest one lacks proves nothing any more. Knows nothing of
//! where keys come from.

use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use serde_json::Value;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::set::ALGORITHMS;
use crate::model::time::Time;

/// More keys than any transmitter signs with.
const KEYS_MAX: usize = 100;

/// The keys of one JSON Web Key Set (RFC 7517) that sign, and by which tokens are proved.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct KeySet(Vec<Jwk>);

impl KeySet {
    /// Reads a set; none if it is no such set. What is in it for another purpose, or in an algorithm that is not taken
    /// here, is left out, so that a set may come to hold no key.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let set: Value = serde_json::from_slice(text).ok()?;
        let keys = set["keys"].as_array().filter(|keys| keys.len() <= KEYS_MAX)?;
        let read = keys.iter().filter_map(|key| serde_json::from_value(key.clone()).ok());
        Some(Self(read.filter(signs).collect()))
    }

    /// As a JSON Web Key Set.
    pub(crate) fn written(&self) -> Value {
        serde_json::json!({ "keys": self.0 })
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Those that a token may be signed by which names this key, or none.
    pub(super) fn named(&self, kid: Option<&str>, alg: Algorithm) -> impl Iterator<Item = &Jwk> {
        self.0.iter().filter(move |key| {
            let named = kid.is_none_or(|kid| key.common.key_id.as_deref() == Some(kid));
            named && key.common.key_algorithm.is_none_or(|own| own == KeyAlgorithm::from(alg))
        })
    }
}

/// Whether a key is for signatures that are taken here. A shared secret in a public file is nobody's.
fn signs(key: &Jwk) -> bool {
    let common = &key.common;
    let is_public = matches!(
        key.algorithm,
        AlgorithmParameters::RSA(_)
            | AlgorithmParameters::EllipticCurve(_)
            | AlgorithmParameters::OctetKeyPair(_)
    );
    let verifies =
        common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
    let taken = |own: KeyAlgorithm| ALGORITHMS.iter().any(|alg| KeyAlgorithm::from(*alg) == own);
    is_public
        && verifies
        && common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature)
        && common.key_algorithm.is_none_or(taken)
}

/// The keys that count now. Clones are the same ring.
#[derive(Clone, Default)]
pub(crate) struct Ring(Arc<RwLock<Held>>);

/// A set, and until when it is believed.
type Held = Option<(Arc<KeySet>, Time)>;

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.held();
        f.debug_tuple("Ring").field(&held.as_ref().map(|(set, _)| set.len())).finish()
    }
}

impl Ring {
    /// Keys that count until the process ends.
    pub(super) fn given(sets: Vec<KeySet>) -> Self {
        let ring = Self::default();
        let all = sets.into_iter().flat_map(|set| set.0).collect();
        ring.put(KeySet(all), Time::MAX_UTC);
        ring
    }

    fn held(&self) -> Held {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these count, and no others.
    pub(crate) fn put(&self, set: KeySet, until: Time) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some((Arc::new(set), until));
    }

    /// From now on none counts.
    pub(crate) fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Those that are believed at this time.
    pub(super) fn at(&self, now: Time) -> Arc<KeySet> {
        self.held().filter(|(_, until)| now < *until).map(|(set, _)| set).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(keys: &Value) -> Option<usize> {
        KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).map(|set| set.len())
    }

    #[test]
    fn keys_for_anything_else_are_left_out_and_cost_the_others_nothing() {
        let ec = |more: Value| {
            let mut key = json!({"kty": "EC", "crv": "P-256", "kid": "k",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
            for (name, value) in more.as_object().unwrap() {
                key[name] = value.clone();
            }
            key
        };
        for (more, counts) in [
            (json!({}), 1),
            (json!({"use": "sig", "alg": "ES256"}), 1),
            (json!({"key_ops": ["verify"]}), 1),
            (json!({"use": "enc"}), 0),
            (json!({"use": "tls"}), 0),
            (json!({"key_ops": ["deriveKey"]}), 0),
            (json!({"alg": "ECDH-ES"}), 0),
            (json!({"alg": "HS256"}), 0),
            (json!({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}), 0),
            (json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "x"}), 0),
            (json!({"kid": 7}), 0),
        ] {
            assert_eq!(read(&json!([ec(more.clone()), ec(json!({}))])), Some(counts + 1), "{more}");
        }
        assert_eq!(read(&json!([7, null])), Some(0));
        assert_eq!(read(&json!(vec![ec(json!({})); KEYS_MAX + 1])), None);
        for no_set in ["", "[]", "{}", r#"{"keys": {}}"#, "<html>"] {
            assert_eq!(KeySet::read(no_set.as_bytes()), None, "{no_set}");
        }
    }

    #[test]
    fn a_set_reads_back_as_it_is_written() {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        let set = KeySet::read(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();

        assert_eq!(KeySet::read(set.written().to_string().as_bytes()), Some(set));
    }
}
