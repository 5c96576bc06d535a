//! P044: an incident is watched for a month at most.

use super::scope::Scope;
use crate::diagnostic::Diagnostic;
use crate::model::time::Span;

/// Whatever happens to somebody who is watched belongs to the same case: two attacks in one season would be one.
const WATCH_MAX: Span = Span::hours(30 * 24);

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    let Some(watch) = scope.draft.watch.as_ref().filter(|w| w.value > WATCH_MAX) else { return };
    let message = "an incident may be watched for 30d at most";
    problems.push(scope.draft.error("P044", watch.at.clone(), message, "too long"));
}
