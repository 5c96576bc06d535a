//! The manifests as types: `connector.yaml`, and one file per action.
//!
//! Plain data with no behaviour beyond defaults; `catalogue` checks what types cannot say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use crate::model::action::{Effect, Input, Repeat, Strength};
use crate::model::subject::Authority;
use crate::model::time::Span;

/// `connectors/<name>/connector.yaml`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the field is the manifest's own key")]
pub(crate) struct Connector {
    /// The folder's name.
    pub(crate) connector: String,
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) docs: String,
    /// Speaks no HTTP: what carries its requests instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) native: Option<Native>,
    /// The ways to sign in that it offers, as `[connections.NAME].auth` spells them.
    pub(crate) auth: Vec<String>,
    /// What `[connections.NAME.settings]` may hold.
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, Setting>,
    /// Sent with every request.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Where an error answer keeps the vendor's code and words: bare expressions.
    #[serde(default)]
    pub(crate) error: ErrorWords,
    #[serde(default)]
    pub(crate) limits: ConnectorLimits,
    /// The harmless call that `connection test` makes.
    pub(crate) probe: Probe,
}

/// What carries the requests of a system that speaks no HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Native {
    /// Mail. `GET /session` connects and leaves; `POST /messages` sends.
    Smtp,
}

/// One setting of a connection.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setting {
    pub(crate) summary: String,
    #[serde(default)]
    pub(crate) required: bool,
    #[serde(default)]
    pub(crate) default: Option<Value>,
}

/// Bare expressions over `{status, headers, body}` of an error answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErrorWords {
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
}

/// What the vendor allows one client.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ConnectorLimits {
    pub(crate) concurrency: usize,
    pub(crate) rate: Option<Rate>,
    /// The header that gives the second (Unix time) at which a throttled client may go on.
    pub(crate) reset_header: Option<String>,
}

impl Default for ConnectorLimits {
    fn default() -> Self {
        Self { concurrency: 4, rate: None, reset_header: None }
    }
}

/// The call that `connection test` makes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    pub(crate) action: String,
    #[serde(default)]
    pub(crate) inputs: BTreeMap<String, Value>,
}

/// `60/min`: so many calls in such a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) calls: u32,
    pub(crate) per: Span,
}

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not a rate: write calls per time, such as `60/min`");
        let (calls, per) = text.split_once('/').ok_or_else(refuse)?;
        let calls: u32 = calls.parse().map_err(|_| refuse())?;
        let per = match per {
            "s" => Span::seconds(1),
            "min" => Span::minutes(1),
            "h" => Span::hours(1),
            other => other.parse().map_err(|_| refuse())?,
        };
        if calls == 0 { Err(refuse()) } else { Ok(Self { calls, per }) }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}/{}", self.calls, self.per))
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[1-9][0-9]*/(s|min|h|[0-9]+(ms|s|m|h|d))$"})
    }
}

/// `connectors/<name>/<verb-object>.yaml`: one operation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the field is the manifest's own key")]
pub(crate) struct Action {
    /// The file's name.
    pub(crate) action: String,
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) docs: String,
    /// The capability it implements; none if only this connector's own manifests use it.
    #[serde(default)]
    pub(crate) implements: Option<String>,
    pub(crate) effect: Effect,
    /// What a repeated call means. Reads may leave it out.
    #[serde(default = "set")]
    pub(crate) repeat: Repeat,
    #[serde(default)]
    pub(crate) assume_done: bool,
    #[serde(default)]
    pub(crate) applies_to: AppliesTo,
    /// Settings without which the connection does not have this action.
    #[serde(default)]
    pub(crate) requires_settings: Vec<String>,
    /// The vendor's names of the rights that it needs.
    #[serde(default)]
    pub(crate) permissions: Vec<String>,
    #[serde(default)]
    pub(crate) inputs: BTreeMap<String, Input>,
    /// Values worked out first, from bare expressions; used as `{let.name}` and `let.name`.
    #[serde(default, rename = "let")]
    pub(crate) bindings: BTreeMap<String, String>,
    pub(crate) request: Request,
    pub(crate) response: Response,
    #[serde(default)]
    pub(crate) verify: Option<Verify>,
    /// Whether it is so already, asked before a reversible change.
    #[serde(default)]
    pub(crate) already_so: Option<Look>,
    /// How to find what a call in doubt would have made.
    #[serde(default)]
    pub(crate) find: Option<Look>,
    /// The action that takes it back.
    #[serde(default)]
    pub(crate) undo: Option<String>,
    /// What stays true although it is applied.
    #[serde(default)]
    pub(crate) residual: Option<String>,
    /// What a person does by hand when the connection may not: a template.
    #[serde(default)]
    pub(crate) manual: Option<String>,
    #[serde(default)]
    pub(crate) limits: ActionLimits,
}

fn set() -> Repeat {
    Repeat::Set
}

/// Which accounts an action is for. An empty list means all.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AppliesTo {
    #[schemars(with = "Vec<String>")]
    pub(crate) authority: Vec<Authority>,
    pub(crate) status: Vec<String>,
    /// Why not, for those that it is not for.
    pub(crate) exclude: Vec<Exclusion>,
}

/// One reason, and for whom it holds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exclusion {
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) authority: Vec<Authority>,
    #[serde(default)]
    pub(crate) status: Vec<String>,
    /// It means nothing for such an account; the reason, for people.
    #[serde(default)]
    pub(crate) not_applicable: Option<String>,
    /// It must be done at the account's authority: the exact step, a template over `account`.
    #[serde(default)]
    pub(crate) elsewhere: Option<String>,
}

/// What is sent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// `{account.id}` names an input, `{let.x}` a binding, `{settings.x}` a setting; each becomes one encoded segment.
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) query: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) json: Option<Value>,
    #[serde(default)]
    pub(crate) form: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    pub(crate) idempotency_key: Option<Recognised>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// By what the API recognises a repeated call: a header that carries the key, or a field of the body that the
/// manifest fills with what stays the same.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Recognised {
    Header(String),
    Body(String),
}

/// How an answer is read. Rules are tried in the order of these fields; then come defaults.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Response {
    pub(crate) done: Vec<Rule>,
    #[serde(default)]
    pub(crate) unchanged: Vec<Rule>,
    /// A refusal that may mean "it is so already": `already_so` decides.
    #[serde(default)]
    pub(crate) unclear: Vec<Rule>,
    #[serde(default)]
    pub(crate) refused: Vec<Rule>,
    /// Certainly not applied; later it may be.
    #[serde(default = "too_many")]
    pub(crate) retry: Vec<Rule>,
    #[serde(default = "no_right")]
    pub(crate) connection_fault: Vec<Rule>,
    #[serde(default)]
    pub(crate) not_found: NotFound,
    /// What must be true of an answer that is to be believed.
    #[serde(default)]
    pub(crate) complete: Option<String>,
    #[serde(default)]
    pub(crate) outputs: BTreeMap<String, Output>,
    #[serde(default)]
    pub(crate) paging: Option<Paging>,
}

fn too_many() -> Vec<Rule> {
    vec![Rule::Status(429)]
}

fn no_right() -> Vec<Rule> {
    vec![Rule::Status(401), Rule::Status(403)]
}

/// A status, or one with a condition over the answer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Rule {
    Status(u16),
    When { status: u16, when: String },
}

/// What a 404 means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NotFound {
    Done,
    Unchanged,
    #[default]
    Refused,
}

/// An output: a bare expression, or a list with one object for each item.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Output {
    Value(String),
    Each {
        each: String,
        #[serde(rename = "as")]
        fields: BTreeMap<String, String>,
        #[serde(default)]
        when: Option<String>,
    },
}

/// How a list goes on. Both are bare expressions over one page's answer; outputs see all `items`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    pub(crate) items: String,
    pub(crate) next: String,
    #[serde(default = "ten")]
    pub(crate) pages: usize,
}

fn ten() -> usize {
    10
}

/// How an applied action is proved.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Verify {
    /// The provider offers no proof; the reason, for people.
    None {
        none: String,
    },
    Look(Look),
}

/// A read, and what it must show.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Look {
    pub(crate) action: String,
    /// The read's inputs, as bare expressions over `{inputs, account, key, sent_at, applied}`. Left out: `account`.
    #[serde(default)]
    pub(crate) inputs: BTreeMap<String, String>,
    /// A bare expression over the same and `output`, the read's output.
    pub(crate) expect: String,
    #[serde(default = "state")]
    pub(crate) strength: Strength,
    /// For `find`: the action's own outputs, from what was found.
    #[serde(default)]
    pub(crate) outputs: BTreeMap<String, String>,
}

fn state() -> Strength {
    Strength::State
}

/// What one action may take.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ActionLimits {
    #[schemars(with = "String")]
    pub(crate) timeout: Span,
    pub(crate) rate: Option<Rate>,
    /// Longest answer, in bytes.
    pub(crate) max_bytes: usize,
}

impl Default for ActionLimits {
    fn default() -> Self {
        Self { timeout: Span::seconds(15), rate: None, max_bytes: 1 << 20 }
    }
}
