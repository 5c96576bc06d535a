//! P007: names have one spelling. P008: a step's id is its own. P006: techniques look like T1621.

use super::scope::Scope;
use crate::diagnostic::Diagnostic;
use crate::playbook::draft::{Step, Word};

const NAME_MAX: usize = 64;

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    let draft = scope.draft;
    if let Some(name) = draft.name.as_ref().filter(|name| !spelled(&name.text, '-')) {
        let message = format!("`{}` is no name for a playbook", name.text);
        let problem = draft.error("P007", name.at(), message, "must be kebab-case");
        problems.push(problem.help("write it as `contain-push-bombing`"));
    }
    for word in draft.attack.iter().filter(|word| !technique(&word.text)) {
        let message = format!("`{}` is no ATT&CK technique", word.text);
        let problem = draft.error("P006", word.at(), message, "not a technique");
        problems.push(problem.help("write it as `T1621` or `T1556.006`"));
    }
    let lines: Vec<&Step> = draft.lines().into_iter().map(|(_, line)| line).collect();
    for (n, line) in lines.iter().enumerate() {
        if let Some(id) = &line.id {
            problems.extend(bad(scope, id).or_else(|| repeated(scope, &lines[..n], id)));
        }
    }
    for block in draft.blocks.iter().filter(|block| block.head.switch.is_none()) {
        let unfit = block.branches.iter().filter(|branch| !spelled(&branch.name, '_'));
        problems.extend(unfit.map(|branch| {
            let message = format!("`{}` is no name for a branch", branch.name);
            let problem = draft.error("P007", branch.at.clone(), message, "must be snake_case");
            problem.help("write it as `tell_people`")
        }));
    }
}

fn bad(scope: &Scope<'_>, id: &Word) -> Option<Diagnostic> {
    (!spelled(&id.text, '_')).then(|| {
        let message = format!("`{}` is no id for a step", id.text);
        scope
            .draft
            .error("P007", id.at(), message, "must be snake_case")
            .help("write it as `revoke_again`, so that expressions can name it")
    })
}

fn repeated(scope: &Scope<'_>, earlier: &[&Step], id: &Word) -> Option<Diagnostic> {
    let first = earlier.iter().find_map(|step| step.id.as_ref().filter(|o| o.text == id.text))?;
    let message = format!("two steps have the id `{}`", id.text);
    Some(scope.draft.error("P008", id.at(), message, "used again").note(first.at(), "used here"))
}

/// Small letters and digits in words joined by `joint`, beginning with a letter.
pub(crate) fn spelled(text: &str, joint: char) -> bool {
    text.len() <= NAME_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.split(joint).all(|word| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
}

fn technique(text: &str) -> bool {
    let digits = |part: &str, n| part.len() == n && part.chars().all(|c| c.is_ascii_digit());
    text.strip_prefix('T').is_some_and(|rest| match rest.split_once('.') {
        None => digits(rest, 4),
        Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
    })
}
