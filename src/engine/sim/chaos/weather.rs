//! What the network does to calls: drawn for each one, more or less often, and worse on some connections.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use super::draw::Draw;
use crate::model::action::{CallResult, Outcome};
use crate::model::id::ConnectionId;
use crate::model::time::Span;

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    NotSent,
    Throttled,
    ThrottledUntil(u8),
    Forbidden,
    ErrorBefore,
    ErrorAfter,
    TimeoutBefore,
    TimeoutAfter,
    Truncated,
    WrongType,
    ResetBefore,
    ResetAfter,
}

use Fault::{
    ErrorAfter, ErrorBefore, Forbidden, NotSent, ResetAfter, ResetBefore, Throttled,
    ThrottledUntil, TimeoutAfter, TimeoutBefore, Truncated, WrongType,
};

const ALL: [Fault; 12] = [
    NotSent,
    Throttled,
    ThrottledUntil(3),
    Forbidden,
    ErrorBefore,
    ErrorAfter,
    TimeoutBefore,
    TimeoutAfter,
    Truncated,
    WrongType,
    ResetBefore,
    ResetAfter,
];

impl Fault {
    /// The effect happens nevertheless, sooner or later within the call's timeout.
    pub(super) fn arrives(self) -> bool {
        matches!(self, ErrorAfter | TimeoutAfter | Truncated | WrongType | ResetAfter)
    }

    /// How long the caller waits for it.
    pub(super) fn wait(self) -> Duration {
        match self {
            TimeoutBefore | TimeoutAfter => Duration::from_secs(10),
            _ => Duration::from_millis(40),
        }
    }

    /// What the connector makes of it.
    pub(super) fn result(self) -> CallResult {
        let unknown = |why: &str| CallResult::failed(Outcome::Unknown, why);
        match self {
            NotSent => CallResult::failed(Outcome::NotSent, "the connection was refused"),
            Throttled => CallResult::failed(Outcome::Throttled, "429"),
            ThrottledUntil(seconds) => CallResult {
                retry_after: Some(Span::seconds(i64::from(seconds))),
                ..CallResult::failed(Outcome::Throttled, "429")
            },
            Forbidden => {
                CallResult { connection_fault: true, ..CallResult::failed(Outcome::Refused, "403") }
            }
            ErrorBefore | ErrorAfter => unknown("503"),
            TimeoutBefore | TimeoutAfter => unknown("no answer within 10s"),
            Truncated => unknown("the answer ends early"),
            WrongType => unknown("the answer is HTML"),
            ResetBefore | ResetAfter => unknown("the connection was reset"),
        }
    }
}

/// What one connection suffers from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plight {
    /// Answers late, within the timeout.
    Slow,
    Dead,
    /// Answers 429, to come back in so many seconds.
    Refusing(u8),
}

/// The weather over all connections.
#[derive(Default)]
pub(super) struct Weather {
    /// Calls in a thousand that suffer something.
    pub(super) rate: std::sync::atomic::AtomicU64,
    pub(super) plights: Mutex<BTreeMap<ConnectionId, Plight>>,
    pub(super) counts: Mutex<BTreeMap<Fault, u64>>,
}

impl Weather {
    pub(super) fn plight(&self, connection: &ConnectionId) -> Option<Plight> {
        self.plights.lock().unwrap().get(connection).copied()
    }

    /// What becomes of the next call on a connection.
    pub(super) fn next(&self, connection: &ConnectionId, draw: &Draw) -> Option<Fault> {
        let fault = match self.plight(connection) {
            Some(Plight::Dead) if draw.chance(50) => Some(TimeoutBefore),
            Some(Plight::Dead) => Some(NotSent),
            Some(Plight::Refusing(seconds)) => Some(ThrottledUntil(seconds)),
            _ if draw.below(1000) < self.rate.load(std::sync::atomic::Ordering::Relaxed) => {
                Some(draw.pick(&ALL))
            }
            _ => None,
        };
        if let Some(fault) = fault {
            *self.counts.lock().unwrap().entry(fault).or_default() += 1;
        }
        fault
    }

    /// Whether a read fails.
    pub(super) fn hides(&self, connection: &ConnectionId, draw: &Draw) -> bool {
        match self.plight(connection) {
            Some(Plight::Dead | Plight::Refusing(_)) => true,
            _ => draw.below(1000) < self.rate.load(std::sync::atomic::Ordering::Relaxed),
        }
    }

    pub(super) fn clear(&self) {
        self.rate.store(0, std::sync::atomic::Ordering::Relaxed);
        self.plights.lock().unwrap().clear();
    }
}
