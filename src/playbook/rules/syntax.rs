//! P016: an expression must be well-formed. P018: `when` and `for_each` take it without braces.

use super::scope::Scope;
use crate::diagnostic::Diagnostic;

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for (node, error) in &scope.broken {
        let at = error
            .at
            .as_ref()
            .map_or_else(|| node.at.clone(), |at| node.part(&scope.draft.source, at));
        problems.push(scope.draft.error("P016", at, &error.message, "here"));
    }
    for expression in &scope.expressions {
        let whole = 0..expression.text.len();
        if let Some(key) = expression.key
            && (expression.text.contains("{{") || expression.text.contains("{%"))
        {
            let bare = expression.text.replace("{{", "").replace("}}", "");
            let message = format!("`{key}` takes an expression without braces");
            let at = scope.place(expression, &whole);
            let problem = scope.draft.error("P018", at, message, "has braces");
            problems.push(problem.help(format!("write `{key}: {}`", bare.trim())));
            continue;
        }
        if expression.text.trim().is_empty() {
            let at = scope.place(expression, &whole);
            problems.push(scope.draft.error("P016", at, "there is no expression", "empty"));
        } else if let Some(error) = &expression.error {
            let part = error.at.clone().filter(|at| at.end <= whole.end).unwrap_or(whole);
            let at = scope.place(expression, &part);
            let message = format!("not a well-formed expression: {}", error.message);
            problems.push(scope.draft.error("P016", at, message, "here"));
        }
    }
}
