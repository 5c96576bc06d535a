//! Reads `parallel` and `switch`: their steps join the one list, each knowing what is around it.

use super::Reader;
use crate::diagnostic::Diagnostic;
use crate::playbook::document::{Entry, Node, Yaml};
use crate::playbook::draft::{Block, Branch, In, Step};

/// How deep blocks may stand in one another.
const DEPTH_MAX: usize = 4;

impl Reader<'_> {
    pub(super) fn block(&mut self, entries: &[Entry], head: Step) {
        let is_switch = head.does.iter().any(|does| does.value == "switch");
        if self.around.len() >= DEPTH_MAX {
            let message = format!("blocks may stand {DEPTH_MAX} deep at most");
            let at = head.at.clone();
            let problem = Diagnostic::error("P035", self.source, at, message, "one too many");
            self.push(problem.help("make a playbook of the inner steps and `call` it"));
            return;
        }
        let (index, first) = (self.blocks.len(), self.steps.len());
        let at = head.at.clone();
        let steps = first..first;
        self.blocks.push(Block { head, branches: Vec::new(), default: None, steps });
        let find = |key: &str| entries.iter().find(|entry| entry.key == key);
        let (key, what) = if is_switch { ("cases", "a case") } else { ("parallel", "a branch") };
        match find(key) {
            Some(entry) => self.branches(index, entry, what),
            None => self.missing(at, "a `switch`", "cases"),
        }
        if let Some(entry) = find("default").filter(|_| is_switch) {
            self.blocks[index].default = Some(entry.key_at.clone());
            // `default: []` says that there is nothing to do, and so that this was thought of.
            if entry.value.value != Yaml::List(Vec::new()) {
                self.branch(index, None, "`default`", &entry.value);
            }
        }
        self.blocks[index].steps.end = self.steps.len();
    }

    fn branches(&mut self, index: usize, entry: &Entry, what: &str) {
        let at = entry.key_at.clone();
        match &entry.value.value {
            Yaml::Map(entries) if !entries.is_empty() => {
                for entry in entries {
                    let (name, at) = (entry.key.clone(), entry.key_at.clone());
                    let shown = format!("{what} `{name}`").trim_start_matches("a ").to_owned();
                    self.blocks[index].branches.push(Branch { name: name.clone(), at });
                    self.branch(index, Some(name), &shown, &entry.value);
                }
            }
            Yaml::Map(_) | Yaml::Null => {
                let message = format!("`{}` is empty", entry.key);
                let problem = Diagnostic::error("P034", self.source, at, message, "holds nothing");
                self.push(problem.help(format!("give it {what}, or remove it")));
            }
            _ => {
                self.wrong(&entry.value, &format!("`{}`", entry.key), "a map of names to steps");
            }
        }
    }

    fn branch(&mut self, index: usize, branch: Option<String>, shown: &str, node: &Node) {
        if matches!(&node.value, Yaml::Null) || node.value == Yaml::List(Vec::new()) {
            let key_at = match &branch {
                Some(name) => self.blocks[index].branches.iter().find(|b| b.name == *name),
                None => None,
            };
            let at = key_at.map_or_else(|| node.at.clone(), |branch| branch.at.clone());
            let message = format!("{shown} has no steps");
            self.push(Diagnostic::error("P034", self.source, at, message, "holds nothing"));
            return;
        }
        self.around.push(In { block: index, branch });
        self.list(node, shown.trim_matches('`'), "no steps");
        self.around.pop();
    }
}
