//! Two times at once: the one that passes, and the one that the machine's wall clock shows.

use async_trait::async_trait;
use chrono::{TimeDelta, TimeZone, Utc};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::engine::ports::Clock;
use crate::model::time::Time;

/// Time passes with tokio's paused clock; what is shown may jump in either direction.
#[derive(Clone)]
pub(super) struct WallClock {
    zero: tokio::time::Instant,
    off_ms: Arc<AtomicI64>,
}

impl WallClock {
    pub(super) fn start() -> Self {
        Self { zero: tokio::time::Instant::now(), off_ms: Arc::default() }
    }

    /// Moves what is shown; nothing that sleeps is told.
    pub(super) fn jump(&self, ms: i64) {
        self.off_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// How much time has really passed.
    pub(super) fn passed(&self) -> Duration {
        self.zero.elapsed()
    }

    /// Lets time pass until `at` after the start.
    pub(super) async fn until(&self, at: Duration) {
        tokio::time::sleep_until(self.zero + at).await;
    }
}

#[async_trait]
impl Clock for WallClock {
    fn now(&self) -> Time {
        let off = TimeDelta::milliseconds(self.off_ms.load(Ordering::SeqCst));
        let passed = TimeDelta::from_std(self.passed()).unwrap_or_default();
        Utc.with_ymd_and_hms(2026, 11, 22, 3, 0, 0).unwrap() + passed + off
    }
    async fn sleep_until(&self, at: Time) {
        let wait = (at - self.now()).to_std().unwrap_or_default();
        tokio::time::sleep(wait).await;
    }
}
