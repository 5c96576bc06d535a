//! What connectors offer and what came of calling it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use super::id::{ActionId, Capability, ConnectionId};
use super::subject::{AccountKey, Authority};
use super::time::{Span, Time};

/// What an action does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effect {
    Read,
    Contain,
    Restore,
    /// Tickets, comments, risk marks: writes that change nobody's access.
    Record,
    Notify,
}

/// Who goes first among equally urgent incidents: containment before enrichment and notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Contain,
    Restore,
    Record,
    Read,
    Notify,
}

impl Effect {
    pub(crate) fn rank(self) -> Rank {
        match self {
            Self::Contain => Rank::Contain,
            Self::Restore => Rank::Restore,
            Self::Record => Rank::Record,
            Self::Read => Rank::Read,
            Self::Notify => Rank::Notify,
        }
    }
}

/// What a repeated call means, and so what to do when nobody knows whether the first one arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Repeat {
    /// Idempotent: read back, else again.
    Set,
    /// The API honours an idempotency key.
    Keyed,
    /// Look first: a ticket by its correlation id.
    Verify,
    /// Never again by itself.
    Once,
}

/// Whether and how an applied capability can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reversal {
    /// By its undo action, when the last hold goes.
    Undo,
    /// Only through a help-desk path.
    Recover,
    None,
}

/// The types of inputs and outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ValueType {
    String,
    Integer,
    Boolean,
    Time,
    List,
    Object,
    /// An account of the subject; `for_each: subject.accounts` binds it.
    Account,
    /// A factor `{account, id, kind, added_at}`; `for_each: incident.hostile_factors` binds it.
    Factor,
    Any,
}

impl ValueType {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Time => "time",
            Self::List => "list",
            Self::Object => "object",
            Self::Account => "account",
            Self::Factor => "factor",
            Self::Any => "any",
        }
    }
}

/// One input of a capability or action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    #[serde(rename = "type")]
    pub(crate) kind: ValueType,
    #[serde(default)]
    pub(crate) required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<Value>,
    /// Longest text, in characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_length: Option<usize>,
    #[serde(default)]
    pub(crate) summary: String,
}

/// What a playbook may call and what it gets back: all that the language knows of connectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Signature {
    pub(crate) inputs: BTreeMap<String, Input>,
    pub(crate) outputs: BTreeMap<String, ValueType>,
    pub(crate) effect: Effect,
    pub(crate) reversal: Reversal,
    /// Some implementing action names an undo.
    pub(crate) has_undo: bool,
    /// The effect ends at the moment it is applied, so that it goes stale: revocation.
    pub(crate) point_in_time: bool,
    pub(crate) summary: String,
}

impl Signature {
    /// The input that `for_each`'s item binds when it is omitted: the one of an account or factor type.
    pub(crate) fn item_input(&self) -> Option<(&str, ValueType)> {
        self.inputs
            .iter()
            .find(|(_, i)| matches!(i.kind, ValueType::Account | ValueType::Factor))
            .map(|(name, i)| (name.as_str(), i.kind))
    }
}

/// Everything the playbook checker is told about connectors: capability names, and `connector/action` names.
pub(crate) type Signatures = BTreeMap<String, Signature>;

/// How an applied action is proved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Proof {
    /// A read whose output proves it; the connector evaluates its manifest's `expect`.
    ReadBack(Strength),
    /// The provider offers none; the reason, for people.
    None(String),
}

/// How strong a proof is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Strength {
    /// The changed state itself was read.
    State,
    /// The provider's log says that it happened.
    Log,
}

/// What the engine knows of one resolved action. Everything else in a manifest is the connector's own business.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ActionSpec {
    pub(crate) id: ActionId,
    pub(crate) capability: Capability,
    pub(crate) effect: Effect,
    pub(crate) repeat: Repeat,
    pub(crate) reversal: Reversal,
    pub(crate) point_in_time: bool,
    pub(crate) proof: Proof,
    /// The action that takes it back.
    pub(crate) undo: Option<ActionId>,
    /// What stays true although it is applied: named in `containment[].residual`.
    pub(crate) residual: Option<String>,
    /// For `repeat: once` in doubt: assume that it was done rather than ask.
    pub(crate) assume_done: bool,
    /// Longest time for one call.
    pub(crate) timeout: Span,
}

/// Why a capability cannot be had for an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why", content = "reason")]
pub(crate) enum Unavailable {
    /// The connection's connector has no action for it: shown as a residual.
    Unsupported(String),
    /// The action exists but means nothing for such an account (a guest's revocation).
    NotApplicable(String),
    /// The account's authority is elsewhere, and no connection reaches it.
    ElsewhereUnreachable(String),
}

/// One call, ready to be made. It holds no secret: credentials are resolved by the connector at use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) connection: ConnectionId,
    pub(crate) action: ActionId,
    /// The action's inputs by name, as values. An account input is `{id, login, name, status, authority}`.
    pub(crate) inputs: BTreeMap<String, Value>,
    /// Stable over retries: SHA-256 of deployment, run, step path and item.
    pub(crate) key: String,
}

/// What happened to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// No byte of the request was written.
    NotSent,
    Done,
    /// A success that did nothing: it was so before.
    Unchanged,
    /// A definite no.
    Refused,
    /// Definitely not applied, try later.
    Throttled,
    /// Nobody knows: timeout after sending, reset, 5xx, or a crash.
    Unknown,
}

/// What came back from a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CallResult {
    pub(crate) outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// The manifest's outputs, by name. Never a secret.
    #[serde(default)]
    pub(crate) output: Value,
    /// In words, for people: the vendor's code and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after: Option<Span>,
    /// The credential or the right is missing: the connection is at fault, not the step.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) connection_fault: bool,
    /// Nothing was sent, for the action's own rate is used up: others on the connection may go.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) held_back: bool,
}

impl CallResult {
    pub(crate) fn done(output: Value) -> Self {
        Self {
            outcome: Outcome::Done,
            status: Some(200),
            output,
            problem: None,
            retry_after: None,
            connection_fault: false,
            held_back: false,
        }
    }

    pub(crate) fn failed(outcome: Outcome, problem: impl Into<String>) -> Self {
        Self {
            outcome,
            status: None,
            output: Value::Null,
            problem: Some(problem.into()),
            retry_after: None,
            connection_fault: false,
            held_back: false,
        }
    }
}

/// What a read-back found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReadBack {
    /// It is so.
    Holds { strength: Strength, output: Value },
    /// It is not (yet) so.
    Fails { problem: String },
    /// The read itself did not succeed; says nothing.
    Unread { problem: String, retry_after: Option<Span> },
}

/// What a read-back compares with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Applied {
    pub(crate) call: Call,
    /// When the (last) request was sent, by our clock.
    pub(crate) sent_at: Time,
    /// The action's own output, `null` while in doubt.
    pub(crate) output: Value,
}

/// The account an action is about, as `applies_to` judges it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) account: AccountKey,
    pub(crate) authority: Authority,
    pub(crate) status: String,
    pub(crate) privileged: bool,
}
