//! The contract cases as types. Plain data.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

use super::Marked;
use crate::connector::manifest::Method;
use crate::model::action::Outcome;
use crate::model::time::{Span, Time};

/// One file of `exchanges/`: all cases of one action.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exchange {
    pub(super) action: String,
    /// Where the vendor documents it.
    pub(super) link: String,
    #[serde(default)]
    pub(super) given: GivenCase,
    /// What every case sends, unless it says otherwise.
    pub(super) request: Expected,
    pub(super) cases: Vec<Case>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct GivenCase {
    pub(super) inputs: BTreeMap<String, Value>,
    pub(super) settings: BTreeMap<String, Value>,
    pub(super) key: Option<String>,
    pub(super) sent_at: Option<Time>,
}

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) marked: Marked,
    #[serde(default)]
    pub(super) link: Option<String>,
    /// Replaces inputs of the file, name by name.
    #[serde(default)]
    pub(super) inputs: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) settings: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) request: Option<Expected>,
    /// Absent if the request is refused before it is sent.
    #[serde(default)]
    pub(super) response: Option<Response>,
    /// The further pages of a list.
    #[serde(default)]
    pub(super) more: Vec<Response>,
    pub(super) expect: Expect,
    /// What a look before judging sees, where the manifest calls the answer unclear.
    #[serde(default)]
    pub(super) look: Option<Seen>,
    #[serde(default)]
    pub(super) verify: Vec<Seen>,
}

/// The request that must be built.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    pub(super) method: Method,
    /// Encoded, without the query.
    pub(super) path: String,
    /// All of it, decoded.
    #[serde(default)]
    pub(super) query: BTreeMap<String, String>,
    /// These among others.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) json: Option<Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Response {
    pub(super) status: u16,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) body: Option<Value>,
    /// A body that is not JSON.
    #[serde(default)]
    pub(super) text: Option<String>,
}

/// What the call must be taken to have done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    pub(super) outcome: Outcome,
    /// These outputs among others.
    #[serde(default)]
    pub(super) output: BTreeMap<String, Value>,
    /// A part of the problem in words.
    #[serde(default)]
    pub(super) problem: Option<String>,
    #[serde(default)]
    pub(super) retry_after: Option<Span>,
    #[serde(default)]
    pub(super) connection_fault: bool,
    #[serde(default)]
    pub(super) next: Option<String>,
}

/// A read of the provider, and what it must be taken to show.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seen {
    #[serde(default)]
    pub(super) request: Option<Expected>,
    pub(super) response: Response,
    pub(super) expect: Shown,
    /// Nobody knows whether the call arrived.
    #[serde(default)]
    pub(super) in_doubt: bool,
    #[serde(default)]
    pub(super) output: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shown {
    Holds,
    Fails,
    Unread,
}
