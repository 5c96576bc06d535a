//! A playbook as it was typed: every key in its place, nothing resolved yet.

use std::ops::Range;
use std::sync::Arc;

use super::document::{Entry, Node, Yaml};
use crate::diagnostic::{Diagnostic, Source};
use crate::model::plan::{Mode, OnError, OnTimeout, Trigger};
use crate::model::time::Span;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) at: Range<usize>,
}

/// A text, with the node that can place its parts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) node: Node,
}

impl Word {
    pub(crate) fn at(&self) -> Range<usize> {
        self.node.at.clone()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) source: Arc<Source>,
    pub(crate) name: Option<Word>,
    pub(crate) title: Option<Word>,
    pub(crate) attack: Vec<Word>,
    pub(crate) triggers: Vec<Placed<Trigger>>,
    /// Something under `triggers` could not be read, so that their number means nothing.
    pub(crate) triggers_broken: bool,
    pub(crate) also: bool,
    pub(crate) mode: Option<Mode>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Step {
    /// Where the step begins: its first key.
    pub(crate) at: Range<usize>,
    pub(crate) id: Option<Word>,
    /// The keys that say what it does, as written.
    pub(crate) does: Vec<Placed<&'static str>>,
    pub(crate) action: Option<Word>,
    pub(crate) wait: Option<Placed<Span>>,
    pub(crate) ask: Option<Word>,
    pub(crate) connection: Option<Word>,
    pub(crate) with: Vec<Entry>,
    pub(crate) with_at: Option<Range<usize>>,
    pub(crate) for_each: Option<Word>,
    pub(crate) when: Option<Word>,
    pub(crate) after: Vec<Word>,
    pub(crate) on_error: OnError,
    pub(crate) expires: Option<Placed<Span>>,
    pub(crate) approval: Option<Approval>,
    pub(crate) deadline: Option<Placed<Span>>,
    /// It has a key that nobody knows, so that what seems to be missing may only be misspelt.
    pub(crate) misspelt: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Approval {
    pub(crate) timeout: Option<Placed<Span>>,
    pub(crate) on_timeout: Option<Placed<OnTimeout>>,
}

impl Draft {
    /// The step of that id and its place in the order.
    pub(crate) fn step(&self, id: &str) -> Option<(usize, &Step)> {
        self.steps.iter().enumerate().find(|(_, step)| step.name() == Some(id))
    }

    pub(crate) fn error(
        &self,
        code: &'static str,
        at: Range<usize>,
        message: impl AsRef<str>,
        label: impl AsRef<str>,
    ) -> Diagnostic {
        Diagnostic::error(code, &self.source, at, message, label)
    }
}

impl Step {
    pub(crate) fn name(&self) -> Option<&str> {
        self.id.as_ref().map(|word| word.text.as_str())
    }

    /// How messages speak of it.
    pub(crate) fn called(&self) -> String {
        self.name().map_or_else(|| "this step".to_owned(), |id| format!("step `{id}`"))
    }

    /// Its expressions: `for_each` and `when`.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = (&'static str, &Word)> {
        [("for_each", self.for_each.as_ref()), ("when", self.when.as_ref())]
            .into_iter()
            .filter_map(|(key, word)| word.map(|word| (key, word)))
    }

    /// Every text that may hold `{{ }}`: those in `with`, however deep, and the question.
    pub(crate) fn templates(&self) -> Vec<&Node> {
        let mut out = Vec::new();
        for entry in &self.with {
            collect_texts(&entry.value, &mut out);
        }
        if let Some(ask) = &self.ask {
            out.push(&ask.node);
        }
        out
    }
}

fn collect_texts<'n>(node: &'n Node, out: &mut Vec<&'n Node>) {
    match &node.value {
        Yaml::Text(_) => out.push(node),
        Yaml::List(items) => items.iter().for_each(|item| collect_texts(item, out)),
        Yaml::Map(entries) => entries.iter().for_each(|entry| collect_texts(&entry.value, out)),
        _ => {}
    }
}
