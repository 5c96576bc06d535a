//! P019: `steps.X` must be an earlier step. P014: it must have the output that is asked of it.

use super::after::in_finally;
use super::scope::{Expression, Scope};
use crate::diagnostic::{Diagnostic, listed};
use crate::model::action::{Signature, ValueType};
use crate::playbook::draft::{Block, Named, Step};
use crate::playbook::fields;
use crate::template::Mention;

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    for expression in &scope.expressions {
        for (_, mention) in expression.values().filter(|(_, m)| m.part(0) == Some("steps")) {
            problems.extend(
                bad_step(scope, expression, mention)
                    .or_else(|| bad_output(scope, expression, mention)),
            );
        }
    }
}

fn bad_step(
    scope: &Scope<'_>,
    expression: &Expression<'_>,
    mention: &Mention,
) -> Option<Diagnostic> {
    let Some((id, part)) = mention.parts.get(1) else {
        let at = scope.place(expression, &mention.at);
        let problem = scope.draft.error("P019", at, "`steps` needs a step's id", "which step?");
        return Some(problem.help("write `steps.ID.output.NAME`"));
    };
    let at = scope.place(expression, part);
    let Some(named) = scope.draft.named(id) else {
        let message = format!("there is no step `{id}`");
        let problem = scope.draft.error("P019", at, message, "no such step");
        let lines = scope.draft.lines();
        let earlier = lines.iter().filter(|(_, l)| l.at.start < expression.step.at.start);
        return Some(problem.suggest(id, earlier.filter_map(|(_, line)| line.name())));
    };
    let (other, done) = match named {
        Named::Step(order, step) => (step, order < expression.order),
        Named::Block(block) => (&block.head, block.steps.end <= expression.order),
    };
    let own = std::ptr::eq(other, expression.step);
    if other.finally && !expression.step.finally {
        return Some(in_finally(scope, other, at));
    }
    let around = |block: &Block| expression.step.within.iter().any(|w| scope.is(block, w.block));
    let (message, label) = match named {
        _ if own => (format!("step `{id}` uses its own result"), "this very step"),
        Named::Block(block) if around(block) => {
            (format!("this is a part of block `{id}`"), "has not concluded yet")
        }
        _ if done => return None,
        _ => (format!("step `{id}` comes later"), "has not run yet"),
    };
    let problem = scope.draft.error("P019", at, message, label);
    Some(match (&other.id, own) {
        (Some(word), false) => problem.note(word.at(), "is done here"),
        _ => problem,
    })
}

/// A block has a conclusion, and nothing else.
fn bad_part(
    scope: &Scope<'_>,
    expression: &Expression<'_>,
    mention: &Mention,
    id: &str,
) -> Option<Diagnostic> {
    let (name, range) = mention.parts.get(2).filter(|(name, _)| name != "conclusion")?;
    let message = format!("block `{id}` has no `{name}`");
    let at = scope.place(expression, range);
    let problem = scope.draft.error("P014", at, message, "a block only concludes");
    Some(problem.help(format!("use `steps.{id}.conclusion`, or name one of its steps")))
}

fn bad_output(
    scope: &Scope<'_>,
    expression: &Expression<'_>,
    mention: &Mention,
) -> Option<Diagnostic> {
    let (id, part) = (mention.part(1)?, mention.parts.get(2)?);
    let step = match scope.draft.named(id)? {
        Named::Step(_, step) if step.call.is_none() => step,
        _ => return bad_part(scope, expression, mention, id),
    };
    let signature = scope.signature(step);
    // An unknown action has its own problem; nothing can be said of what it returns.
    if step.action.is_some() && signature.is_none() {
        return None;
    }
    let known: Vec<&str> =
        signature.map(|s| s.outputs.keys().map(String::as_str).collect()).unwrap_or_default();
    match (part.0.as_str(), mention.parts.get(3)) {
        ("outcome" | "conclusion" | "output", None) => None,
        ("output", Some((name, _))) if step.for_each.is_some() => {
            let at = scope.place(expression, &mention.parts[3].1);
            let message = format!("the output of step `{id}` is a list: one `{name}` per item");
            let problem = scope.draft.error("P014", at, message, "a list has no such output");
            Some(problem.help(format!("write `steps.{id}.output | map(attribute='{name}')`")))
        }
        ("output", Some((name, _))) if known.contains(&name.as_str()) => None,
        ("output", Some(wrong)) => Some(no_output(scope, expression, (id, step), wrong, &known)),
        ("outcome" | "conclusion", Some((name, range))) => {
            let at = scope.place(expression, range);
            let message = format!("`steps.{id}.{}` has no `{name}`", part.0);
            Some(scope.draft.error("P014", at, message, "it is a word"))
        }
        _ => Some(no_output(scope, expression, (id, step), part, &known)),
    }
}

fn no_output(
    scope: &Scope<'_>,
    expression: &Expression<'_>,
    (id, step): (&str, &Step),
    (name, range): &(String, std::ops::Range<usize>),
    known: &[&str],
) -> Diagnostic {
    let at = scope.place(expression, range);
    let message = format!("step `{id}` has no output `{name}`");
    let mut problem = scope.draft.error("P014", at, message, "no such output");
    if let Some(action) = &step.action {
        problem = problem.note(action.at(), format!("returns {}", listed(known)));
    }
    let near = crate::diagnostic::closest(name, known.iter().copied());
    let word = crate::diagnostic::closest(name, fields::STEP.iter().copied());
    match (known.contains(&name.as_str()), near.or_else(|| known.first().copied()), word) {
        (true, ..) => problem.help(format!("use `steps.{id}.output.{name}`")),
        (false, _, Some(word)) => problem.help(format!("use `steps.{id}.{word}`")),
        (false, Some(near), None) => problem.help(format!("use `steps.{id}.output.{near}`")),
        (false, None, None) => problem.help(format!("use `steps.{id}.conclusion`")),
    }
}

/// The type of `steps.X…`, as far as signatures tell.
pub(super) fn path_type(scope: &Scope<'_>, mention: &Mention) -> Option<ValueType> {
    let Named::Step(_, step) = scope.draft.named(mention.part(1)?)? else {
        return (mention.part(2)? == "conclusion").then_some(ValueType::String);
    };
    let signature: Option<&Signature> = scope.signature(step);
    match (mention.part(2)?, mention.part(3), mention.part(4)) {
        ("outcome" | "conclusion", None, _) => Some(ValueType::String),
        ("output", None, _) if step.for_each.is_some() => Some(ValueType::List),
        ("output", None, _) => Some(ValueType::Object),
        ("output", Some(name), None) => signature?.outputs.get(name).copied(),
        _ => None,
    }
}
