//! What deliveries were answered, so that a repetition is answered the same.
//!
//! A hundred thousand of them are remembered. Once an answer is in the index only its place is
//! kept here; what is asked for again is read there.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::fmt;

use crate::model::id::ReceiptId;
use crate::model::time::Time;

/// How long a delivery's answer is remembered against repetition.
const MEMORY: chrono::TimeDelta = chrono::TimeDelta::hours(25);
/// And how many at most; the oldest are forgotten first.
const MOST: usize = 100_000;

/// Names a delivery of a source: the first half of a SHA-256 over both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DeliveryKey(u128);

impl DeliveryKey {
    pub(crate) fn new(source: &str, delivery: &str) -> Self {
        // No source's name holds a slash.
        let digest = Sha256::digest(format!("{source}/{delivery}"));
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self(u128::from_be_bytes(half))
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(text, 16).ok().map(Self)
    }
}

impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A delivery that was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Delivered {
    pub(crate) at: Time,
    pub(crate) receipt: ReceiptId,
    pub(crate) answer: Value,
}

/// Where the answer to a repetition is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Known {
    Here(Box<Delivered>),
    /// In its row of the index.
    Written,
}

/// All that are remembered.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    known: HashMap<DeliveryKey, Known>,
    /// The same, oldest first.
    order: VecDeque<(Time, DeliveryKey)>,
    /// How many of the answers are in the index only.
    away: usize,
}

impl Deliveries {
    pub(crate) fn get(&self, key: DeliveryKey) -> Option<&Known> {
        self.known.get(&key)
    }

    /// Whether any answer is in the index only.
    pub(crate) fn any_away(&self) -> bool {
        self.away > 0
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Remembers an answer, and names those that are forgotten for it.
    ///
    /// Forgetting follows the journal's own times, so that the fold stays a function of the journal.
    pub(super) fn insert(&mut self, key: DeliveryKey, delivered: Delivered) -> Vec<DeliveryKey> {
        let at = delivered.at;
        let known = self.known.insert(key, Known::Here(Box::new(delivered)));
        self.comes_from(known.as_ref());
        self.order.push_back((at, key));
        let mut forgotten = Vec::new();
        while self.order.len() > MOST
            || self.order.front().is_some_and(|(then, _)| *then < at - MEMORY)
        {
            if let Some((_, old)) = self.order.pop_front() {
                let known = self.known.remove(&old);
                self.comes_from(known.as_ref());
                forgotten.push(old);
            }
        }
        forgotten
    }

    fn comes_from(&mut self, known: Option<&Known>) {
        self.away -= usize::from(known == Some(&Known::Written));
    }

    /// Takes over what the index remembers. [`Deliveries::loaded`] comes after the last.
    pub(super) fn load(&mut self, key: DeliveryKey, at: Time) {
        self.known.insert(key, Known::Written);
        self.away += 1;
        self.order.push_back((at, key));
    }

    pub(super) fn loaded(&mut self) {
        self.order.make_contiguous().sort_unstable();
    }

    /// The answer is in its row.
    pub(super) fn is_written(&mut self, key: DeliveryKey) {
        if let Some(known @ Known::Here(_)) = self.known.get_mut(&key) {
            *known = Known::Written;
            self.away += 1;
        }
    }

    /// Brings answers back that were in rows only.
    pub(super) fn bring(&mut self, other: Self) {
        for (key, known) in other.known {
            if let Some(kept @ Known::Written) = self.known.get_mut(&key) {
                *kept = known;
                self.away -= 1;
            }
        }
    }

    /// Those whose answer is not in the index only.
    pub(super) fn here(&self) -> impl Iterator<Item = DeliveryKey> {
        let here = self.known.iter().filter(|(_, known)| matches!(known, Known::Here(_)));
        here.map(|(key, _)| *key)
    }
}
