//! The real clock and the real randomness.

use async_trait::async_trait;
use std::time::Duration;

use crate::engine::ports::{Clock, Entropy};
use crate::model::time::Time;

/// The longest sleep at once: a machine that was suspended looks at its clock again.
const NAP: Duration = Duration::from_secs(30);

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one real clock")]
    fn now(&self) -> Time {
        chrono::Utc::now()
    }

    async fn sleep_until(&self, at: Time) {
        while let Some(left) = (at - self.now()).to_std().ok().filter(|left| !left.is_zero()) {
            tokio::time::sleep(left.min(NAP)).await;
        }
    }
}

/// The machine's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        rand::fill(bytes);
    }
}
