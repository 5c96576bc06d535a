//! Reads single values: texts, lists of texts, choices, spans.

use super::Reader;
use crate::diagnostic::Diagnostic;
use crate::model::plan::{Mode, OnError, OnTimeout};
use crate::model::time::Span;
use crate::playbook::document::{Entry, Node, Yaml};
use crate::playbook::draft::{Placed, Word};

pub(super) const MODES: &[(&str, Mode)] =
    &[("observe", Mode::Observe), ("approve", Mode::Approve), ("auto", Mode::Auto)];
pub(super) const ON_ERROR: &[(&str, OnError)] =
    &[("continue", OnError::Continue), ("stop", OnError::Stop)];
pub(super) const ON_TIMEOUT: &[(&str, OnTimeout)] = &[
    ("approve", OnTimeout::Approve),
    ("deny", OnTimeout::Deny),
    ("escalate", OnTimeout::Escalate),
];

impl Reader<'_> {
    pub(super) fn word(&mut self, entry: &Entry) -> Option<Word> {
        self.word_of(&entry.key, &entry.value)
    }

    fn word_of(&mut self, key: &str, node: &Node) -> Option<Word> {
        if let Yaml::Text(text) = &node.value {
            return Some(Word { text: text.clone(), node: node.clone() });
        }
        self.wrong(node, &format!("`{key}`"), "text");
        None
    }

    /// An expression may also be a plain `true`, `false` or number.
    pub(super) fn expression(&mut self, entry: &Entry) -> Option<Word> {
        let node = &entry.value;
        let text = match &node.value {
            Yaml::Bool(value) => value.to_string(),
            Yaml::Integer(value) => value.to_string(),
            // `for_each: []` is an expression too.
            Yaml::List(items) if items.is_empty() => "[]".to_owned(),
            _ => return self.word(entry),
        };
        Some(Word { text, node: node.clone() })
    }

    /// One text or a list of texts.
    pub(super) fn words(&mut self, entry: &Entry) -> Vec<Word> {
        match &entry.value.value {
            Yaml::List(items) => {
                items.iter().filter_map(|item| self.word_of(&entry.key, item)).collect()
            }
            _ => self.word(entry).into_iter().collect(),
        }
    }

    pub(super) fn boolean(&mut self, entry: &Entry) -> Option<bool> {
        if let Yaml::Bool(value) = entry.value.value {
            return Some(value);
        }
        self.wrong(&entry.value, &format!("`{}`", entry.key), "`true` or `false`");
        None
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        entry: &Entry,
        choices: &[(&'static str, T)],
    ) -> Option<Placed<T>> {
        let word = self.word(entry)?;
        let at = word.at();
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word.text) {
            return Some(Placed { value: *value, at });
        }
        let message = format!("`{}` cannot be `{}`", entry.key, word.text);
        let problem = Diagnostic::error("P006", self.source, at, message, "no such choice");
        self.push(problem.suggest(&word.text, choices.iter().map(|(name, _)| *name)));
        None
    }

    pub(super) fn span(&mut self, entry: &Entry) -> Option<Placed<Span>> {
        let node = &entry.value;
        let at = node.at.clone();
        let (shown, help) = match &node.value {
            Yaml::Broken => return None,
            Yaml::Text(text) => match text.parse::<Span>() {
                Ok(value) if !value.delta().is_zero() => return Some(Placed { value, at }),
                Ok(_) => (text.clone(), "write a length of time above zero".to_owned()),
                Err(_) => (
                    text.clone(),
                    "write a whole number and one of ms, s, m, h, d, such as `15m` or `24h`"
                        .to_owned(),
                ),
            },
            Yaml::Integer(number) => {
                let shown = number.to_string();
                let help = format!("say the unit: `{shown}s`, `{shown}m` or `{shown}h`");
                (shown, help)
            }
            _ => (node.kind().to_owned(), "write it as `15m` or `24h`".to_owned()),
        };
        let message = format!("`{}` is not a length of time: `{shown}`", entry.key);
        let label = "not a length of time";
        let problem = Diagnostic::error("P026", self.source, at, message, label).help(help);
        self.push(problem);
        None
    }
}
