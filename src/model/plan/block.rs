//! Blocks of a plan: `parallel`, `switch` and `call`. The plan stays one list of steps; a step says where it stands.
//!
//! Plain data and questions about it; knows nothing of runs.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use super::{Mode, Plan, PlanStep, is_default};
use crate::model::id::PlaybookName;

/// Steps that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Block {
    /// Shares its names with steps; `CALL/ID` for a block that a call brought in.
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) place: Place,
    pub(crate) form: Form,
    /// A bare expression; where it is false, everything in the block is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) when: Option<String>,
    /// Holds back everything in the block.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) after: Vec<String>,
    /// What its own expressions use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) reads: Vec<String>,
}

/// What a block does with its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// Branches that do not wait for one another.
    Parallel { branches: Vec<String> },
    /// Takes the case that the expression names, else its default.
    Switch { on: String, cases: Vec<String> },
    /// The steps of another playbook, as they were when this plan was checked.
    Call {
        playbook: PlaybookName,
        /// Values whose strings may hold templates, in the caller's names.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        inputs: BTreeMap<String, Value>,
        /// The called playbook's own: its steps are never freer than it says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<Mode>,
    },
}

/// Where a step or a block stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The innermost block around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) within: Option<Within>,
    /// Begins once everything else of the run has concluded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) finally: bool,
}

/// A part of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Within {
    pub(crate) block: String,
    /// The branch or case; none for `default` and for a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) branch: Option<String>,
}

impl Block {
    /// Whether it may leave steps out.
    pub(crate) fn chooses(&self) -> bool {
        self.when.is_some() || matches!(self.form, Form::Switch { .. })
    }
}

impl Plan {
    pub(crate) fn block(&self, id: &str) -> Option<&Block> {
        self.blocks.iter().find(|block| block.id == id)
    }

    /// The blocks around a place, outermost first, each with the branch that leads there.
    pub(crate) fn around<'p>(&'p self, place: &'p Place) -> Vec<(&'p Block, Option<&'p str>)> {
        let mut found = Vec::new();
        let mut here = place;
        while let Some(within) = &here.within
            && let Some(block) = self.block(&within.block)
        {
            found.push((block, within.branch.as_deref()));
            here = &block.place;
        }
        found.reverse();
        found
    }

    /// The step of that id, or every step of the block of that id. A called playbook's `finally`
    /// belongs to the run, not to the call.
    pub(crate) fn members<'p>(&'p self, id: &'p str) -> impl Iterator<Item = &'p PlanStep> {
        let block = self.block(id);
        self.steps.iter().filter(move |step| match block {
            None => step.id == id,
            Some(block) => {
                step.place.finally == block.place.finally
                    && self.around(&step.place).iter().any(|(around, _)| around.id == id)
            }
        })
    }

    /// Whether the steps of another playbook are in this one.
    pub(crate) fn calls(&self, name: &PlaybookName) -> bool {
        let calls = |form: &Form| matches!(form, Form::Call { playbook, .. } if playbook == name);
        self.blocks.iter().any(|block| calls(&block.form))
    }

    /// Whether two places are in different branches of one `parallel`, so that neither follows the other.
    pub(crate) fn side_by_side(&self, one: &Place, other: &Place) -> bool {
        let others = self.around(other);
        self.around(one).iter().any(|(block, branch)| {
            matches!(block.form, Form::Parallel { .. })
                && others.iter().any(|(o, b)| o.id == block.id && b != branch)
        })
    }

    /// Whether some block is around the first place and not around the second.
    pub(crate) fn leaves(&self, one: &Place, other: &Place) -> bool {
        let others = self.around(other);
        self.around(one).iter().any(|(block, _)| others.iter().all(|(o, _)| o.id != block.id))
    }

    /// What has to have concluded before a step begins: its own `after`, and that of the blocks around it.
    pub(crate) fn after<'p>(&'p self, step: &'p PlanStep) -> impl Iterator<Item = &'p str> {
        let around = self.around(&step.place).into_iter().flat_map(|(block, _)| &block.after);
        step.after.iter().chain(around).map(String::as_str)
    }
}
