//! What goes wrong on bad days, as switches per system and operation.

use serde::{Deserialize, Serialize};

use super::world::System;

/// One kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// 429, with `Retry-After` if seconds are given. Nothing happens.
    Throttle { retry_after: Option<u32> },
    /// 500 before anything happened.
    Error,
    /// 500 although it happened.
    ErrorAfter,
    /// 403: the credential lacks the right.
    Forbidden,
    /// 401: the credential is no longer accepted.
    Unauthorized,
    /// Nothing happens and no answer comes.
    TimeoutBefore,
    /// It happens, and no answer comes.
    TimeoutAfter,
    /// It happens, and the connection is reset.
    ResetAfter,
    /// It happens, and the answer ends in the middle.
    Truncated,
    /// It happens, and the answer takes this many milliseconds.
    Slow { ms: u64 },
    /// The connection cannot be made. In-process only.
    Unreachable,
}

/// A switch: where, what, and how many times. The first that fits is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Switch {
    pub(crate) system: System,
    /// An operation of the system as the oracle's call log names it; all if left out.
    #[serde(default)]
    pub(crate) operation: Option<String>,
    pub(crate) fault: Fault,
    /// Calls until it switches itself off; never if left out.
    #[serde(default)]
    pub(crate) times: Option<u32>,
}

/// The fault that hits this call. Counts down.
pub(super) fn strike(switches: &mut Vec<Switch>, system: System, operation: &str) -> Option<Fault> {
    let at = switches.iter().position(|switch| {
        switch.system == system && switch.operation.as_deref().is_none_or(|o| o == operation)
    })?;
    let fault = switches[at].fault;
    if let Some(left) = &mut switches[at].times {
        *left = left.saturating_sub(1);
        if *left == 0 {
            switches.remove(at);
        }
    }
    Some(fault)
}
