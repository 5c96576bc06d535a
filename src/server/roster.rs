//! The sources that may deliver, as the settings have them now. They are taken anew as a whole, while deliveries come in.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::state::Source;
use crate::model::id::SourceId;

type All = BTreeMap<SourceId, Arc<Source>>;

/// Cheap to clone; all clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Roster(Arc<RwLock<All>>);

impl Roster {
    pub(crate) fn new(sources: BTreeMap<SourceId, Source>) -> Self {
        let roster = Self::default();
        roster.replace(sources);
        roster
    }

    /// A source as it is now. Whoever holds it goes on with what it was then.
    pub(crate) fn get(&self, id: &SourceId) -> Option<Arc<Source>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    pub(crate) fn names(&self) -> Vec<SourceId> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// From here on these are the sources. Nobody sends faster because of it: a rate that is the same goes on being counted.
    pub(crate) fn replace(&self, sources: BTreeMap<SourceId, Source>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let kept = |(id, mut source): (SourceId, Source)| {
            if let Some(before) = all.get(&id).filter(|b| b.bucket.is_as_fast_as(&source.bucket)) {
                source.bucket = before.bucket.clone();
            }
            let before = all.get(&id).and_then(|before| before.verifier.as_ref());
            if let Some((verifier, before)) = source.verifier.as_mut().zip(before) {
                verifier.goes_on_with(before);
            }
            (id, Arc::new(source))
        };
        *all = sources.into_iter().map(kept).collect();
    }
}
