//! Reads `inputs`: what a playbook takes when it is called.

use super::{Reader, keys};
use crate::diagnostic::Diagnostic;
use crate::model::action::{Input, ValueType};
use crate::playbook::document::{Entry, Node, Yaml};
use crate::playbook::draft::{Draft, InputDraft, Word};

const TYPES: &[(&str, ValueType)] = &[
    ("string", ValueType::String),
    ("integer", ValueType::Integer),
    ("boolean", ValueType::Boolean),
    ("time", ValueType::Time),
    ("list", ValueType::List),
    ("object", ValueType::Object),
    ("account", ValueType::Account),
    ("factor", ValueType::Factor),
    ("any", ValueType::Any),
];

impl Reader<'_> {
    pub(super) fn inputs(&mut self, entry: &Entry, draft: &mut Draft) {
        draft.inputs_at = Some(entry.key_at.clone());
        let Some(entries) = self.map(&entry.value, "`inputs`") else { return };
        draft.inputs = entries.iter().filter_map(|entry| self.input(entry)).collect();
    }

    fn input(&mut self, entry: &Entry) -> Option<InputDraft> {
        let node = Node { at: entry.key_at.clone(), value: Yaml::Text(entry.key.clone()) };
        let name = Word { text: entry.key.clone(), node };
        let entries = self.map(&entry.value, "an input")?;
        let (mut kind, mut required, mut default, mut summary) = (None, None, None, None);
        for inner in entries {
            match inner.key.as_str() {
                "type" => kind = self.choice(inner, TYPES),
                "required" => required = self.boolean(inner),
                "default" => default = Some(inner.value.clone()),
                "summary" => summary = self.word(inner),
                _ => self.unknown_key(inner, keys::INPUT, "an input"),
            }
        }
        if !entries.iter().any(|inner| inner.key == "type") {
            self.missing(entry.key_at.clone(), "an input", "type");
        }
        if let (Some(true), Some(default)) = (required, &default) {
            let message = format!("input `{}` is required and has a default", name.text);
            let at = default.at.clone();
            self.push(Diagnostic::error("P038", self.source, at, message, "never used"));
        }
        let input = Input {
            kind: kind?.value,
            required: required.unwrap_or_else(|| default.is_none()),
            default: default.as_ref().and_then(crate::playbook::resolve::json),
            max_length: None,
            summary: summary.map(|word| word.text).unwrap_or_default(),
        };
        Some(InputDraft { name, input, default })
    }
}
