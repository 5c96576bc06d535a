//! A playbook as it was typed: every key in its place, nothing resolved yet.

use std::ops::Range;
use std::sync::Arc;

use super::document::{Entry, Node, Yaml};
use crate::diagnostic::{Diagnostic, Source};
use crate::model::action::Input;
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
    pub(crate) watch: Option<Placed<Span>>,
    /// Where `inputs` stands, if it does.
    pub(crate) inputs_at: Option<Range<usize>>,
    pub(crate) inputs: Vec<InputDraft>,
    /// The steps of all blocks in written order, those of `finally` last.
    pub(crate) steps: Vec<Step>,
    /// `parallel` and `switch`, each after the blocks around it.
    pub(crate) blocks: Vec<Block>,
}

/// One of `inputs`.
#[derive(Debug, Clone)]
pub(crate) struct InputDraft {
    pub(crate) name: Word,
    pub(crate) input: Input,
    pub(crate) default: Option<Node>,
}

/// Steps that belong together.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// Its own keys, as if it were a step.
    pub(crate) head: Step,
    /// Its branches or cases.
    pub(crate) branches: Vec<Branch>,
    /// The case for every other value, if it is given.
    pub(crate) default: Option<Range<usize>>,
    /// Its steps' places in the order.
    pub(crate) steps: Range<usize>,
}

/// A branch of `parallel` or a case of `switch`.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    pub(crate) name: String,
    pub(crate) at: Range<usize>,
}

/// A block around a step, by its place among the blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct In {
    pub(crate) block: usize,
    /// The branch or case; none for `default`.
    pub(crate) branch: Option<String>,
}

/// What an id names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Named<'d> {
    Step(usize, &'d Step),
    Block(&'d Block),
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
    pub(crate) call: Option<Word>,
    pub(crate) switch: Option<Word>,
    /// The blocks around it, outermost first.
    pub(crate) within: Vec<In>,
    pub(crate) finally: bool,
    pub(crate) connection: Option<Word>,
    pub(crate) with: Vec<Entry>,
    pub(crate) with_at: Option<Range<usize>>,
    pub(crate) for_each: Option<Word>,
    pub(crate) when: Option<Word>,
    pub(crate) after: Vec<Word>,
    pub(crate) on_error: OnError,
    pub(crate) expires: Option<Placed<Span>>,
    pub(crate) approval: Option<Approval>,
    pub(crate) ratify: Option<Ratify>,
    pub(crate) deadline: Option<Placed<Span>>,
    /// It has a key that nobody knows, so that what seems to be missing may only be misspelt.
    pub(crate) misspelt: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Approval {
    pub(crate) timeout: Option<Placed<Span>>,
    pub(crate) on_timeout: Option<Placed<OnTimeout>>,
    pub(crate) quorum: Option<Placed<u32>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Ratify {
    /// The key.
    pub(crate) at: Range<usize>,
    pub(crate) timeout: Option<Placed<Span>>,
    pub(crate) quorum: Option<Placed<u32>>,
}

impl Draft {
    pub(crate) fn empty(source: &Arc<Source>) -> Self {
        Self {
            source: Arc::clone(source),
            name: None,
            title: None,
            attack: Vec::new(),
            triggers: Vec::new(),
            triggers_broken: false,
            also: false,
            mode: None,
            watch: None,
            inputs_at: None,
            inputs: Vec::new(),
            steps: Vec::new(),
            blocks: Vec::new(),
        }
    }

    /// The step of that id and its place in the order.
    pub(crate) fn step(&self, id: &str) -> Option<(usize, &Step)> {
        self.steps.iter().enumerate().find(|(_, step)| step.name() == Some(id))
    }

    /// What has that id.
    pub(crate) fn named(&self, id: &str) -> Option<Named<'_>> {
        let block = || self.blocks.iter().find(|block| block.head.name() == Some(id));
        let step = self.step(id).map(|(order, step)| Named::Step(order, step));
        step.or_else(|| block().map(Named::Block))
    }

    /// Steps and blocks with their places in the order, as they are written in the file.
    pub(crate) fn lines(&self) -> Vec<(usize, &Step)> {
        let steps = self.steps.iter().enumerate();
        let heads = self.blocks.iter().map(|block| (block.steps.start, &block.head));
        let mut lines: Vec<_> = steps.chain(heads).collect();
        lines.sort_by_key(|(_, line)| line.at.start);
        lines
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

    /// Whether it is a block's head.
    pub(crate) fn is_block(&self) -> bool {
        self.does.iter().any(|does| matches!(does.value, "parallel" | "switch"))
    }

    /// Its expressions: `for_each`, `when` and `switch`.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = (&'static str, &Word)> {
        let all = [("for_each", &self.for_each), ("when", &self.when), ("switch", &self.switch)];
        all.into_iter().filter_map(|(key, word)| Some((key, word.as_ref()?)))
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
