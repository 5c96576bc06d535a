//! A called playbook's steps, as they stand in the caller's plan.

use std::collections::BTreeMap;

use super::check::Checked;
use super::draft::Step;
use super::resolve;
use crate::model::plan::{Block, Form, Place, Plan, PlanStep, Within};

/// What a call comes to.
pub(super) struct Inlined {
    pub(super) blocks: Vec<Block>,
    pub(super) steps: Vec<PlanStep>,
    /// What the called playbook does at the end of the run.
    pub(super) last: Vec<PlanStep>,
}

pub(super) fn inline(step: &Step, place: Place, callee: &Checked) -> Option<Inlined> {
    let id = step.name()?.to_owned();
    let inside = Inside { id: &id, finally: place.finally, callee: &callee.plan };
    let mut blocks = vec![Block {
        id: id.clone(),
        form: Form::Call {
            playbook: callee.plan.name.clone(),
            inputs: inputs(step, &callee.plan)?,
            mode: callee.plan.mode,
        },
        place,
        when: resolve::bare(step.when.as_ref()),
        after: resolve::after(step),
        reads: resolve::reads(step),
    }];
    blocks.extend(callee.plan.blocks.iter().map(|block| inside.block(block)));
    let (mut steps, mut last) = (Vec::new(), Vec::new());
    for own in &callee.plan.steps {
        let moved = inside.step(own);
        if own.place.finally && !inside.finally { last.push(moved) } else { steps.push(moved) }
    }
    Some(Inlined { blocks, steps, last })
}

/// What is given, and the defaults of what is not.
fn inputs(step: &Step, callee: &Plan) -> Option<BTreeMap<String, serde_json::Value>> {
    let value = |(name, input): (&String, &crate::model::action::Input)| {
        let given = step.with.iter().find(|entry| entry.key == *name);
        let value = match given {
            Some(entry) => resolve::json(&entry.value)?,
            None => input.default.clone().unwrap_or_default(),
        };
        Some((name.clone(), value))
    };
    callee.inputs.iter().map(value).collect()
}

/// The call that a called playbook's lines move into.
struct Inside<'a> {
    id: &'a str,
    /// The call itself stands in `finally`.
    finally: bool,
    callee: &'a Plan,
}

impl Inside<'_> {
    fn block(&self, block: &Block) -> Block {
        Block {
            id: self.name(&block.id),
            place: self.place(&block.place),
            form: block.form.clone(),
            when: block.when.clone(),
            after: self.names(&block.after),
            reads: self.names(&block.reads),
        }
    }

    fn step(&self, step: &PlanStep) -> PlanStep {
        let mut after = self.names(&step.after);
        if self.finally && step.place.finally {
            let before = self.callee.steps.iter().filter(|other| !other.place.finally);
            after.extend(before.map(|other| self.name(&other.id)));
        }
        PlanStep {
            id: self.name(&step.id),
            place: self.place(&step.place),
            after,
            reads: self.names(&step.reads),
            ..step.clone()
        }
    }

    fn place(&self, place: &Place) -> Place {
        let within = place.within.as_ref().map_or_else(
            || Within { block: self.id.to_owned(), branch: None },
            |w| Within { block: self.name(&w.block), branch: w.branch.clone() },
        );
        Place { within: Some(within), finally: self.finally || place.finally }
    }

    fn name(&self, id: &str) -> String {
        format!("{}/{id}", self.id)
    }

    fn names(&self, ids: &[String]) -> Vec<String> {
        ids.iter().map(|id| self.name(id)).collect()
    }
}
