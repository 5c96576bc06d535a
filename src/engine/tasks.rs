//! Background work that a stop waits for, and that is seen when it breaks.

use futures::FutureExt as _;
use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Starts tasks and counts them, so that a graceful stop can wait until none is left.
#[derive(Clone, Default)]
pub(crate) struct Tasks(Arc<Inner>);

#[derive(Default)]
struct Inner {
    running: AtomicUsize,
    panicked: AtomicU64,
    idle: Notify,
}

impl Tasks {
    /// Runs `work` in the background.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that may: it counts what it starts"
    )]
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.running.fetch_add(1, Ordering::SeqCst);
        let guard = Running(self.0.clone());
        tokio::spawn(async move {
            work.await;
            drop(guard);
        });
    }

    /// What `work` gives; an error in Quell's own code, a panic, is told instead, counted, and goes no further.
    pub(crate) async fn guarded<T>(&self, work: impl Future<Output = T>) -> Result<T, String> {
        AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| {
            self.0.panicked.fetch_add(1, Ordering::SeqCst);
            let why = format!(
                "an error in Quell itself: {}",
                said(&*panic).unwrap_or("of unknown cause")
            );
            tracing::error!("What was under way is in doubt: {why}; please report it");
            why
        })
    }

    /// How often work broke.
    pub(crate) fn panicked(&self) -> u64 {
        self.0.panicked.load(Ordering::SeqCst)
    }

    /// Returns once nothing is running.
    pub(crate) async fn idle(&self) {
        loop {
            let notified = self.0.idle.notified();
            if self.0.running.load(Ordering::SeqCst) == 0 {
                return;
            }
            notified.await;
        }
    }
}

/// What a panic says of itself, if it is text.
pub(crate) fn said(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
}

/// Counts down also when the task panics.
struct Running(Arc<Inner>);

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.panicked.fetch_add(1, Ordering::SeqCst);
        }
        if self.0.running.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}
