//! A plan as it is drawn: what stands where, in written order, and what waits for what.
//!
//! Every picture of a plan is made from this, whatever it is drawn with. Plain questions; knows no drawing.

use super::{Block, Form, Place, Plan, PlanStep, Within};

/// What is to be drawn: the steps and blocks of a plan, and its last steps.
pub(crate) struct Outline<'p> {
    pub(crate) body: Vec<Part<'p>>,
    /// `finally`; often nothing.
    pub(crate) last: Vec<Part<'p>>,
}

/// One thing at its place.
pub(crate) enum Part<'p> {
    Step(&'p PlanStep),
    Frame(Frame<'p>),
}

/// A block with all that is in it.
pub(crate) struct Frame<'p> {
    pub(crate) block: &'p Block,
    /// It frames the last steps of a call, which belong to the run and not to the call.
    pub(crate) last: bool,
    /// Those that hold something. A call has one.
    pub(crate) branches: Vec<Branch<'p>>,
}

/// A branch, a case, or a call's steps.
pub(crate) struct Branch<'p> {
    /// None for a `default` and for a call.
    pub(crate) name: Option<&'p str>,
    pub(crate) parts: Vec<Part<'p>>,
}

impl Part<'_> {
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Step(step) => &step.id,
            Self::Frame(frame) => &frame.block.id,
        }
    }

    /// What it waits for by name, and whose results it uses besides.
    pub(crate) fn waits_for(&self) -> (&[String], &[String]) {
        match self {
            Self::Step(step) => (&step.after, &step.reads),
            Self::Frame(frame) => (&frame.block.after, &frame.block.reads),
        }
    }

    /// The steps in it, in written order.
    pub(crate) fn steps(&self) -> Vec<&PlanStep> {
        match self {
            Self::Step(step) => vec![step],
            Self::Frame(frame) => {
                frame.branches.iter().flat_map(|b| &b.parts).flat_map(Part::steps).collect()
            }
        }
    }
}

impl Plan {
    pub(crate) fn outline(&self) -> Outline<'_> {
        Outline {
            body: self.parts(&Place::default()),
            last: self.parts(&Place { finally: true, within: None }),
        }
    }

    /// Everything that stands directly at a place, in written order.
    fn parts(&self, place: &Place) -> Vec<Part<'_>> {
        let mut parts: Vec<Part<'_>> = Vec::new();
        for step in self.steps.iter().filter(|step| step.place.finally == place.finally) {
            if step.place.within == place.within {
                parts.push(Part::Step(step));
                continue;
            }
            let around = self.around(&step.place);
            let outer = around.iter().find(|(block, _)| block.place.within == place.within);
            let drawn = |id: &str| parts.iter().any(|part| part.id() == id);
            if let Some((block, _)) = outer.filter(|(block, _)| !drawn(&block.id)) {
                parts.push(Part::Frame(self.frame(block, place.finally)));
            }
        }
        parts
    }

    fn frame<'p>(&'p self, block: &'p Block, finally: bool) -> Frame<'p> {
        let names: Vec<Option<&str>> = match &block.form {
            Form::Call { .. } => vec![None],
            Form::Parallel { branches } => branches.iter().map(|b| Some(b.as_str())).collect(),
            Form::Switch { cases, .. } => {
                cases.iter().map(|c| Some(c.as_str())).chain([None]).collect()
            }
        };
        let branch = |name: Option<&'p str>| {
            let within = Within { block: block.id.clone(), branch: name.map(str::to_owned) };
            let parts = self.parts(&Place { within: Some(within), finally });
            Branch { name, parts }
        };
        let mut branches: Vec<Branch<'p>> = names.into_iter().map(branch).collect();
        branches.retain(|branch| !branch.parts.is_empty());
        Frame { block, last: finally && !block.place.finally, branches }
    }
}
