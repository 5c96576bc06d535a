//! Reads the steps.

use super::values::{ON_ERROR, ON_TIMEOUT};
use super::{Reader, first_line_end};
use crate::diagnostic::Diagnostic;
use crate::playbook::document::{Entry, Node, Yaml};
use crate::playbook::draft::{Approval, Placed, Ratify, Step};
use crate::playbook::keys::{self, QUORUM_MAX};

impl Reader<'_> {
    /// Reads a list of steps, which may not be empty.
    pub(super) fn list(&mut self, node: &Node, key: &str, nothing: &str) {
        match &node.value {
            Yaml::List(items) if !items.is_empty() => {
                for item in items {
                    self.step(item);
                }
            }
            Yaml::List(_) | Yaml::Null => {
                let line = first_line_end(&self.source.text, node.at.start);
                let at = node.at.start..line.max(node.at.end);
                self.push(Diagnostic::error("P025", self.source, at, nothing, "no steps"));
            }
            _ => self.wrong(node, &format!("`{key}`"), "a list"),
        }
    }

    fn step(&mut self, item: &Node) {
        let Some(entries) = self.map(item, "a step") else { return };
        let begin = entries.first().map_or_else(|| item.at.clone(), |entry| entry.key_at.clone());
        let mut step = Step {
            at: begin.clone(),
            within: self.around.clone(),
            finally: self.finally,
            ..Step::default()
        };
        for entry in entries {
            self.step_key(entry, &mut step);
        }
        let has = |key: &str| entries.iter().any(|entry| entry.key == key);
        if !has("id") {
            self.missing(begin.clone(), "a step", "id");
        }
        self.one_thing(&step);
        self.meaningless(entries, &step);
        if step.is_block() {
            self.block(entries, step);
        } else {
            self.steps.push(step);
        }
    }

    fn step_key(&mut self, entry: &Entry, step: &mut Step) {
        let placed = |value| Placed { value, at: entry.key_at.clone() };
        match entry.key.as_str() {
            "id" => step.id = self.word(entry),
            "use" => {
                step.does.push(placed("use"));
                step.action = self.word(entry);
            }
            "wait" => {
                step.does.push(placed("wait"));
                step.wait = self.span(entry);
            }
            "ask" => {
                step.does.push(placed("ask"));
                step.ask = self.word(entry);
            }
            "call" => {
                step.does.push(placed("call"));
                step.call = self.word(entry);
            }
            "parallel" => step.does.push(placed("parallel")),
            "switch" => {
                step.does.push(placed("switch"));
                step.switch = self.expression(entry);
            }
            // Read with their block.
            "cases" | "default" => {}
            "connection" => step.connection = self.word(entry),
            "with" => self.with(entry, step),
            "for_each" => step.for_each = self.expression(entry),
            "when" => step.when = self.expression(entry),
            "after" => step.after = self.words(entry),
            "on_error" => {
                step.on_error = self.choice(entry, ON_ERROR).map(|c| c.value).unwrap_or_default();
            }
            "expires" => step.expires = self.span(entry),
            "deadline" => step.deadline = self.span(entry),
            "approval" => step.approval = self.approval(entry),
            "ratify" => step.ratify = self.ratify(entry),
            _ => {
                step.misspelt = true;
                self.unknown_key(entry, keys::STEP, "a step");
            }
        }
    }

    fn with(&mut self, entry: &Entry, step: &mut Step) {
        step.with_at = Some(entry.key_at.clone());
        if let Some(entries) = self.map(&entry.value, "`with`") {
            step.with = entries.to_vec();
        }
    }

    fn approval(&mut self, entry: &Entry) -> Option<Approval> {
        let entries = self.map(&entry.value, "`approval`")?;
        let at = entry.key_at.clone();
        let mut approval = Approval { timeout: None, on_timeout: None, quorum: None };
        for inner in entries {
            match inner.key.as_str() {
                "timeout" => approval.timeout = self.span(inner),
                "on_timeout" => approval.on_timeout = self.choice(inner, ON_TIMEOUT),
                "quorum" => approval.quorum = self.quorum(inner),
                _ => self.unknown_key(inner, keys::APPROVAL, "an approval"),
            }
        }
        if !entries.iter().any(|inner| inner.key == "timeout") {
            self.missing(at, "an approval", "timeout");
        }
        Some(approval)
    }

    fn ratify(&mut self, entry: &Entry) -> Option<Ratify> {
        let entries = self.map(&entry.value, "`ratify`")?;
        let mut ratify = Ratify { at: entry.key_at.clone(), timeout: None, quorum: None };
        for inner in entries {
            match inner.key.as_str() {
                "timeout" => ratify.timeout = self.span(inner),
                "quorum" => ratify.quorum = self.quorum(inner),
                _ => self.unknown_key(inner, keys::RATIFY, "`ratify`"),
            }
        }
        Some(ratify)
    }

    fn quorum(&mut self, entry: &Entry) -> Option<Placed<u32>> {
        let node = &entry.value;
        let asked = match node.value {
            Yaml::Integer(number) => u32::try_from(number).ok(),
            _ => None,
        };
        if let Some(value) = asked.filter(|n| (1..=QUORUM_MAX).contains(n)) {
            return Some(Placed { value, at: node.at.clone() });
        }
        self.wrong(node, "`quorum`", "a number of people from 1 to 5");
        None
    }

    /// A step is one line of a plan, so it does exactly one thing.
    fn one_thing(&mut self, step: &Step) {
        let problem = match step.does.as_slice() {
            [_] => return,
            [] => Diagnostic::error(
                "P009",
                self.source,
                step.at.clone(),
                format!("{} does nothing", step.called()),
                "this step",
            )
            .help("give it one of `use`, `wait`, `ask`, `call`, `parallel` and `switch`"),
            [first, second, ..] => Diagnostic::error(
                "P009",
                self.source,
                second.at.clone(),
                format!("{} does two things", step.called()),
                format!("`{}` as well", second.value),
            )
            .note(first.at.clone(), format!("`{}` is given here", first.value))
            .help("make it two steps"),
        };
        self.push(problem);
    }

    fn meaningless(&mut self, entries: &[Entry], step: &Step) {
        let [does] = step.does.as_slice() else { return };
        let wrong = keys::MEANINGLESS.iter().filter(|(beside, ..)| beside.contains(&does.value));
        for (_, names, belongs) in wrong {
            for entry in entries.iter().filter(|e| names.contains(&e.key.as_str())) {
                let message = format!("`{}` means nothing beside `{}`", entry.key, does.value);
                let at = entry.key_at.clone();
                self.push(Diagnostic::error("P009", self.source, at, message, *belongs));
            }
        }
    }
}
