//! A connection as people look at it: what it speaks to, as whom, and what can be asked of it.

use std::collections::{BTreeMap, BTreeSet};

use super::id::{Capability, ConnectionId};

/// One configured connection. It holds no secret: a credential is named by its kind only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Connected {
    pub(crate) id: ConnectionId,
    pub(crate) connector: String,
    pub(crate) title: String,
    /// Which accounts it may act on, in words.
    pub(crate) targets: &'static str,
    /// How it signs in.
    pub(crate) credential: &'static str,
    /// How it signs in for privileged accounts, where that is another way.
    pub(crate) privileged: Option<&'static str>,
    /// What its connector has an action for, with the rights that the vendor must have granted.
    pub(crate) capabilities: BTreeMap<Capability, BTreeSet<String>>,
    /// What systems of this sort may offer, and its connector does not.
    pub(crate) lacks: Vec<Capability>,
}
