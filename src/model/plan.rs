//! A plan: the checked, resolved form of a playbook. A run pins its digest and needs nothing else.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use super::action::Input;
use super::alert::AlertKind;
use super::id::{ConnectionId, PlaybookName};
use super::time::Span;

mod block;
mod outline;

pub(crate) use block::{Block, Form, Place, Within};
pub(crate) use outline::{Branch, Frame, Part};

/// The checked, resolved, content-addressed form of a playbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) name: PlaybookName,
    #[serde(default)]
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) attack: Vec<String>,
    pub(crate) triggers: Vec<Trigger>,
    /// Runs beside the first matching playbook instead of only when no other matched.
    #[serde(default)]
    pub(crate) also: bool,
    /// Stricter than the deployment's mode, never looser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<Mode>,
    /// How long the incident is watched after containment, where that is longer than the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) watch: Option<Span>,
    /// What a playbook that calls this one may hand over; expressions say `inputs.NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) inputs: BTreeMap<String, Input>,
    /// `parallel`, `switch` and `call`, each after the blocks around it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) blocks: Vec<Block>,
    /// In written order; those of `finally` come last.
    pub(crate) steps: Vec<PlanStep>,
}

impl Plan {
    pub(crate) fn step(&self, id: &str) -> Option<&PlanStep> {
        self.steps.iter().find(|step| step.id == id)
    }
}

/// What starts a playbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trigger {
    Alert(AlertKind),
    Report,
    Manual,
}

/// How far Quell may go by itself.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// Journals what would be done.
    Observe,
    /// Revocation, tickets and notices run; every other change waits for the incident's one question.
    #[default]
    Approve,
    /// As written and as the response doctrine says.
    Auto,
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PlanStep {
    /// Its own; `CALL/ID` for a step that a call brought in.
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) place: Place,
    pub(crate) does: Does,
    /// A bare expression that gives a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) for_each: Option<String>,
    /// A bare expression that gives a truth value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) when: Option<String>,
    /// Ids of earlier steps and blocks that must have concluded, whatever their conclusion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) after: Vec<String>,
    /// Ids of earlier steps and blocks whose results are used in `with`, `when` or `for_each`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) reads: Vec<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) on_error: OnError,
    /// How long a hold lasts before it is taken off (or asked about).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) approval: Option<AskRule>,
    /// Where it is done without a yes, people are asked afterwards whether it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ratify: Option<RatifyRule>,
    /// From the first attempt to the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deadline: Option<Span>,
}

impl PlanStep {
    /// A step that says nothing but what it does.
    pub(crate) fn new(id: impl Into<String>, does: Does) -> Self {
        Self {
            id: id.into(),
            place: Place::default(),
            does,
            for_each: None,
            when: None,
            after: Vec::new(),
            reads: Vec::new(),
            on_error: OnError::Continue,
            expires: None,
            approval: None,
            ratify: None,
            deadline: None,
        }
    }
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Does {
    /// Calls a capability or a named action.
    Use {
        /// `identity.block_sign_in` or `entra-id/disable-account`.
        name: String,
        /// Which connection, where the item does not say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<ConnectionId>,
        /// Values whose strings may hold templates.
        #[serde(default)]
        with: BTreeMap<String, Value>,
    },
    Wait(Span),
    /// Asks people a question of the playbook's own.
    Ask {
        message: String,
    },
}

#[cfg(test)]
impl Does {
    /// Calls an action with nothing given, wherever it is offered.
    pub(crate) fn action(name: &str) -> Self {
        Self::Use { name: name.to_owned(), connection: None, with: BTreeMap::new() }
    }
}

/// What a failed step means for those after it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnError {
    #[default]
    Continue,
    /// Nothing later in the plan starts.
    Stop,
}

/// A playbook's own, stricter approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AskRule {
    /// How long the question stands.
    pub(crate) timeout: Span,
    pub(crate) on_timeout: OnTimeout,
    /// More people than the doctrine asks for; zero: as many.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) quorum: u32,
}

/// A playbook's wish that what it did at once is put to people afterwards. Silence keeps it, a no undoes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RatifyRule {
    /// How long the question stands; none: as long as the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<Span>,
    /// More people than the doctrine asks for; zero: as many.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) quorum: u32,
}

/// What silence means.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnTimeout {
    Approve,
    #[default]
    Deny,
    Escalate,
}

/// For serde: what is as it would be without saying so is not written.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
