//! P017: every name in an expression must exist: roots, their fields, filters, tests, functions.

use std::ops::Range;

use super::scope::{Expression, INPUTS, Over, Scope, follow, over};
use super::secrets;
use crate::diagnostic::Diagnostic;
use crate::playbook::fields::{self, Field};
use crate::template::{self, Mention, Role};

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for expression in &scope.expressions {
        for mention in &expression.mentions {
            problems.extend(match mention.role {
                Role::Name => value(scope, expression, mention),
                role => tool(scope, expression, mention, role),
            });
        }
    }
}

fn value(scope: &Scope<'_>, expression: &Expression<'_>, mention: &Mention) -> Option<Diagnostic> {
    let root = mention.part(0)?;
    let field = match root {
        // `outputs` sees to these.
        "steps" => return None,
        INPUTS if scope.draft.inputs_at.is_some() => return no_input(scope, expression, mention),
        "item" => match over(expression.step) {
            Over::Nothing => return Some(no_item(scope, expression, mention)),
            // `for_each` itself is what makes items.
            _ if expression.key == Some("for_each") => {
                return Some(no_item(scope, expression, mention));
            }
            Over::Items(item) => item,
            Over::NoList(_) | Over::Unknown => return None,
        },
        _ if secrets::is_secret(root) => return None,
        _ => match fields::root(root) {
            Some(field) => field,
            None => return Some(unknown_root(scope, expression, mention)),
        },
    };
    let (found, field) = follow(field, mention).err()?;
    Some(unknown_field(scope, expression, mention, found, field))
}

fn no_input(
    scope: &Scope<'_>,
    expression: &Expression<'_>,
    mention: &Mention,
) -> Option<Diagnostic> {
    let (name, part) = mention.parts.get(1)?;
    if scope.input(mention).is_some() {
        return None;
    }
    let at = scope.place(expression, part);
    let message = format!("this playbook has no input `{name}`");
    let known = scope.draft.inputs.iter().map(|input| input.name.text.as_str());
    Some(scope.draft.error("P017", at, message, "unknown").suggest(name, known))
}

fn no_item(scope: &Scope<'_>, expression: &Expression<'_>, mention: &Mention) -> Diagnostic {
    let message = "`item` is only there in a step with `for_each`";
    let at = scope.place(expression, &mention.parts[0].1);
    scope.draft.error("P017", at, message, "no `for_each` makes one")
}

fn unknown_root(scope: &Scope<'_>, expression: &Expression<'_>, mention: &Mention) -> Diagnostic {
    let (name, part) = &mention.parts[0];
    let at = scope.place(expression, part);
    let problem = scope.draft.error("P017", at, format!("unknown name `{name}`"), "unknown");
    let mut known: Vec<&str> = fields::ROOTS.iter().map(|(root, _)| *root).collect();
    known.push("steps");
    if scope.draft.inputs_at.is_some() {
        known.push(INPUTS);
    }
    if expression.step.for_each.is_some() {
        known.push("item");
    }
    let bare = scope.draft.named(name).is_some();
    if bare {
        return problem.help(format!("a step's result is `steps.{name}`"));
    }
    // A word without quotes: `stage == confirmed`.
    if let Some((root, _)) = fields::ROOTS.iter().find(|(_, field)| field.follow([&**name]).is_ok())
    {
        return problem.help(format!("did you mean `{root}.{name}`?"));
    }
    problem.suggest(name, known)
}

fn unknown_field(
    scope: &Scope<'_>,
    expression: &Expression<'_>,
    mention: &Mention,
    found: usize,
    field: Field,
) -> Diagnostic {
    let (name, part) = &mention.parts[found + 1];
    let owner: Vec<&str> = mention.parts[..=found].iter().map(|(part, _)| part.as_str()).collect();
    let owner = owner.join(".");
    let at: Range<usize> = scope.place(expression, part);
    let message = format!("`{owner}` has no `{name}`");
    let problem = scope.draft.error("P017", at, message, "unknown");
    match field {
        Field::List(_) => {
            problem.help(format!("`{owner}` is a list: `for_each: {owner}` gives each as `item`"))
        }
        _ => match field.fields() {
            Some(fields) => problem.suggest(name, fields.iter().map(|(name, _)| *name)),
            None => problem.help(format!("`{owner}` is a {}", field.value_type().name())),
        },
    }
}

fn tool(
    scope: &Scope<'_>,
    expression: &Expression<'_>,
    mention: &Mention,
    role: Role,
) -> Option<Diagnostic> {
    let (name, part) = mention.parts.first()?;
    let known = template::known(role);
    if known.contains(&name.as_str()) {
        return None;
    }
    let what = match role {
        Role::Filter => "filter",
        Role::Test => "test",
        Role::Function | Role::Name => "function",
    };
    let at = scope.place(expression, part);
    let message = format!("unknown {what} `{name}`");
    let problem = scope.draft.error("P017", at, message, format!("no such {what}"));
    Some(problem.suggest(name, known.iter().copied()))
}
