//! P022: `after` names earlier steps and blocks. P041: nothing waits for `finally`.

use super::scope::Scope;
use crate::diagnostic::Diagnostic;
use crate::playbook::draft::{Named, Step, Word};

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for (order, line) in scope.draft.lines() {
        problems.extend(line.after.iter().filter_map(|word| bad(scope, (order, line), word)));
    }
}

fn bad(scope: &Scope<'_>, (order, line): (usize, &Step), word: &Word) -> Option<Diagnostic> {
    let id = &word.text;
    let error = |message: String, label| scope.draft.error("P022", word.at(), message, label);
    let Some(named) = scope.draft.named(id) else {
        let earlier = scope.draft.lines();
        let earlier = earlier.iter().filter(|(_, l)| l.at.start < line.at.start);
        let problem = error(format!("there is no step `{id}`"), "no such step");
        return Some(problem.suggest(id, earlier.filter_map(|(_, line)| line.name())));
    };
    let (other, what) = match named {
        Named::Step(_, step) => (step, "step"),
        Named::Block(block) => (&block.head, "block"),
    };
    if std::ptr::eq(other, line) {
        return Some(error(format!("{what} `{id}` waits for itself"), "this very step"));
    }
    if let Some(problem) = last(scope, other, line, word) {
        return Some(problem);
    }
    let problem = match named {
        Named::Block(block) if line.within.iter().any(|w| scope.is(block, w.block)) => {
            error(format!("this is a part of block `{id}`"), "would wait for itself")
        }
        Named::Block(block) if block.steps.end <= order => return None,
        Named::Step(step, _) if step < order => return None,
        _ => error(format!("{what} `{id}` comes later"), "cannot be waited for")
            .help("steps start in written order: move this one below it"),
    };
    Some(match &other.id {
        Some(word) => problem.note(word.at(), "is done here"),
        None => problem,
    })
}

/// A line that waits for one of `finally`, which waits for everything.
pub(super) fn last(
    scope: &Scope<'_>,
    other: &Step,
    line: &Step,
    word: &Word,
) -> Option<Diagnostic> {
    (other.finally && !line.finally).then(|| in_finally(scope, other, word.at()))
}

pub(super) fn in_finally(
    scope: &Scope<'_>,
    other: &Step,
    at: std::ops::Range<usize>,
) -> Diagnostic {
    let id = other.name().unwrap_or_default();
    let message =
        format!("step `{id}` is in `finally`, which begins when all others have concluded");
    let problem = scope.draft.error("P041", at, message, "only `finally` may name it");
    match &other.id {
        Some(word) => problem.note(word.at(), "is done last"),
        None => problem,
    }
}
