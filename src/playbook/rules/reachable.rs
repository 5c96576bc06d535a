//! P027: a step that can never run is a mistake.

use serde_json::{Value, json};

use super::scope::{Expression, Scope};
use crate::diagnostic::Diagnostic;
use crate::template::{self, Context};

pub(super) fn check(scope: &Scope<'_>, problems: &mut Vec<Diagnostic>) {
    let none = json!({});
    let nothing = Context::from(&none);
    for expression in scope.expressions.iter().filter(|e| e.error.is_none()) {
        let constant = expression.values().next().is_none();
        let never = constant
            && match expression.key {
                Some("when") => template::holds(expression.text, &nothing) == Ok(false),
                Some(_) => is_empty(expression, &nothing),
                None => false,
            };
        if let (true, Some(key)) = (never, expression.key) {
            let at = scope.place(expression, &(0..expression.text.len()));
            let message = format!("{} can never run", expression.step.called());
            let label = if key == "when" { "never holds" } else { "has no items" };
            let problem = scope.draft.error("P027", at, message, label);
            problems.push(problem.help("remove the step, or let it depend on the incident"));
        }
    }
}

fn is_empty(expression: &Expression<'_>, nothing: &Context) -> bool {
    matches!(template::evaluate(expression.text, nothing), Ok(Value::Array(items)) if items.is_empty())
}
