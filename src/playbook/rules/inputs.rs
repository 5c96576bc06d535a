//! P011: a parameter must exist. P012: a required one must be given, or bound by the item.

use super::scope::{Over, Scope, over};
use crate::diagnostic::{Diagnostic, closest, listed};
use crate::model::action::{Input, Signature, ValueType};
use crate::playbook::draft::{Step, Word};

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for (step, action, signature) in scope.calls() {
        let known: Vec<&str> = signature.inputs.keys().map(String::as_str).collect();
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
        for (name, input) in &signature.inputs {
            if is_missing(step, signature, name, input) {
                problems.push(missing(scope, action, name, input));
            }
        }
    }
}

fn is_missing(step: &Step, signature: &Signature, name: &str, input: &Input) -> bool {
    let bound = over(step) != Over::Nothing
        && signature.item_input().is_some_and(|(bound, _)| bound == name);
    input.required
        && input.default.is_none()
        && !bound
        && !step.misspelt
        && !step.with.iter().any(|entry| entry.key == name || meant(&entry.key, name, signature))
}

/// Whether an unknown parameter is this one, misspelt: it has its own problem.
fn meant(key: &str, name: &str, signature: &Signature) -> bool {
    let known = signature.inputs.keys().map(String::as_str);
    !signature.inputs.contains_key(key) && closest(key, known) == Some(name)
}

fn missing(scope: &Scope<'_>, action: &Word, name: &str, input: &Input) -> Diagnostic {
    let message = format!("`{}` needs `{name}`", action.text);
    let label = format!("`{name}` ({}) is not given", input.kind.name());
    let help = match input.kind {
        ValueType::Account => "add `for_each: subject.accounts`, which binds it".to_owned(),
        ValueType::Factor => "add `for_each: incident.hostile_factors`, which binds it".to_owned(),
        _ => format!("add `{name}` under `with`"),
    };
    scope.draft.error("P012", action.at(), message, label).help(help)
}
