//! The one expression engine, and evaluating with it.

use minijinja::value::{Serde, Value as Native, ValueKind};
use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;
use std::sync::LazyLock;

use super::compiled::{Came, Expressions, Roots};
use super::error::{TemplateError, Trouble};
use super::filters;
use super::names::{self, Role};

/// Longest expression, in bytes.
pub(crate) const EXPRESSION_MAX: usize = 4096;

/// Engine steps that one expression may take. The shipped playbooks need fewer than a hundred.
const FUEL: u64 = 20_000;

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::empty();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    engine.set_recursion_limit(32);
    engine.set_debug(true);
    filters::install(&mut engine);
    engine
});

static EXPRESSIONS: LazyLock<Expressions> = LazyLock::new(|| Expressions::new(&ENGINE));

/// The values that an expression sees: root names, and the item at hand if there is one.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    roots: &'a dyn Roots,
    /// Names that stand for others than the roots' in a called playbook.
    own: Option<&'a Value>,
    item: Option<&'a Value>,
}

impl<'a> Context<'a> {
    /// A context over root names.
    pub(crate) fn new(roots: &'a dyn Roots) -> Self {
        Self { roots, own: None, item: None }
    }

    /// The same with the fields of `own` in place of the roots of their names.
    pub(crate) fn under(self, own: &'a Value) -> Self {
        Self { own: Some(own), ..self }
    }

    /// The same with `item` bound.
    pub(crate) fn with_item(self, item: Option<&'a Value>) -> Self {
        Self { item: item.or(self.item), ..self }
    }
}

impl<'a> From<&'a Value> for Context<'a> {
    fn from(fields: &'a Value) -> Self {
        Self::new(fields)
    }
}

impl Roots for Context<'_> {
    fn root(&self, name: &str) -> Option<&Value> {
        let own = || self.own.and_then(|own| own.get(name));
        self.item.filter(|_| name == "item").or_else(own).or_else(|| self.roots.root(name))
    }
}

/// Evaluates a bare expression; its value keeps its type.
pub(crate) fn evaluate(expression: &str, context: &Context<'_>) -> Result<Value, TemplateError> {
    match came(expression, context)? {
        Came::Found(value) => Ok(value),
        Came::Computed(value) => to_json(&value),
    }
}

/// Evaluates a bare expression as a truth value, the way Jinja's `if` would.
pub(crate) fn holds(expression: &str, context: &Context<'_>) -> Result<bool, TemplateError> {
    Ok(native(expression, context)?.is_true())
}

/// Compiles an expression without evaluating it; nothing needs to be defined.
pub(crate) fn check(expression: &str) -> Result<(), TemplateError> {
    refuse_early(expression)?;
    ENGINE
        .compile_expression(expression)
        .map(drop)
        .map_err(|error| TemplateError::from(error).within(expression))
}

/// The filters, tests or functions that expressions may use.
pub(crate) fn known(role: Role) -> &'static [&'static str] {
    match role {
        Role::Name => &[],
        Role::Filter => filters::FILTERS,
        Role::Test => filters::TESTS,
        Role::Function => filters::FUNCTIONS,
    }
}

pub(super) fn native(expression: &str, context: &Context<'_>) -> Result<Native, TemplateError> {
    match came(expression, context)? {
        Came::Found(value) => Ok(Native::from(Serde(value))),
        Came::Computed(value) => Ok(value),
    }
}

fn came(expression: &str, context: &Context<'_>) -> Result<Came, TemplateError> {
    let came = EXPRESSIONS
        .evaluate(expression, context, refuse_early)
        .map_err(|error| error.within(expression))?;
    if let Came::Computed(value) = &came
        && value.is_undefined()
    {
        let message = format!("`{}` is not defined", expression.trim());
        return Err(TemplateError::new(Trouble::Undefined, message).at(0..expression.len()));
    }
    Ok(came)
}

pub(super) fn to_json(value: &Native) -> Result<Value, TemplateError> {
    if value.kind() == ValueKind::Invalid {
        return Err(TemplateError::new(Trouble::Value, "the value cannot be used"));
    }
    serde_json::to_value(value)
        .map_err(|_| TemplateError::new(Trouble::Value, "the value cannot be written as JSON"))
}

/// What the engine would accept but must not run: fuel counts steps, not bytes, so that
/// `"x" * 99999999` would be cheap for it.
fn refuse_early(expression: &str) -> Result<(), TemplateError> {
    if expression.len() > EXPRESSION_MAX {
        let message = format!("an expression may have {EXPRESSION_MAX} bytes at most");
        return Err(TemplateError::new(Trouble::Syntax, message));
    }
    if let Some(at) = names::multiplication(expression) {
        return Err(TemplateError::new(Trouble::Syntax, "`*` is not available here").at(at));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(expression: &str, fields: &Value) -> Result<Value, TemplateError> {
        evaluate(expression, &Context::from(fields))
    }

    #[test]
    fn values_keep_their_types() {
        let fields = json!({"n": 3, "list": [1, 2], "map": {"a": null}, "yes": true});

        assert_eq!(value("n", &fields), Ok(json!(3)));
        assert_eq!(value("list", &fields), Ok(json!([1, 2])));
        assert_eq!(value("map", &fields), Ok(json!({"a": null})));
        assert_eq!(value("n in list or yes", &fields), Ok(json!(true)));
        assert_eq!(value("map.a", &fields), Ok(Value::Null));
    }

    #[test]
    fn what_is_not_there_is_an_error_not_an_empty_text() {
        for expression in ["gone", "there.gone", "there.gone.further", "gone ~ 'x'"] {
            let error = value(expression, &json!({"there": {}})).unwrap_err();
            assert_eq!(error.trouble, Trouble::Undefined, "{expression}");
        }
        assert_eq!(value("gone is defined", &json!({})), Ok(json!(false)));
        assert_eq!(value("there.gone | default('x')", &json!({"there": {}})), Ok(json!("x")));
    }

    #[test]
    fn the_filters_that_manifests_need_are_there() {
        let fields = json!({"rows": [{"k": "a", "on": true}, {"k": "B", "on": false}]});

        assert_eq!(
            value("rows | map(attribute='k') | join('+') | lower", &fields),
            Ok(json!("a+b"))
        );
        assert_eq!(value("(rows | selectattr('on') | first).k", &fields), Ok(json!("a")));
        assert_eq!(
            value("rows | rejectattr('k', 'eq', 'a') | list | length", &fields),
            Ok(json!(1))
        );
        assert_eq!(value("rows[0] | tojson", &fields), Ok(json!(r#"{"k":"a","on":true}"#)));
    }

    #[test]
    fn a_template_that_would_not_end_runs_out_of_fuel_or_is_refused() {
        let rows: Vec<Value> = (0..30_000).map(|n| json!({"n": n})).collect();
        let fields = json!({"rows": rows, "text": "x"});
        let nested = format!("{}1{}", "(".repeat(2000), ")".repeat(2000));
        let long = format!("1{}", " + 1".repeat(900));

        for expression in
            ["text * 99999999", "range(99999999)", "[text] * 99999999", nested.as_str()]
        {
            assert!(value(expression, &fields).is_err(), "{expression:.40}");
        }
        assert_eq!(value(&long, &fields), Ok(json!(901)));
        assert!(check(&"-".repeat(EXPRESSION_MAX + 1)).is_err());
        let joined = value("rows | map(attribute='n') | join('xxxxxxxxxxxxxxxxxxxxxxxx')", &fields);
        assert!(joined.is_err());
    }

    #[test]
    fn an_expression_is_never_run_by_checking_it() {
        assert_eq!(check("anything.at_all | lower"), Ok(()));
        assert_eq!(check("a b").unwrap_err().trouble, Trouble::Syntax);
    }
}
