//! Fetches what providers log, where nobody posts it: on a schedule, from a durable cursor.
//!
//! A [`Poller`] is one source. It asks for a page ([`logs`] says how), hands its records to
//! [`Origin::take`](crate::delivery::Origin::take), the way of every delivery, and only then moves the cursor:
//! a death in between means the page again, whose records are then known by their ids. What is asked for, and
//! how far the log is taken in after each page, is decided by a pure part ([`walk`]).
//!
//! May use `connector`, `intake`, `delivery` and `engine`. Knows no axum, no store but its port, and no HTTP.

mod known;
mod logs;
mod meter;
mod options;
mod poller;
mod schedule;
mod walk;

use async_trait::async_trait;

use crate::connector::pull::{NotPulled, Pulled, Reading};
use crate::model::id::ConnectionId;

pub(crate) use known::Known;
#[cfg(test)]
pub(crate) use meter::Failed;
pub(crate) use meter::{Meter, Meters};
pub(crate) use options::{Options, Typed};
pub(crate) use poller::{Parts, Poller};

/// The way to the providers. Returns within half a minute or so, whatever happens.
#[async_trait]
pub(crate) trait Pull: Send + Sync {
    async fn pull(&self, connection: &ConnectionId, reading: &Reading)
    -> Result<Pulled, NotPulled>;
}
