//! Checks the inputs of a call against their declared types, and fills in defaults.
//!
//! Pure; knows no connector.

use chrono::DateTime;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

use crate::model::action::{Input, ValueType};

/// The inputs as the manifest's expressions see them: every declared name is there, absent ones as `null`.
pub(crate) fn complete(
    declared: &BTreeMap<String, Input>,
    given: &BTreeMap<String, Value>,
) -> Result<Map<String, Value>, String> {
    if let Some(unknown) = given.keys().find(|name| !declared.contains_key(*name)) {
        return Err(format!("there is no input `{unknown}`"));
    }
    let mut out = Map::new();
    for (name, input) in declared {
        let value = given.get(name).filter(|v| !v.is_null()).or(input.default.as_ref());
        let value = value.cloned().unwrap_or(Value::Null);
        if value.is_null() {
            if input.required {
                return Err(format!("the input `{name}` is missing"));
            }
        } else if !fits(input.kind, &value) {
            return Err(format!("the input `{name}` is not a {}", input.kind.name()));
        }
        out.insert(name.clone(), cut(value, input.max_length));
    }
    Ok(out)
}

/// Whether a value is of a type. Accounts and factors must carry the ids that paths are made of.
pub(crate) fn fits(kind: ValueType, value: &Value) -> bool {
    match kind {
        ValueType::String => value.is_string(),
        ValueType::Integer => value.is_i64() || value.is_u64(),
        ValueType::Boolean => value.is_boolean(),
        ValueType::Time => value.as_str().is_some_and(|t| DateTime::parse_from_rfc3339(t).is_ok()),
        ValueType::List => value.is_array(),
        ValueType::Object => value.is_object(),
        ValueType::Account => named(value),
        ValueType::Factor => named(value) && named(&value["account"]),
        ValueType::Any => true,
    }
}

fn named(value: &Value) -> bool {
    value["id"].as_str().is_some_and(|id| !id.is_empty())
}

/// Over-long texts are cut, never refused: containment does not fail over a long title.
fn cut(value: Value, max: Option<usize>) -> Value {
    match (value, max) {
        (Value::String(text), Some(max)) if text.chars().count() > max => {
            let mut short: String = text.chars().take(max.saturating_sub(1)).collect();
            short.push('…');
            Value::String(short)
        }
        (value, _) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn declared() -> BTreeMap<String, Input> {
        serde_json::from_value(json!({
            "account": {"type": "account", "required": true},
            "title": {"type": "string", "max_length": 5},
            "queue": {"type": "string", "default": "SOC"},
        }))
        .unwrap()
    }

    #[test]
    fn absent_inputs_are_null_or_their_default() {
        let given = BTreeMap::from([("account".into(), json!({"id": "1"}))]);

        let inputs = complete(&declared(), &given).unwrap();

        assert_eq!(
            Value::Object(inputs),
            json!({"account": {"id": "1"}, "title": null, "queue": "SOC"})
        );
    }

    #[test]
    fn wrong_missing_and_unknown_inputs_are_refused() {
        for given in [
            json!({}),
            json!({"account": {"id": ""}}),
            json!({"account": {"id": "1"}, "title": 7}),
            json!({"account": {"id": "1"}, "titel": "x"}),
        ] {
            let given = serde_json::from_value(given).unwrap();
            assert!(complete(&declared(), &given).is_err(), "{given:?}");
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let given = BTreeMap::from([
            ("account".into(), json!({"id": "1"})),
            ("title".into(), json!("123456")),
        ]);

        assert_eq!(complete(&declared(), &given).unwrap()["title"], json!("1234…"));
    }
}
