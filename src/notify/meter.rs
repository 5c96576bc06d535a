//! How often each channel was told something, and how often it could not be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts by channel and result (`sent`, `updated`, `failed`) since the start. Clones are the same counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meters(Arc<Mutex<BTreeMap<(String, &'static str), u64>>>);

impl Meters {
    pub(super) fn count(&self, channel: &str, result: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((channel.to_owned(), result)).or_default() += 1;
    }

    /// All counts.
    pub(crate) fn all(&self) -> BTreeMap<(String, &'static str), u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
