//! Evaluates the expressions and templates of manifests. Only this file and `chat` know minijinja.
//!
//! Requests are strict: a missing value is an error, not an empty text. Answers are
//! lenient: vendors leave fields out, and what is missing is `none`. So that a missing
//! field can never prove anything, expectations compare with `==`, never with `not`.

use chrono::DateTime;
use minijinja::value::{Serde, Value as Jinja, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior};
use serde_json::Value;
use std::sync::LazyLock;

use super::chat;
use crate::model::time::{Span, Time, rfc3339};
use crate::template::{Came, Expressions};

/// More steps than any manifest needs, and few enough to be over at once.
const FUEL: u64 = 50_000;
/// How far a provider's clock may lag behind ours before its stamps stop proving anything.
const SKEW: Span = Span::seconds(5);
/// Where `generate_password()` finds the password that was made for this call.
pub(crate) const PASSWORD: &str = "generated_password_";

/// Why an expression has no value. Names the expression, never the values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{expression}`: {why}")]
pub(crate) struct ExprError {
    expression: String,
    why: String,
}

static STRICT: LazyLock<Environment<'static>> =
    LazyLock::new(|| environment(UndefinedBehavior::Strict));
static LENIENT: LazyLock<Environment<'static>> =
    LazyLock::new(|| environment(UndefinedBehavior::Chainable));

fn environment(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(undefined);
    env.set_fuel(Some(FUEL));
    env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    env.set_formatter(|out, state, value| {
        // `none` inside a text is always a mistake.
        if value.is_none() || value.is_undefined() {
            return Err(refuse("a value inside the text is missing"));
        }
        minijinja::escape_formatter(out, state, value)
    });
    env.add_filter("odata", |text: &str| plain(text).map(|t| t.replace('\'', "''")));
    env.add_filter("scim", |text: &str| {
        plain(text).map(|t| t.replace('\\', "\\\\").replace('"', "\\\""))
    });
    env.add_filter("encoded_query", encoded_query);
    env.add_filter("letters", letters);
    env.add_filter("minus", |at: &str, span: &str| shift(at, span));
    chat::register(&mut env);
    // Not minijinja's `sequence`: that holds for what is missing, too.
    env.add_test("list", |value: &Jinja| value.kind() == ValueKind::Seq);
    env.add_function("fail", |why: &str| -> Result<Jinja, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, why.to_owned()))
    });
    env.add_function("since", |at: Option<&str>, from: &str| since(at, from));
    env.add_function("link_next", |header: Option<&str>| header.and_then(link_next));
    env.add_function("pick", |map: &Jinja, name: &str| {
        map.get_attr(name).ok().filter(|v| !v.is_undefined())
    });
    env.add_function("generate_password", |state: &State<'_, '_>| {
        state.lookup(PASSWORD).ok_or_else(|| refuse("no password was made for this call"))
    });
    env
}

fn refuse(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, why)
}

/// Text for a quoted literal of a query language: no control characters.
fn plain(text: &str) -> Result<String, Error> {
    if text.chars().any(char::is_control) {
        return Err(refuse("the value holds a control character"));
    }
    Ok(text.to_owned())
}

/// `ServiceNow` has no quoting: `^` separates conditions, so a value that holds it is refused.
fn encoded_query(text: &str) -> Result<String, Error> {
    if text.is_empty() || text.contains('^') || text.starts_with("javascript:") {
        return Err(refuse("the value cannot stand in an encoded query"));
    }
    plain(text)
}

/// Letters, digits, spaces, `-`, `,` and `.` only, at most 500 characters: Okta's rule for risk reasons.
fn letters(text: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || "-,. ".contains(c);
    text.chars().map(|c| if keep(c) { c } else { ' ' }).take(500).collect()
}

fn instant(text: &str) -> Option<Time> {
    DateTime::parse_from_rfc3339(text).ok().map(|t| t.to_utc())
}

fn shift(at: &str, span: &str) -> Result<String, Error> {
    let at = instant(at).ok_or_else(|| refuse("not a time"))?;
    let span: Span = span.parse().map_err(|_| refuse("not a length of time"))?;
    Ok(rfc3339(at - span.delta()))
}

/// Whether a provider's stamp lies at or after ours, allowing for the clocks. A missing stamp never does.
fn since(at: Option<&str>, from: &str) -> bool {
    match (at.and_then(instant), instant(from)) {
        (Some(at), Some(from)) => at >= from - SKEW.delta(),
        _ => false,
    }
}

/// The target of `rel="next"` in a `Link` header.
pub(crate) fn link_next(header: &str) -> Option<String> {
    header.split(',').find_map(|link| {
        let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
        rest.contains("rel=\"next\"").then(|| target.to_owned())
    })
}

// A password is found by the function that gives it, not by its name.
static STRICT_KNOWN: LazyLock<Expressions> =
    LazyLock::new(|| Expressions::new(&STRICT).seeing(&[PASSWORD]));
static LENIENT_KNOWN: LazyLock<Expressions> = LazyLock::new(|| Expressions::new(&LENIENT));

fn came(known: &Expressions, expression: &str, ctx: &Value) -> Result<Came, ExprError> {
    let fail = |e: Error| ExprError { expression: expression.into(), why: reason(&e) };
    known.evaluate(expression, ctx, |_| Ok::<(), Error>(())).map_err(fail)
}

fn to_json(expression: &str, came: Came) -> Result<Value, ExprError> {
    match came {
        Came::Found(value) => Ok(value),
        Came::Computed(value) => serde_json::to_value(value)
            .map_err(|e| ExprError { expression: expression.into(), why: e.to_string() }),
    }
}

fn reason(error: &Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

/// The value of a bare expression over an answer; what is missing is `null`.
pub(crate) fn evaluate(expression: &str, ctx: &Value) -> Result<Value, ExprError> {
    to_json(expression, came(&LENIENT_KNOWN, expression, ctx)?)
}

/// Whether a condition over an answer is exactly `true`.
pub(crate) fn holds(expression: &str, ctx: &Value) -> Result<bool, ExprError> {
    evaluate(expression, ctx).map(|value| value == Value::Bool(true))
}

/// The value of a bare expression over inputs; what is missing is an error.
pub(crate) fn evaluate_strict(expression: &str, ctx: &Value) -> Result<Value, ExprError> {
    let came = came(&STRICT_KNOWN, expression, ctx)?;
    if matches!(&came, Came::Computed(value) if value.is_undefined()) {
        let why = "there is no such value".into();
        return Err(ExprError { expression: expression.into(), why });
    }
    to_json(expression, came)
}

/// The one expression of a text that is nothing but `{{ expression }}`.
pub(crate) fn whole(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("{{") && !inner.contains("}}")).then(|| inner.trim())
}

/// A template with every `{{ }}` filled in, as a value. A text that is one expression keeps
/// the expression's type; if that is `none`, it is left out of what surrounds it.
pub(crate) fn render(template: &Value, ctx: &Value) -> Result<Option<Value>, ExprError> {
    match template {
        Value::String(text) => match whole(text) {
            Some(expression) => {
                evaluate_strict(expression, ctx).map(|v| (!v.is_null()).then_some(v))
            }
            None => render_text(text, ctx).map(|t| Some(Value::String(t))),
        },
        Value::Array(items) => {
            let mut out = Vec::with_capacity(items.len());
            for item in items {
                out.extend(render(item, ctx)?);
            }
            Ok(Some(Value::Array(out)))
        }
        Value::Object(fields) => {
            let mut out = serde_json::Map::new();
            for (name, value) in fields {
                if let Some(value) = render(value, ctx)? {
                    out.insert(name.clone(), value);
                }
            }
            Ok(Some(Value::Object(out)))
        }
        other => Ok(Some(other.clone())),
    }
}

/// A text with every `{{ }}` filled in.
pub(crate) fn render_text(text: &str, ctx: &Value) -> Result<String, ExprError> {
    if !text.contains("{{") && !text.contains("{%") {
        return Ok(text.to_owned());
    }
    STRICT
        .render_str(text, Serde(ctx))
        .map_err(|e| ExprError { expression: text.chars().take(80).collect(), why: reason(&e) })
}

/// Whether an expression can be read at all.
pub(crate) fn check(expression: &str) -> Result<(), ExprError> {
    match STRICT.compile_expression(expression) {
        Ok(_) => Ok(()),
        Err(e) => Err(ExprError { expression: expression.into(), why: e.to_string() }),
    }
}

/// Whether a template can be read at all.
pub(crate) fn check_template(text: &str) -> Result<(), ExprError> {
    match whole(text) {
        Some(expression) => check(expression),
        None => STRICT
            .template_from_str(text)
            .map(|_| ())
            .map_err(|e| ExprError { expression: text.into(), why: e.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn one_expression_keeps_its_type_and_a_missing_one_is_left_out() {
        let ctx = json!({"inputs": {"flag": false, "note": null}});
        let template = json!({"a": "{{ inputs.flag }}", "b": "{{ inputs.note }}", "c": null});

        assert_eq!(render(&template, &ctx).unwrap(), Some(json!({"a": false, "c": null})));
    }

    #[test]
    fn requests_are_strict_and_answers_are_lenient() {
        let ctx = json!({"inputs": {}, "body": null});

        assert!(evaluate_strict("inputs.nothing", &ctx).is_err());
        assert!(render_text("x {{ inputs.nothing }}", &ctx).is_err());
        assert_eq!(evaluate("body.error.code", &ctx).unwrap(), Value::Null);
        assert!(!holds("body.user.enabled == false", &ctx).unwrap());
    }

    #[test]
    fn an_endless_template_runs_out_of_fuel() {
        let text = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";

        assert!(render_text(text, &json!({})).is_err());
    }

    #[test]
    fn a_stamp_proves_only_what_came_after() {
        let ctx = json!({"at": "2026-05-05T10:00:00Z"});

        assert!(holds("since(at, '2026-05-05T10:00:03.100Z')", &ctx).unwrap());
        assert!(!holds("since(at, '2026-05-05T10:01:00Z')", &ctx).unwrap());
        assert!(!holds("since(gone, '2026-05-05T09:00:00Z')", &ctx).unwrap());
    }

    #[test]
    fn the_next_page_is_read_from_the_link_header() {
        let header = r#"<https://x.okta.com/a?limit=1>; rel="self", <https://x.okta.com/a?after=9>; rel="next""#;

        assert_eq!(link_next(header).as_deref(), Some("https://x.okta.com/a?after=9"));
        assert_eq!(link_next("<https://x/a>; rel=\"self\""), None);
    }

    proptest! {
        #[test]
        fn no_text_ends_an_odata_literal(text in "\\PC{0,40}") {
            let out = render_text("id eq '{{ t | odata }}'", &json!({"t": text})).unwrap();
            let inner = &out["id eq '".len()..out.len() - 1];
            prop_assert_eq!(inner.replace("''", "").matches('\'').count(), 0);
        }

        #[test]
        fn no_text_ends_a_scim_literal(text in "\\PC{0,40}") {
            let out = render_text("id eq \"{{ t | scim }}\"", &json!({"t": text.clone()})).unwrap();
            let literal = &out["id eq ".len()..];
            prop_assert_eq!(serde_json::from_str::<String>(literal).unwrap(), text);
        }

        #[test]
        fn no_text_adds_a_condition_to_an_encoded_query(text in "\\PC{0,20}\\^?\\PC{0,20}") {
            if let Ok(out) = render_text("a={{ t | encoded_query }}", &json!({"t": text})) {
                prop_assert!(!out.contains('^'));
            }
        }
    }
}
