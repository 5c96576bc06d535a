//! P038: what a playbook declares under `inputs` must make sense. P007: an input's name is `snake_case`.

use super::ids::spelled;
use super::scope::Scope;
use super::types::literal_fits;
use crate::diagnostic::Diagnostic;
use crate::model::action::ValueType;
use crate::playbook::document::Yaml;
use crate::playbook::draft::InputDraft;

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for input in &scope.draft.inputs {
        problems.extend(name(scope, input));
        problems.extend(default(scope, input));
        problems.extend(never_given(scope, input));
    }
}

fn name(scope: &Scope<'_>, input: &InputDraft) -> Option<Diagnostic> {
    let word = &input.name;
    (!spelled(&word.text, '_')).then(|| {
        let message = format!("`{}` is no name for an input", word.text);
        let problem = scope.draft.error("P007", word.at(), message, "must be snake_case");
        problem.help("write it as `ticket_queue`, so that expressions can name it")
    })
}

fn default(scope: &Scope<'_>, input: &InputDraft) -> Option<Diagnostic> {
    let (node, kind) = (input.default.as_ref()?, input.input.kind);
    let error = |message: String, label: String| {
        Some(scope.draft.error("P038", node.at.clone(), message, label))
    };
    let name = &input.name.text;
    match &node.value {
        Yaml::Broken => None,
        Yaml::Text(text) if text.contains("{{") => {
            let problem =
                error(format!("the default of `{name}` is a plain value"), "has braces".to_owned());
            problem.map(|problem| problem.help("let the caller give what depends on the incident"))
        }
        Yaml::Text(text)
            if kind == ValueType::Time && chrono::DateTime::parse_from_rfc3339(text).is_ok() =>
        {
            None
        }
        Yaml::Text(_) if matches!(kind, ValueType::String | ValueType::Any) => None,
        value if literal_fits(kind, value) => None,
        _ => error(
            format!("the default of `{name}` is not of type {}", kind.name()),
            format!("this is {}", node.kind()),
        ),
    }
}

/// Evidence gives nothing: a playbook that it starts must do without.
fn never_given(scope: &Scope<'_>, input: &InputDraft) -> Option<Diagnostic> {
    let trigger = scope.draft.triggers.first().filter(|_| input.input.required)?;
    let message =
        format!("input `{}` is required, and this playbook has triggers", input.name.text);
    let problem = scope.draft.error("P038", input.name.at(), message, "nobody would give it");
    let problem = problem.note(trigger.at.clone(), "starts it without a call");
    Some(problem.help("give it a `default`, or remove `triggers`"))
}
