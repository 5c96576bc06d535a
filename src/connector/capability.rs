//! Capabilities: the provider-neutral operations, as `connectors/capabilities.yaml` declares them.
//!
//! Knows no connector.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::model::action::{Effect, Input, Reversal, Signature, ValueType};

/// One capability.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Declared {
    pub(crate) summary: String,
    pub(crate) effect: Effect,
    pub(crate) reversal: Reversal,
    /// The effect ends at the moment it is applied.
    #[serde(default)]
    pub(crate) point_in_time: bool,
    #[serde(default)]
    pub(crate) inputs: BTreeMap<String, Input>,
    #[serde(default)]
    pub(crate) outputs: BTreeMap<String, ValueType>,
}

/// All capabilities by name.
pub(crate) type Capabilities = BTreeMap<String, Declared>;

impl Declared {
    pub(crate) fn signature(&self, has_undo: bool) -> Signature {
        Signature {
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            effect: self.effect,
            reversal: self.reversal,
            has_undo,
            point_in_time: self.point_in_time,
            summary: self.summary.clone(),
        }
    }
}
