//! Placeholder until the language room is merged.
use serde_json::Value;
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TemplateError(pub(crate) String);
fn env() -> minijinja::Environment<'static> {
    let mut env = minijinja::Environment::new();
    env.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    env.set_fuel(Some(20_000));
    env
}
pub(crate) fn evaluate(expr: &str, ctx: &Value) -> Result<Value, TemplateError> {
    let env = env();
    let value = env
        .compile_expression(expr)
        .and_then(|e| e.eval(minijinja::value::Serde(ctx)))
        .map_err(|e| TemplateError(format!("{e:#}")))?;
    serde_json::to_value(&value).map_err(|e| TemplateError(e.to_string()))
}
pub(crate) fn render(value: &Value, ctx: &Value) -> Result<Value, TemplateError> {
    Ok(match value {
        Value::String(s)
            if s.trim().starts_with("{{")
                && s.trim().ends_with("}}")
                && s.matches("{{").count() == 1 =>
        {
            let t = s.trim();
            evaluate(&t[2..t.len() - 2], ctx)?
        }
        Value::String(s) => Value::String(
            env()
                .render_str(s, minijinja::value::Serde(ctx))
                .map_err(|e| TemplateError(format!("{e:#}")))?,
        ),
        Value::Array(a) => {
            Value::Array(a.iter().map(|v| render(v, ctx)).collect::<Result<_, _>>()?)
        }
        Value::Object(o) => Value::Object(
            o.iter()
                .map(|(k, v)| Ok((k.clone(), render(v, ctx)?)))
                .collect::<Result<_, TemplateError>>()?,
        ),
        other => other.clone(),
    })
}
