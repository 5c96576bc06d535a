//! P020: `alert` and `report` are there only when such a trigger started the run.

use super::scope::{Asked, Expression, Scope};
use crate::diagnostic::Diagnostic;
use crate::model::plan::Trigger;
use crate::playbook::draft::Step;

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    // One that is only called does not know what started its caller.
    let only_called = scope.draft.triggers.is_empty() && scope.draft.inputs_at.is_some();
    if scope.draft.triggers_broken || (scope.draft.triggers.is_empty() && !only_called) {
        return;
    }
    for expression in &scope.expressions {
        for (n, mention) in expression.values() {
            let root = mention.part(0).unwrap_or_default();
            let bare_question = mention.parts.len() == 1 && expression.only_asked(n).is_some();
            if !matches!(root, "alert" | "report") || bare_question {
                continue;
            }
            let at = scope.place(expression, &mention.parts[0].1);
            if !only_called
                && !scope.draft.triggers.iter().any(|trigger| gives(trigger.value, root))
            {
                let message = format!("`{root}` is never there");
                let article = if root == "alert" { "an alert" } else { "a report" };
                let label = format!("no trigger of this playbook is {article}");
                problems.push(scope.draft.error("P020", at, message, label));
            } else if scope.draft.triggers.len() != 1 && !guarded(scope, expression, root) {
                let why = if only_called { "is only called" } else { "has several triggers" };
                let message = format!("`{root}` may not be there: this playbook {why}");
                let problem = scope.draft.error("P020", at, message, "not always there");
                let help = format!("add `{root} is defined` to the step's `when`");
                problems.push(problem.help(help));
            }
        }
    }
}

fn gives(trigger: Trigger, root: &str) -> bool {
    match trigger {
        Trigger::Alert(_) => root == "alert",
        Trigger::Report => root == "report",
        Trigger::Manual => false,
    }
}

fn is_around(scope: &Scope<'_>, head: &Step, step: &Step) -> bool {
    step.within
        .iter()
        .any(|within| std::ptr::eq(&raw const scope.draft.blocks[within.block].head, head))
}

/// Whether the same expression, the step's `when` or that of a block around it literally asks `ROOT is defined`.
fn guarded(scope: &Scope<'_>, used_in: &Expression<'_>, root: &str) -> bool {
    scope
        .expressions
        .iter()
        .filter(|e| e.key == Some("when") || std::ptr::eq(*e, used_in))
        .filter(|e| std::ptr::eq(e.step, used_in.step) || is_around(scope, e.step, used_in.step))
        .any(|e| {
            e.values().any(|(n, mention)| {
                mention.parts.len() == 1
                    && mention.part(0) == Some(root)
                    && e.only_asked(n) == Some(Asked::Defined)
            })
        })
}
