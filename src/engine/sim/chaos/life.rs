//! One life of the process, from its start to its death.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Shared by everything that a process does; once over, it stays so.
#[derive(Clone, Default)]
pub(super) struct Life(Arc<(AtomicBool, Notify)>);

impl Life {
    pub(super) fn is_over(&self) -> bool {
        self.0.0.load(Ordering::SeqCst)
    }

    pub(super) fn end(&self) {
        self.0.0.store(true, Ordering::SeqCst);
        self.0.1.notify_waiters();
    }

    /// Returns when it is over.
    pub(super) async fn ended(&self) {
        let told = self.0.1.notified();
        if !self.is_over() {
            told.await;
        }
    }

    /// What a dead process was about to do never happens.
    pub(super) async fn or_never(&self) {
        if self.is_over() {
            std::future::pending::<()>().await;
        }
    }
}
