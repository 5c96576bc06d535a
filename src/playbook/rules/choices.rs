//! P033: what an expression compares a word with must be one that the word can be. A misspelt stage
//! would make a containment step that never runs.

use super::scope::{Over, Scope, over};
use crate::diagnostic::Diagnostic;
use crate::model::alert::AlertKind;
use crate::model::subject::Authority;
use crate::playbook::draft::Step;
use crate::playbook::fields::Field;
use crate::template::{self, Mention};

const STAGES: &[&str] = &["noted", "suspected", "confirmed", "breached"];
const SEVERITIES: &[&str] = &["low", "medium", "high", "critical"];
const APPROVALS: &[&str] = &["none", "own", "hostile", "unknown"];
const PROOFS: &[&str] = &["self_proved", "authenticated_other", "relayed"];
const OUTCOMES: &[&str] = &["not_sent", "done", "unchanged", "refused", "throttled", "unknown"];
const CONCLUSIONS: &[&str] =
    &["succeeded", "skipped", "denied", "expired", "refused", "unsupported", "failed"];

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for expression in scope.expressions.iter().filter(|e| e.error.is_none()) {
        for compared in template::compared(expression.text) {
            let choices = of(expression.step, &compared.path);
            if choices.is_empty() || choices.contains(&compared.text.as_str()) {
                continue;
            }
            let path = compared.path.path();
            let message = format!("`{path}` is never `{}`", compared.text);
            let at = scope.place(expression, &compared.at);
            let problem = scope.draft.error("P033", at, message, "no such word");
            problems.push(problem.suggest(&compared.text, choices));
        }
    }
}

/// The words that a path can be; none where they are not known.
pub(super) fn of(step: &Step, path: &Mention) -> Vec<&'static str> {
    let parts: Vec<&str> = path.parts.iter().map(|(part, _)| part.as_str()).collect();
    match parts.as_slice() {
        ["incident" | "alert", "stage"] => STAGES.to_vec(),
        ["incident", "severity"] => SEVERITIES.to_vec(),
        ["incident", "approval"] => APPROVALS.to_vec(),
        ["alert", "kind"] => AlertKind::ALL.iter().map(|kind| kind.name()).collect(),
        ["report", "proof"] => PROOFS.to_vec(),
        ["steps", _, "outcome"] => OUTCOMES.to_vec(),
        ["steps", _, "conclusion"] => CONCLUSIONS.to_vec(),
        ["item", "authority"] if over(step) == Over::Items(Field::Account) => {
            Authority::ALL.iter().map(|authority| authority.name()).collect()
        }
        ["incident", "password_exposed"] | ["subject", "privileged" | "protected"] => {
            vec!["true", "false"]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::incident::{ApprovalSeen, Severity, Stage};

    #[test]
    fn the_words_are_those_of_the_model() {
        use {ApprovalSeen as A, Severity as V, Stage as S};

        assert_eq!(STAGES, [S::Noted, S::Suspected, S::Confirmed, S::Breached].map(S::name));
        assert_eq!(SEVERITIES, [V::Low, V::Medium, V::High, V::Critical].map(V::name));
        assert_eq!(APPROVALS, [A::None, A::Own, A::Hostile, A::Unknown].map(A::name));
    }
}
