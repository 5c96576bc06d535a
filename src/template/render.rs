//! Builds values from values whose strings may hold templates.

use minijinja::value::{Value as Native, ValueKind};
use serde_json::{Map, Value};

use super::engine::{Context, evaluate, native, to_json};
use super::error::TemplateError;
use super::pieces::{Piece, pieces};

/// Renders every string in `value`. A string that is exactly one `{{ expression }}` becomes the
/// expression's value, of whatever type; others become text. Keys are left as they are.
pub(crate) fn render(value: &Value, context: &Context<'_>) -> Result<Value, TemplateError> {
    match value {
        Value::String(template) => render_string(template, context),
        Value::Array(items) => items
            .iter()
            .map(|item| render(item, context))
            .collect::<Result<_, _>>()
            .map(Value::Array),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, field)| Ok((key.clone(), render(field, context)?)))
            .collect::<Result<Map<_, _>, _>>()
            .map(Value::Object),
        other => Ok(other.clone()),
    }
}

/// Renders a template to text, even where it is a single expression.
pub(crate) fn render_text(template: &str, context: &Context<'_>) -> Result<String, TemplateError> {
    let mut out = String::with_capacity(template.len());
    for piece in pieces(template)? {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Expression(expression, at) => {
                let value = native(expression, context).map_err(|error| error.moved(at.start))?;
                push_text(&mut out, &value).map_err(|error| error.at(at))?;
            }
        }
    }
    Ok(out)
}

fn render_string(template: &str, context: &Context<'_>) -> Result<Value, TemplateError> {
    if let [Piece::Expression(expression, at)] = pieces(template)?.as_slice() {
        return evaluate(expression, context).map_err(|error| error.moved(at.start));
    }
    render_text(template, context).map(Value::String)
}

/// Inside text, nothing is written as nothing, and lists and maps as JSON.
fn push_text(out: &mut String, value: &Native) -> Result<(), TemplateError> {
    match (value.as_str(), value.kind()) {
        (Some(text), _) => out.push_str(text),
        (None, ValueKind::None) => {}
        (None, _) => out.push_str(&to_json(value)?.to_string()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Trouble;
    use serde_json::json;

    #[test]
    fn a_sole_expression_keeps_its_type_and_others_become_text() {
        let fields = json!({"n": 7, "who": {"name": "Ana"}, "none": null});
        let context = Context::from(&fields);

        let made = render(
            &json!({
                "number": "{{ n }}",
                "object": "{{ who }}",
                "text": "{{ n }} for {{ who.name }}{{ none }}",
                "list": ["{{ who.name }}", 1, "{{ [n, n] }} x"],
            }),
            &context,
        );

        assert_eq!(
            made.unwrap(),
            json!({
                "number": 7,
                "object": {"name": "Ana"},
                "text": "7 for Ana",
                "list": ["Ana", 1, "[7,7] x"],
            })
        );
    }

    /// What an attacker named their device must not be read as a template.
    #[test]
    fn values_are_not_rendered_again() {
        let fields = json!({"device": "{{ secret }}", "secret": "s3"});
        let context = Context::from(&fields);

        assert_eq!(render(&json!("{{ device }}"), &context).unwrap(), json!("{{ secret }}"));
        assert_eq!(render(&json!("x {{ device }}"), &context).unwrap(), json!("x {{ secret }}"));
    }

    #[test]
    fn an_error_says_where_in_the_template_it_is() {
        let error = render(&json!("abc {{ gone }}"), &Context::from(&json!({}))).unwrap_err();

        assert_eq!(error.trouble, Trouble::Undefined);
        assert!(error.at.is_some_and(|at| at.start >= 6), "{:?}", error.message);
    }
}
