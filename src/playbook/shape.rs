//! Document → draft: every key known and of the right shape. Says all that is wrong, and reads on.

use std::ops::Range;
use std::sync::Arc;

mod block;
mod inputs;
mod step;
mod values;

use super::document::{Entry, Node, Yaml};
use super::draft::{Block, Draft, In, Placed, Step};
use super::keys::{self, Key};
use crate::diagnostic::{Diagnostic, Source};
use crate::model::alert::AlertKind;
use crate::model::plan::Trigger;

/// Reads a document; what could not be read is left out and complained about.
pub(crate) fn read(source: &Arc<Source>, root: &Node, problems: &mut Vec<Diagnostic>) -> Draft {
    let mut reader = Reader {
        source,
        problems,
        steps: Vec::new(),
        blocks: Vec::new(),
        around: Vec::new(),
        finally: false,
    };
    let mut draft = Draft::empty(source);
    if root.value == Yaml::Null {
        let at = 0..first_line_end(&source.text, 0);
        reader.push(Diagnostic::error("P006", source, at, "the playbook is empty", "no keys"));
        return draft;
    }
    let Some(entries) = reader.map(root, "a playbook") else {
        return draft;
    };
    for entry in entries {
        let value = &entry.value;
        match entry.key.as_str() {
            "playbook" => draft.name = reader.word(entry),
            "title" => draft.title = reader.word(entry),
            "attack" => draft.attack = reader.words(entry),
            "triggers" => reader.triggers(entry, &mut draft),
            "also" => draft.also = reader.boolean(entry).unwrap_or(false),
            "mode" => draft.mode = reader.choice(entry, values::MODES).map(|mode| mode.value),
            "watch" => draft.watch = reader.span(entry),
            "inputs" => reader.inputs(entry, &mut draft),
            "steps" => reader.list(value, "steps", "the playbook has no steps"),
            "finally" => {}
            _ => reader.unknown_key(entry, keys::TOP, "a playbook"),
        }
    }
    // Last in the order, wherever it is written.
    reader.finally = true;
    for entry in entries.iter().filter(|entry| entry.key == "finally") {
        reader.list(&entry.value, "finally", "`finally` has no steps");
    }
    (draft.steps, draft.blocks) = (reader.steps.split_off(0), reader.blocks.split_off(0));
    let has = |key: &str| entries.iter().any(|entry| entry.key == key);
    let line = root.at.start..first_line_end(&source.text, root.at.start);
    for key in ["playbook", "steps"].into_iter().filter(|key| !has(key)) {
        reader.missing(line.clone(), "the playbook", key);
    }
    if !has("triggers") && !has("inputs") {
        let message = "the playbook has no `triggers`";
        let problem = Diagnostic::error("P005", source, line, message, "here");
        reader.push(problem.help("one that is only called needs none: give it `inputs: {}`"));
    }
    draft
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    problems: &'a mut Vec<Diagnostic>,
    steps: Vec<Step>,
    blocks: Vec<Block>,
    /// The blocks around what is being read.
    around: Vec<In>,
    finally: bool,
}

impl Reader<'_> {
    fn push(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    fn map<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Entry]> {
        if let Yaml::Map(entries) = &node.value {
            return Some(entries);
        }
        self.wrong(node, what, "a map of keys");
        None
    }

    fn wrong(&mut self, node: &Node, what: &str, expected: &str) {
        if node.value == Yaml::Broken {
            return;
        }
        let message = format!("{what} must be {expected}");
        let label = format!("this is {}", node.kind());
        self.push(Diagnostic::error("P006", self.source, node.at.clone(), message, label));
    }

    fn unknown_key(&mut self, entry: &Entry, known: &'static [Key], place: &str) {
        let at = entry.key_at.clone();
        let key = &entry.key;
        let problem = if key == "on" && place == "a playbook" {
            let message = "unknown key `on` in a playbook";
            Diagnostic::error("P004", self.source, at, message, "unknown key")
                .help("write `triggers`: some YAML readers take `on` for a boolean")
        } else if key == "watch" && place == "a step" {
            let message = "unknown key `watch` in a step";
            Diagnostic::error("P004", self.source, at, message, "unknown key")
                .help("write `watch` beside `steps`: the whole incident is watched")
        } else {
            let message = format!("unknown key `{key}` in {place}");
            Diagnostic::error("P004", self.source, at, message, "unknown key")
                .suggest(key, keys::names(known))
        };
        self.push(problem);
    }

    fn missing(&mut self, at: Range<usize>, what: &str, key: &str) {
        let message = format!("{what} has no `{key}`");
        self.push(Diagnostic::error("P005", self.source, at, message, "here"));
    }

    fn triggers(&mut self, entry: &Entry, draft: &mut Draft) {
        let before = self.problems.len();
        match &entry.value.value {
            Yaml::List(items) if items.is_empty() => self.push(
                Diagnostic::error(
                    "P024",
                    self.source,
                    entry.value.at.clone(),
                    "nothing starts this playbook",
                    "no trigger",
                )
                .help("add `- alert: mfa_fatigue`, `- report` or `- manual`"),
            ),
            Yaml::List(items) => {
                for item in items {
                    if let Some(trigger) = self.trigger(item) {
                        self.add_trigger(trigger, draft);
                    }
                }
            }
            _ => self.wrong(&entry.value, "`triggers`", "a list"),
        }
        draft.triggers_broken = self.problems.len() > before || entry.value.value == Yaml::Broken;
    }

    fn add_trigger(&mut self, trigger: Placed<Trigger>, draft: &mut Draft) {
        match draft.triggers.iter().find(|other| other.value == trigger.value) {
            None => draft.triggers.push(trigger),
            Some(first) => {
                let problem = Diagnostic::error(
                    "P024",
                    self.source,
                    trigger.at,
                    "this trigger is given twice",
                    "given again",
                );
                self.push(problem.note(first.at.clone(), "first given here"));
            }
        }
    }

    fn trigger(&mut self, item: &Node) -> Option<Placed<Trigger>> {
        let at = item.at.clone();
        match &item.value {
            Yaml::Broken => None,
            Yaml::Text(word) => match word.as_str() {
                "report" => Some(Placed { value: Trigger::Report, at }),
                "manual" => Some(Placed { value: Trigger::Manual, at }),
                other => {
                    let message = format!("unknown trigger `{other}`");
                    let problem = Diagnostic::error("P024", self.source, at, message, "unknown");
                    let kind = AlertKind::ALL.iter().any(|kind| kind.name() == other);
                    self.push(if kind {
                        problem.help(format!("write `alert: {other}`"))
                    } else {
                        problem.suggest(other, ["report", "manual", "alert"])
                    });
                    None
                }
            },
            Yaml::Map(entries) => {
                entries.iter().filter(|entry| entry.key != "alert").for_each(|entry| {
                    self.unknown_key(entry, keys::TRIGGER, "a trigger");
                });
                let kind = entries.iter().find(|entry| entry.key == "alert")?;
                self.alert_kind(&kind.value)
            }
            _ => {
                self.wrong(item, "a trigger", "`alert: KIND`, `report` or `manual`");
                None
            }
        }
    }

    fn alert_kind(&mut self, node: &Node) -> Option<Placed<Trigger>> {
        let Yaml::Text(word) = &node.value else {
            self.wrong(node, "`alert`", "a kind of alert");
            return None;
        };
        let at = node.at.clone();
        if let Some(kind) = AlertKind::ALL.into_iter().find(|kind| kind.name() == word) {
            return Some(Placed { value: Trigger::Alert(kind), at });
        }
        let message = format!("unknown kind of alert `{word}`");
        let problem = Diagnostic::error("P024", self.source, at, message, "unknown kind");
        self.push(problem.suggest(word, AlertKind::ALL.iter().map(|kind| kind.name())));
        None
    }
}

fn first_line_end(text: &str, begin: usize) -> usize {
    let rest = text.get(begin..).unwrap_or_default();
    begin + rest.lines().next().map_or(0, |line| line.trim_end().len()).max(1)
}
