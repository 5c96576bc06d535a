//! P021: a playbook names no secret. Credentials belong to connections and are resolved at use.

use super::scope::Scope;
use crate::diagnostic::Diagnostic;
use crate::playbook::document::Yaml;

const ROOTS: &[&str] = &["secret", "secrets", "credential", "credentials", "env", "vault"];

/// References as connections write them.
const REFERENCES: &[&str] = &["credential:", "env:", "vault:", "file:"];

pub(super) fn is_secret(root: &str) -> bool {
    ROOTS.contains(&root)
}

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    const HELP: &str = "give it to the connection, which resolves it when it calls";
    for expression in &scope.expressions {
        for (_, mention) in expression.values().filter(|(_, m)| m.part(0).is_some_and(is_secret)) {
            let at = scope.place(expression, &mention.at);
            let message =
                format!("`{}` is a secret, and a playbook may not see one", mention.path());
            problems.push(scope.draft.error("P021", at, message, "outside its scope").help(HELP));
        }
    }
    for step in &scope.draft.steps {
        for node in step.templates() {
            let Yaml::Text(text) = &node.value else { continue };
            let reference = REFERENCES.iter().any(|kind| {
                text.strip_prefix(kind)
                    .is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
            });
            if reference {
                let message = "a reference to a secret means nothing in a playbook";
                let at = node.at.clone();
                problems
                    .push(scope.draft.error("P021", at, message, "outside its scope").help(HELP));
            }
        }
    }
}
