//! P040: what a step of a case gives is there only if the case was taken, and branches do not wait for
//! one another. `after` and `conclusion` are always fine.

use super::scope::{Expression, Scope};
use crate::diagnostic::Diagnostic;
use crate::playbook::draft::{Named, Step};
use crate::template::Mention;

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for expression in &scope.expressions {
        for (_, mention) in expression.values().filter(|(_, m)| m.part(0) == Some("steps")) {
            problems.extend(elsewhere(scope, expression, mention));
        }
    }
}

fn elsewhere(
    scope: &Scope<'_>,
    expression: &Expression<'_>,
    mention: &Mention,
) -> Option<Diagnostic> {
    let id = mention.part(1)?;
    let Some(Named::Step(order, other)) = scope.draft.named(id) else { return None };
    if mention.part(2) == Some("conclusion") || order >= expression.order {
        return None;
    }
    let apart = other.within.iter().find(|within| !shares(scope, expression.step, within))?;
    let head = &scope.draft.blocks[apart.block].head;
    let block = head.name().unwrap_or_default();
    let (message, label) = if head.switch.is_some() {
        (format!("step `{id}` may not have run: it is in a case of `{block}`"), "not always there")
    } else {
        (format!("step `{id}` is in another branch of `{block}`"), "may not be there yet")
    };
    let at = scope.place(expression, &mention.at);
    let problem = scope.draft.error("P040", at, message, label);
    let problem = match &other.id {
        Some(word) => problem.note(word.at(), "is done here"),
        None => problem,
    };
    Some(problem.help(format!("ask for `steps.{id}.conclusion`, or put both into one branch")))
}

/// Whether a step may use what stands in that part of a block.
fn shares(scope: &Scope<'_>, step: &Step, within: &crate::playbook::draft::In) -> bool {
    let own = step.within.iter().find(|own| own.block == within.block);
    match own {
        Some(own) => own.branch == within.branch,
        // After a whole `parallel`, all of its branches have concluded.
        None => scope.draft.blocks[within.block].head.switch.is_none(),
    }
}
