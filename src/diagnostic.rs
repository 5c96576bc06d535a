//! What is wrong with a file that a person wrote: a code, where it is, and what to do about it.
//!
//! There is one type for it and one renderer, so that every complaint of Quell
//! looks the same. Rules build diagnostics; `cli` prints them.
//!
//! May use `model`. Knows no YAML, no disk and no terminal.

mod codes;
mod json;
mod render;
mod suggest;

pub(crate) use codes::{all_codes, explain};
pub(crate) use json::to_json;
pub(crate) use render::{Colour, render};
pub(crate) use suggest::closest;

use std::ops::Range;
use std::sync::Arc;

use crate::model::text::tame;

/// Longest message or label; what an author wrote may be quoted in it.
const MESSAGE_MAX: usize = 400;

/// Longest list of what is known, in bytes: more would not be read.
const LISTED_MAX: usize = 100;

/// A file's text, with the path that people know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { path: path.into(), text: text.into() })
    }

    /// The line and column, both from 1 and in characters, of a byte offset.
    pub(crate) fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.floor(offset)];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }

    /// The range, moved onto character boundaries inside the text.
    pub(crate) fn clamp(&self, at: &Range<usize>) -> Range<usize> {
        let start = self.floor(at.start);
        let mut end = at.end.max(start).min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        start..end
    }

    fn floor(&self, offset: usize) -> usize {
        let mut at = offset.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// A place in the source with what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) at: Range<usize>,
    pub(crate) text: String,
}

/// One problem in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    pub(crate) code: &'static str,
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) source: Arc<Source>,
    pub(crate) primary: Label,
    pub(crate) secondary: Vec<Label>,
    pub(crate) help: Option<String>,
}

impl Diagnostic {
    /// An error at `at`; `label` is shown under its carets.
    pub(crate) fn error(
        code: &'static str,
        source: &Arc<Source>,
        at: Range<usize>,
        message: impl AsRef<str>,
        label: impl AsRef<str>,
    ) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: tame(message.as_ref(), MESSAGE_MAX),
            source: Arc::clone(source),
            primary: Label { at: source.clamp(&at), text: tame(label.as_ref(), MESSAGE_MAX) },
            secondary: Vec::new(),
            help: None,
        }
    }

    /// Points at a second place that explains the first.
    pub(crate) fn note(mut self, at: Range<usize>, text: impl AsRef<str>) -> Self {
        let at = self.source.clamp(&at);
        self.secondary.push(Label { at, text: tame(text.as_ref(), MESSAGE_MAX) });
        self
    }

    pub(crate) fn help(mut self, help: impl AsRef<str>) -> Self {
        self.help = Some(tame(help.as_ref(), MESSAGE_MAX));
        self
    }

    /// Offers the nearest of `known`, or all of them where nothing is near and the list is short.
    pub(crate) fn suggest<'k>(self, wrong: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        match closest(wrong, known.iter().copied()) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None if (1..=LISTED_MAX).contains(&known.concat().len()) => {
                self.help(format!("known here: {}", suggest::listed(&known)))
            }
            None => self,
        }
    }
}

/// Puts problems into file order: by path, then by place.
pub(crate) fn sort(problems: &mut [Diagnostic]) {
    problems.sort_by(|a, b| {
        (&a.source.path, a.primary.at.start, a.code).cmp(&(
            &b.source.path,
            b.primary.at.start,
            b.code,
        ))
    });
}

/// `a`, `b` and `c`, in backticks.
pub(crate) fn listed(words: &[&str]) -> String {
    suggest::listed(words)
}
