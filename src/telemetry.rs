//! What Quell says about itself: log lines on standard error, and metrics.
//!
//! Every log line passes the scrubber before it leaves, so that a secret which slipped into a
//! message is taken out by its value. Metrics are read off the engine's state when they are
//! asked for; only what leaves no state is counted as it happens.

mod log;
mod metrics;

pub(crate) use log::{BadFilter, start};
pub(crate) use metrics::Metrics;
