//! P028: what is to be undone needs an undo action. P029: only what can be undone can expire.

use super::scope::Scope;
use crate::diagnostic::Diagnostic;
use crate::model::action::Reversal;

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for (step, action, signature) in scope.calls() {
        let name = &action.text;
        if signature.reversal == Reversal::Undo && !signature.has_undo {
            let at = step.expires.as_ref().map_or_else(|| action.at(), |span| span.at.clone());
            let message = format!("`{name}` can be undone, but no action undoes it");
            let problem = scope.draft.error("P028", at, message, "could never be taken back");
            problems.push(problem.help("name an `undo` in the connector's action"));
            continue;
        }
        let Some(expires) = &step.expires else { continue };
        let why = match signature.reversal {
            Reversal::Undo => continue,
            Reversal::Recover => "is recovered by the help desk, not undone",
            Reversal::None => "leaves nothing to take back",
        };
        let message = format!("`{name}` cannot expire");
        let problem = scope.draft.error("P029", expires.at.clone(), message, "means nothing here");
        problems.push(problem.note(action.at(), why).help("remove `expires`"));
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::{Colour, render};
    use crate::playbook::{check, fixture};

    /// No shipped connector has such a capability, so the specification cannot show it.
    #[test]
    fn a_capability_that_nothing_undoes_is_refused() {
        let text = "playbook: example\ntriggers: [manual]\nsteps:\n  - id: mark\n    use: identity.mark_compromised\n    for_each: subject.accounts\n    expires: 24h\n";

        let problems = check("playbook.yaml", text, &fixture::signatures()).unwrap_err();

        let shown = render(&problems, Colour::Plain);
        assert!(
            shown.contains(
                "error[P028]: `identity.mark_compromised` can be undone, but no action undoes it"
            ),
            "{shown}"
        );
        assert!(shown.contains("7 |     expires: 24h"), "{shown}");
    }
}
