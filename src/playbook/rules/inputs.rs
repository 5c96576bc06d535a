//! P011: a parameter must exist. P012: a required one must be given, or bound by the item.

use std::collections::BTreeMap;

use super::scope::{Over, Scope, over};
use crate::diagnostic::{Diagnostic, closest, listed};
use crate::model::action::{Input, Signature, ValueType};
use crate::playbook::draft::{Step, Word};

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for (step, action, inputs) in scope.takers() {
        let known: Vec<&str> = inputs.keys().map(String::as_str).collect();
        for entry in step.with.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let message = format!("`{}` has no parameter `{}`", action.text, entry.key);
            let at = entry.key_at.clone();
            problems.push(
                scope
                    .draft
                    .error("P011", at, message, "no such parameter")
                    .note(action.at(), format!("takes {}", listed(&known)))
                    .suggest(&entry.key, known.iter().copied()),
            );
        }
        let by_item = scope.signature(step).and_then(Signature::item_input);
        let bound = by_item.map(|(name, _)| name).filter(|_| over(step) != Over::Nothing);
        for (name, input) in inputs.iter().filter(|(name, _)| bound != Some(name)) {
            if is_missing(step, inputs, name, input) {
                problems.push(missing(scope, action, name, input, step.call.is_some()));
            }
        }
    }
}

type Inputs = BTreeMap<String, Input>;

fn is_missing(step: &Step, inputs: &Inputs, name: &str, input: &Input) -> bool {
    input.required
        && input.default.is_none()
        && !step.misspelt
        && !step.with.iter().any(|entry| entry.key == name || meant(&entry.key, name, inputs))
}

/// Whether an unknown parameter is this one, misspelt: it has its own problem.
fn meant(key: &str, name: &str, inputs: &Inputs) -> bool {
    let known = inputs.keys().map(String::as_str);
    !inputs.contains_key(key) && closest(key, known) == Some(name)
}

fn missing(
    scope: &Scope<'_>,
    action: &Word,
    name: &str,
    input: &Input,
    called: bool,
) -> Diagnostic {
    let message = format!("`{}` needs `{name}`", action.text);
    let label = format!("`{name}` ({}) is not given", input.kind.name());
    let help = match input.kind {
        _ if called => format!("add `{name}` under `with`"),
        ValueType::Account => "add `for_each: subject.accounts`, which binds it".to_owned(),
        ValueType::Factor => "add `for_each: incident.hostile_factors`, which binds it".to_owned(),
        _ => format!("add `{name}` under `with`"),
    };
    scope.draft.error("P012", action.at(), message, label).help(help)
}
