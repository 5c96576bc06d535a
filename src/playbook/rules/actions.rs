//! P010: what a step uses must exist.

use super::scope::Scope;
use crate::diagnostic::Diagnostic;

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for step in &scope.draft.steps {
        let Some(action) = &step.action else { continue };
        if scope.signatures.contains_key(&action.text) {
            continue;
        }
        let what = if action.text.contains('/') { "action" } else { "capability" };
        let message = format!("unknown {what} `{}`", action.text);
        let problem = scope.draft.error("P010", action.at(), message, format!("no such {what}"));
        problems.push(problem.suggest(&action.text, scope.signatures.keys().map(String::as_str)));
    }
}
