//! What Quell says about itself on standard error. Metrics are the server's.
//!
//! Every log line passes the scrubber before it leaves, so that a secret which slipped into a
//! message is taken out by its value.

mod log;

pub(crate) use log::start;
