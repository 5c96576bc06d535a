//! P037: a called playbook must be there. P039: no playbook calls itself, and calls are not too deep.
//! P042: what is called must be sound.

use super::scope::Scope;
use crate::diagnostic::Diagnostic;
use crate::playbook::draft::Word;
use crate::playbook::library::{CALLS_MAX, Call};

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for step in &scope.draft.steps {
        if let (Some(name), Some(call)) = (&step.call, scope.called.of(step)) {
            problems.extend(bad(scope, name, call));
        }
    }
}

fn bad(scope: &Scope<'_>, name: &Word, call: &Call) -> Option<Diagnostic> {
    let called = &name.text;
    let error = |code, message: String, label| scope.draft.error(code, name.at(), message, label);
    Some(match call {
        Call::Found(_) => return None,
        Call::Unknown => {
            error("P037", format!("there is no playbook `{called}`"), "no such playbook")
                .suggest(called, scope.called.known.iter().map(String::as_str))
        }
        Call::Circle(names) if names.len() <= 2 => {
            error("P039", format!("`{called}` calls itself"), "this very playbook")
        }
        Call::Circle(names) => {
            let way = names.join("` calls `");
            error("P039", format!("`{way}`, and so without end"), "calls in a circle")
        }
        Call::TooDeep => {
            let message = format!("calls may be {CALLS_MAX} deep at most");
            error("P039", message, "one too many")
        }
        Call::TooLarge => {
            error("P039", "the calls bring in too many steps".to_owned(), "too large")
        }
        Call::Unsound(found) => match found.iter().find(|problem| problem.code == "P039") {
            Some(problem) => error("P039", problem.message.clone(), "leads there"),
            None => unsound(scope, name, found),
        },
    })
}

fn unsound(scope: &Scope<'_>, name: &Word, found: &[Diagnostic]) -> Diagnostic {
    let message = format!("the playbook `{}` does not check clean", name.text);
    let problem = scope.draft.error("P042", name.at(), message, "cannot be called");
    match found.first() {
        Some(first) => {
            let path = &first.source.path;
            problem.help(format!("{path} says: {}", first.message))
        }
        None => problem,
    }
}
