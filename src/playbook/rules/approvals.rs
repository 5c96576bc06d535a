//! P030: a playbook's approval may be stricter than the doctrine, never looser. No question stands for ever.

use super::scope::Scope;
use crate::diagnostic::Diagnostic;
use crate::model::action::{Effect, Signature};
use crate::model::plan::OnTimeout;
use crate::model::time::Span;

/// The longest that a question may stand.
const TIMEOUT_MAX: Span = Span::hours(24);

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for step in &scope.draft.steps {
        let timeouts = [
            ("an approval", step.approval.as_ref().and_then(|a| a.timeout.as_ref())),
            ("a ratification", step.ratify.as_ref().and_then(|r| r.timeout.as_ref())),
        ];
        for (what, timeout) in timeouts {
            let Some(timeout) = timeout.filter(|t| t.value > TIMEOUT_MAX) else { continue };
            let message = format!("{what} may stand for 24h at most");
            problems.push(scope.draft.error("P030", timeout.at.clone(), message, "too long"));
        }
        let Some(approval) = &step.approval else { continue };
        let Some(silence) = &approval.on_timeout else { continue };
        if silence.value != OnTimeout::Approve {
            continue;
        }
        let (Some(action), Some(signature)) = (&step.action, scope.signature(step)) else {
            continue;
        };
        if locks_somebody_out(signature) {
            let message = format!("silence may not approve `{}`", action.text);
            let problem =
                scope.draft.error("P030", silence.at.clone(), message, "looser than allowed");
            problems.push(
                problem
                    .note(action.at(), "shuts a person out")
                    .help("write `on_timeout: deny` or `on_timeout: escalate`"),
            );
        }
    }
}

/// Block, reset, factor removal: containment that lasts. Revocation is over at once.
fn locks_somebody_out(signature: &Signature) -> bool {
    signature.effect == Effect::Contain && !signature.point_in_time
}
