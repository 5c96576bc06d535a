//! P013: literals and bare paths must be of the parameter's type. P015: texts must not be too long.
//! Other expressions are checked when they have a value, before the intent.

use super::outputs;
use super::scope::{INPUTS, Over, Scope, follow, over};
use crate::diagnostic::Diagnostic;
use crate::model::action::{Input, ValueType};
use crate::playbook::document::{Node, Yaml};
use crate::playbook::draft::{Step, Word};
use crate::playbook::fields;
use crate::template::{self, Piece, Role};

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for (step, action, inputs) in scope.takers() {
        for entry in &step.with {
            if let Some(input) = inputs.get(&entry.key) {
                let name = entry.key.as_str();
                problems.extend(
                    wrong_type(scope, step, (action, name, input), &entry.value)
                        .or_else(|| too_long(scope, name, input, &entry.value)),
                );
            }
        }
    }
}

fn wrong_type(
    scope: &Scope<'_>,
    step: &Step,
    (action, name, input): (&Word, &str, &Input),
    node: &Node,
) -> Option<Diagnostic> {
    let label = match &node.value {
        Yaml::Broken => return None,
        Yaml::Text(text) => match template::sole_expression(text) {
            Some(expression) => {
                let actual = path_type(scope, step, expression)?;
                if fits(input.kind, actual) {
                    return None;
                }
                format!("this is {}", article(actual.name()))
            }
            None if text_fits(input.kind, text) => return None,
            None => "this is text".to_owned(),
        },
        _ if literal_fits(input.kind, &node.value) => return None,
        _ => format!("this is {}", node.kind()),
    };
    let expected = article(input.kind.name());
    let message = format!("`{name}` of `{}` must be {expected}", action.text);
    let problem = scope.draft.error("P013", node.at.clone(), message, label);
    let scalar = matches!(node.value, Yaml::Integer(_) | Yaml::Bool(_) | Yaml::Number(_));
    Some(match input.kind {
        ValueType::String if scalar => problem.help("put it in quotes"),
        ValueType::Account => problem.help("name an account: `{{ item }}` under `for_each`"),
        ValueType::Time => problem.help("write it as `2026-03-01T10:00:00Z`"),
        _ => problem,
    })
}

/// The type of a bare path; nothing for what only the run will show.
fn path_type(scope: &Scope<'_>, step: &Step, expression: &str) -> Option<ValueType> {
    let text = expression.trim();
    let mentions = template::names(text);
    let [mention] = mentions.as_slice() else { return None };
    if mention.role != Role::Name || mention.at != (0..text.len()) {
        return None;
    }
    let root = match mention.part(0)? {
        "item" => match over(step) {
            Over::Items(item) => item,
            _ => return None,
        },
        "steps" => return outputs::path_type(scope, mention),
        INPUTS => return scope.input(mention).filter(|_| mention.parts.len() == 2).map(|i| i.kind),
        name => fields::root(name)?,
    };
    follow(root, mention).ok().map(fields::Field::value_type)
}

fn fits(expected: ValueType, actual: ValueType) -> bool {
    use ValueType as T;
    expected == actual
        || matches!(
            (expected, actual),
            (T::Any, _)
                | (_, T::Any)
                | (T::String, T::Time)
                | (T::Time, T::String)
                | (T::Object, T::Account | T::Factor)
        )
}

/// Text with or without templates in it, but not a template alone.
fn text_fits(expected: ValueType, text: &str) -> bool {
    let literal = !text.contains("{{");
    match expected {
        ValueType::String | ValueType::Any => true,
        ValueType::Time => !literal || chrono::DateTime::parse_from_rfc3339(text).is_ok(),
        _ => false,
    }
}

pub(super) fn literal_fits(expected: ValueType, value: &Yaml) -> bool {
    matches!(
        (expected, value),
        (ValueType::Any, _)
            | (ValueType::Integer, Yaml::Integer(_))
            | (ValueType::Boolean, Yaml::Bool(_))
            | (ValueType::List, Yaml::List(_))
            | (ValueType::Object, Yaml::Map(_))
    )
}

/// Counts what is literal: the least that it can come to.
fn too_long(scope: &Scope<'_>, name: &str, input: &Input, node: &Node) -> Option<Diagnostic> {
    let (Yaml::Text(text), Some(most)) = (&node.value, input.max_length) else { return None };
    let count: usize = template::pieces(text)
        .ok()?
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.chars().count(),
            Piece::Expression(..) => 0,
        })
        .sum();
    (count > most).then(|| {
        let message = format!("`{name}` may have {most} characters at most");
        scope.draft.error("P015", node.at.clone(), message, format!("this has {count}"))
    })
}

fn article(noun: &str) -> String {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {noun}", if vowel { "an" } else { "a" })
}
