//! P023: `for_each` goes over a list, and its items are what the action takes.

use super::scope::{Over, Scope, over};
use crate::diagnostic::Diagnostic;
use crate::model::action::ValueType;

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for step in &scope.draft.steps {
        let Some(word) = &step.for_each else { continue };
        match over(step) {
            Over::NoList(field) => {
                let message =
                    format!("`for_each` needs a list, and `{}` is none", word.text.trim());
                let label = format!("this is of type {}", field.value_type().name());
                let problem = scope.draft.error("P023", word.at(), message, label);
                problems.push(
                    problem.help("the lists are `subject.accounts` and `incident.hostile_factors`"),
                );
            }
            Over::Items(item) => {
                let given = item.value_type();
                let Some(signature) = scope.signature(step) else { continue };
                let Some((name, wanted)) = signature.item_input() else { continue };
                let bound = !step.with.iter().any(|entry| entry.key == name);
                if bound && wanted != given {
                    let list = match wanted {
                        ValueType::Factor => "incident.hostile_factors",
                        _ => "subject.accounts",
                    };
                    let message = format!(
                        "each item is of type {}, and `{name}` must be of type {}",
                        given.name(),
                        wanted.name()
                    );
                    let mut problem =
                        scope.draft.error("P023", word.at(), message, "gives the wrong items");
                    if let Some(action) = &step.action {
                        problem = problem.note(action.at(), format!("takes `{name}`"));
                    }
                    problems.push(problem.help(format!("write `for_each: {list}`")));
                }
            }
            Over::Nothing | Over::Unknown => {}
        }
    }
}
