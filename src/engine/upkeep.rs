//! What people and tokens look after, written down: connections that were tried, deliveries judged again,
//! settings read again.

use super::driver::Engine;
use super::ports::StoreError;
use crate::model::entry::{ConnectionTested, DeliveryJudged, Entry, SettingsReread};

impl Engine {
    /// Keeps what came of trying a connection's credentials.
    pub(crate) async fn note_tested(&self, tested: ConnectionTested) -> Result<(), StoreError> {
        self.commit(|tx| tx.push(Entry::ConnectionTested(Box::new(tested)))).await
    }

    /// Says that a refused delivery was judged again, and how.
    pub(crate) async fn note_judged(&self, judged: DeliveryJudged) -> Result<(), StoreError> {
        self.commit(|tx| tx.push(Entry::DeliveryJudged(Box::new(judged)))).await
    }

    /// Says that the settings were read again, and what was taken of them.
    pub(crate) async fn note_reread(&self, reread: SettingsReread) -> Result<(), StoreError> {
        self.commit(|tx| tx.push(Entry::SettingsReread(Box::new(reread)))).await
    }
}
