//! P043: what people are to be asked about afterwards must be something that their no can undo.

use super::scope::Scope;
use crate::diagnostic::Diagnostic;
use crate::model::action::{Effect, Reversal};

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for (step, action, signature) in scope.calls() {
        let Some(ratify) = &step.ratify else { continue };
        if step.approval.is_some() {
            let message = format!("{} asks before and after", step.called());
            let problem = scope.draft.error("P043", ratify.at.clone(), message, "never asked");
            problems.push(
                problem
                    .note(action.at(), "waits for a yes: there is nothing left to ratify")
                    .help("remove `approval` or `ratify`"),
            );
            continue;
        }
        let why = match (signature.effect, signature.reversal) {
            (Effect::Contain, Reversal::Undo) => continue,
            (Effect::Contain, Reversal::Recover) => "is recovered by the help desk, not undone",
            (Effect::Contain, Reversal::None) => "leaves nothing to take back",
            (Effect::Restore, _) => "opens access, which people decide before",
            (Effect::Read | Effect::Record | Effect::Notify, _) => "keeps nobody out",
        };
        let message = format!("`{}` cannot be ratified", action.text);
        let problem = scope.draft.error("P043", ratify.at.clone(), message, "a no undoes nothing");
        let problem = problem.note(action.at(), why);
        problems.push(match signature.effect {
            Effect::Contain => problem.help("ask before, with `approval`, or remove `ratify`"),
            _ => problem.help("remove `ratify`"),
        });
    }
}
