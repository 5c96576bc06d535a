//! P036: every value of a `switch` has a case, and every case can be taken.

use super::choices;
use super::scope::{Expression, Scope};
use crate::diagnostic::{Diagnostic, listed};
use crate::playbook::draft::Block;
use crate::template;

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for block in &scope.draft.blocks {
        let head = &block.head;
        let on = scope
            .expressions
            .iter()
            .find(|e| e.key == Some("switch") && std::ptr::eq(e.step, head));
        let Some(on) = on.filter(|e| e.error.is_none() && !e.text.trim().is_empty()) else {
            continue;
        };
        if on.values().next().is_none() && on.mentions.is_empty() {
            let at = scope.place(on, &(0..on.text.len()));
            let message = "this `switch` always takes the same case";
            let problem = scope.draft.error("P036", at, message, "never changes");
            problems.push(problem.help("write those steps without `switch`"));
            continue;
        }
        let choices = choices_of(on);
        if choices.is_empty() {
            problems.extend(uncovered(scope, block, &[]));
            continue;
        }
        for case in block.branches.iter().filter(|c| !choices.contains(&c.name.as_str())) {
            let message = format!("`{}` is never `{}`", on.text.trim(), case.name);
            let problem = scope.draft.error("P036", case.at.clone(), message, "is never taken");
            problems.push(problem.suggest(&case.name, choices.iter().copied()));
        }
        let given = |choice: &&str| block.branches.iter().any(|case| case.name == **choice);
        let missing: Vec<&str> = choices.into_iter().filter(|choice| !given(choice)).collect();
        match (&block.default, missing.is_empty()) {
            (Some(at), true) => {
                let message = "every value has a case, so that `default` is never taken";
                let problem = scope.draft.error("P036", at.clone(), message, "is never taken");
                problems.push(problem.help("remove it"));
            }
            (None, false) => problems.extend(uncovered(scope, block, &missing)),
            _ => {}
        }
    }
}

/// The words that an expression can come to; none where they are not known.
fn choices_of(on: &Expression<'_>) -> Vec<&'static str> {
    let text = on.text.trim();
    let [mention] = on.mentions.as_slice() else { return Vec::new() };
    let whole = mention.role == template::Role::Name && mention.at.len() == text.len();
    if whole { choices::of(on.step, mention) } else { Vec::new() }
}

fn uncovered(scope: &Scope<'_>, block: &Block, missing: &[&str]) -> Option<Diagnostic> {
    if block.default.is_some() || block.branches.is_empty() {
        return None;
    }
    let at = block.head.does.first().map_or_else(|| block.head.at.clone(), |does| does.at.clone());
    let message = if missing.is_empty() {
        "this `switch` does not say what to do with other values".to_owned()
    } else {
        format!("this `switch` has no case for {}", listed(missing))
    };
    let problem = scope.draft.error("P036", at, message, "no `default`");
    Some(problem.help("add `default:` with steps, or `default: []` for nothing"))
}
