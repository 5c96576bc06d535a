//! The playbooks that a playbook may call, by name, and following the calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::check::{Checked, check_in};
use super::document::{self, Yaml};
use super::draft::{Draft, Step};
use super::shipped::SHIPPED;
use crate::diagnostic::{Diagnostic, Source};
use crate::model::action::Signatures;
use crate::model::id::PlaybookName;
use crate::model::plan::{Form, Plan};

/// How many playbooks may be in one another.
pub(super) const CALLS_MAX: usize = 4;

/// How many steps all calls of a playbook may bring in.
const STEPS_MAX: usize = 400;

/// Texts of playbooks, by the name that each gives itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Library {
    texts: BTreeMap<String, Arc<Source>>,
}

impl Library {
    /// Those that come with Quell.
    pub(crate) fn shipped() -> Self {
        let mut library = Self::default();
        for (path, text) in SHIPPED {
            library.put(path, text);
        }
        library
    }

    /// Adds a text, in place of one of the same name. One without a name cannot be called.
    pub(crate) fn put(&mut self, path: &str, text: &str) {
        let source = Source::new(path, text);
        let (Some(root), _) = document::parse(&source) else { return };
        let Yaml::Map(entries) = &root.value else { return };
        let name = entries.iter().find(|entry| entry.key == "playbook").map(|e| &e.value.value);
        if let Some(Yaml::Text(name)) = name {
            self.texts.insert(name.clone(), source);
        }
    }
}

/// What became of a call.
#[derive(Debug, Clone)]
pub(super) enum Call {
    Found(Arc<Checked>),
    Unknown,
    /// The names from the first to the one that comes again.
    Circle(Vec<String>),
    TooDeep,
    TooLarge,
    /// It does not check clean.
    Unsound(Vec<Diagnostic>),
}

/// What the steps of a draft call, by the called playbook's name.
#[derive(Debug, Default)]
pub(super) struct Called {
    calls: BTreeMap<String, Call>,
    /// Every name that could be called.
    pub(super) known: Vec<String>,
}

impl Called {
    pub(super) fn of(&self, step: &Step) -> Option<&Call> {
        self.calls.get(&step.call.as_ref()?.text)
    }

    pub(super) fn found(&self, step: &Step) -> Option<&Checked> {
        match self.of(step)? {
            Call::Found(checked) => Some(checked),
            _ => None,
        }
    }

    pub(super) fn sources(&self) -> Vec<Arc<Source>> {
        let mut sources: Vec<Arc<Source>> = Vec::new();
        for call in self.calls.values() {
            let Call::Found(checked) = call else { continue };
            for source in std::iter::once(&checked.source).chain(&checked.called) {
                if !sources.iter().any(|known| known.text == source.text) {
                    sources.push(Arc::clone(source));
                }
            }
        }
        sources
    }
}

/// A walk along calls. What was found sound once is not checked again.
pub(super) struct Visit<'a> {
    library: &'a Library,
    pub(super) signatures: &'a Signatures,
    /// The playbooks being checked, each called by the one before it.
    path: Vec<String>,
    sound: BTreeMap<String, Arc<Checked>>,
}

impl<'a> Visit<'a> {
    pub(super) fn new(library: &'a Library, signatures: &'a Signatures) -> Self {
        Self { library, signatures, path: Vec::new(), sound: BTreeMap::new() }
    }

    /// Follows every call of a draft.
    pub(super) fn called(&mut self, draft: &Draft) -> Called {
        let own = draft.name.as_ref().map(|name| name.text.clone()).unwrap_or_default();
        self.path.push(own.clone());
        let mut called = Called::default();
        let mut steps = 0;
        for name in draft.steps.iter().filter_map(|step| step.call.as_ref()) {
            let call = match called.calls.get(&name.text) {
                Some(known) => known.clone(),
                None => self.follow(&name.text),
            };
            if let Call::Found(checked) = &call {
                steps += checked.plan.steps.len();
            }
            let call = if steps > STEPS_MAX { Call::TooLarge } else { call };
            called.calls.insert(name.text.clone(), call);
        }
        self.path.pop();
        let others = self.library.texts.keys().filter(|name| **name != own);
        called.known = others.cloned().collect();
        called
    }

    fn follow(&mut self, name: &str) -> Call {
        if let Some(first) = self.path.iter().position(|on| on == name) {
            let mut circle = self.path[first..].to_vec();
            circle.push(name.to_owned());
            return Call::Circle(circle);
        }
        let Some(source) = self.library.texts.get(name) else { return Call::Unknown };
        if self.path.len() > CALLS_MAX {
            return Call::TooDeep;
        }
        if let Some(known) = self.sound.get(name).cloned() {
            let below = &known.plan;
            let again = self.path.iter().find(|on| below.calls(&PlaybookName::new(on.as_str())));
            return match again {
                Some(on) => Call::Circle(vec![on.clone(), name.to_owned(), on.clone()]),
                None if self.path.len() + depth(below) > CALLS_MAX => Call::TooDeep,
                None => Call::Found(known),
            };
        }
        match check_in(self, source) {
            Ok(checked) => {
                let checked = Arc::new(checked);
                self.sound.insert(name.to_owned(), Arc::clone(&checked));
                Call::Found(checked)
            }
            Err(problems) => Call::Unsound(problems),
        }
    }
}

/// How many calls of a plan are in one another.
fn depth(plan: &Plan) -> usize {
    let is_call = |form: &Form| matches!(form, Form::Call { .. });
    let calls = plan.blocks.iter().filter(|block| is_call(&block.form)).map(|block| {
        1 + plan.around(&block.place).iter().filter(|(around, _)| is_call(&around.form)).count()
    });
    calls.max().unwrap_or(0)
}
