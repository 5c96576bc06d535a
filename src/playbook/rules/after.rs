//! P022: `after` names earlier steps.

use super::scope::Scope;
use crate::diagnostic::Diagnostic;
use crate::playbook::draft::{Step, Word};

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for (order, step) in scope.draft.steps.iter().enumerate() {
        problems.extend(step.after.iter().filter_map(|word| bad(scope, order, word)));
    }
}

fn bad(scope: &Scope<'_>, order: usize, word: &Word) -> Option<Diagnostic> {
    let id = &word.text;
    let error = |message: String, label| scope.draft.error("P022", word.at(), message, label);
    let Some((other, step)) = scope.draft.step(id) else {
        let earlier = scope.draft.steps[..order].iter().filter_map(Step::name);
        let problem = error(format!("there is no step `{id}`"), "no such step");
        return Some(problem.suggest(id, earlier));
    };
    if other < order {
        return None;
    }
    if other == order {
        return Some(error(format!("step `{id}` waits for itself"), "this very step"));
    }
    let problem = error(format!("step `{id}` comes later"), "cannot be waited for");
    let problem = problem.help("steps start in written order: move this one below it");
    Some(match &step.id {
        Some(word) => problem.note(word.at(), "is done here"),
        None => problem,
    })
}
