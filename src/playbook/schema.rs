//! The language as JSON Schema, for editors. It says what can be typed; `check` says what is meant.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::keys::{self, Key};
use crate::model::action::{Input, Signature, Signatures, ValueType};
use crate::model::alert::AlertKind;
use crate::model::plan::{Mode, OnError, OnTimeout};

const SPAN: &str = "^[0-9]+(ms|s|m|h|d)$";

/// The schema; with signatures it knows every capability and its parameters.
pub(crate) fn schema(signatures: &Signatures) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Quell playbook",
        "type": "object",
        "required": ["playbook", "steps"],
        "anyOf": [{"required": ["triggers"]}, {"required": ["inputs"]}],
        "additionalProperties": false,
        "properties": described(keys::TOP, top),
        "$defs": { "step": step(signatures) },
    })
}

fn described(keys: &[Key], shape: fn(&str) -> Value) -> Value {
    let fields = keys.iter().map(|(name, summary)| {
        let mut field = shape(name);
        field["description"] = json!(summary);
        ((*name).to_owned(), field)
    });
    Value::Object(fields.collect())
}

fn top(key: &str) -> Value {
    match key {
        "playbook" => json!({"type": "string", "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$"}),
        "attack" => {
            json!({"type": "array", "items": {"type": "string", "pattern": "^T[0-9]{4}(\\.[0-9]{3})?$"}})
        }
        "triggers" => json!({"type": "array", "minItems": 1, "items": trigger()}),
        "also" => json!({"type": "boolean"}),
        "mode" => of::<Mode>(),
        "watch" => json!({"type": "string", "pattern": SPAN}),
        "steps" | "finally" => steps(1),
        "inputs" => json!({"type": "object", "additionalProperties": {
            "type": "object",
            "required": ["type"],
            "additionalProperties": false,
            "properties": described(keys::INPUT, input),
        }}),
        _ => json!({"type": "string"}),
    }
}

fn steps(least: usize) -> Value {
    json!({"type": "array", "minItems": least, "items": {"$ref": "#/$defs/step"}})
}

fn input(key: &str) -> Value {
    match key {
        "type" => of::<ValueType>(),
        "required" => json!({"type": "boolean"}),
        "default" => json!({}),
        _ => json!({"type": "string"}),
    }
}

fn trigger() -> Value {
    let kinds: Vec<&str> = AlertKind::ALL.iter().map(|kind| kind.name()).collect();
    json!({"oneOf": [
        {"enum": ["report", "manual"]},
        {
            "type": "object",
            "required": ["alert"],
            "additionalProperties": false,
            "properties": {"alert": {"enum": kinds}},
        },
    ]})
}

fn step(signatures: &Signatures) -> Value {
    let does = ["use", "wait", "ask", "call", "parallel", "switch"];
    let mut step = json!({
        "type": "object",
        "required": ["id"],
        "additionalProperties": false,
        "oneOf": does.map(|key| json!({"required": [key]})),
        "dependentRequired": {"switch": ["cases"], "cases": ["switch"], "default": ["switch"]},
        "properties": described(keys::STEP, step_key),
    });
    if !signatures.is_empty() {
        let names: Vec<&String> = signatures.keys().collect();
        // Named actions of connectors that this list does not know stay possible.
        step["properties"]["use"]["examples"] = json!(names);
        step["properties"]["use"]["anyOf"] = json!([{"enum": names}, {"pattern": "/"}]);
        step["allOf"] = signatures.iter().map(|(name, s)| parameters(name, s)).collect();
    }
    step
}

fn step_key(key: &str) -> Value {
    match key {
        "id" => json!({"type": "string", "pattern": "^[a-z][a-z0-9]*(_[a-z0-9]+)*$"}),
        "wait" | "expires" | "deadline" => json!({"type": "string", "pattern": SPAN}),
        "with" => json!({"type": "object"}),
        "parallel" | "cases" => {
            json!({"type": "object", "minProperties": 1, "additionalProperties": steps(1)})
        }
        "default" => steps(0),
        "when" => json!({"type": ["string", "boolean"]}),
        "after" => json!({"oneOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}},
        ]}),
        "on_error" => of::<OnError>(),
        "approval" => json!({
            "type": "object",
            "required": ["timeout"],
            "additionalProperties": false,
            "properties": described(keys::APPROVAL, approval),
        }),
        "ratify" => json!({
            "type": "object",
            "additionalProperties": false,
            "properties": described(keys::RATIFY, approval),
        }),
        _ => json!({"type": "string"}),
    }
}

fn approval(key: &str) -> Value {
    match key {
        "timeout" => json!({"type": "string", "pattern": SPAN}),
        "quorum" => json!({"type": "integer", "minimum": 1, "maximum": keys::QUORUM_MAX}),
        _ => of::<OnTimeout>(),
    }
}

/// What `with` may hold where `use` is this capability.
fn parameters(name: &str, signature: &Signature) -> Value {
    let inputs: Map<String, Value> =
        signature.inputs.iter().map(|(name, input)| (name.clone(), parameter(input))).collect();
    json!({
        "if": {"properties": {"use": {"const": name}}, "required": ["use"]},
        "then": {
            "description": signature.summary,
            "properties": {"with": {"properties": inputs, "additionalProperties": false}},
        },
    })
}

/// Any parameter may be a template; a template is text.
fn parameter(input: &Input) -> Value {
    let own = match input.kind {
        ValueType::Integer => Some("integer"),
        ValueType::Boolean => Some("boolean"),
        ValueType::List => Some("array"),
        ValueType::Object => Some("object"),
        ValueType::Any => None,
        _ => Some("string"),
    };
    let mut out = match own {
        None => json!({}),
        Some("string") => json!({"type": "string"}),
        Some(own) => json!({"type": [own, "string"]}),
    };
    if !input.summary.is_empty() {
        out["description"] = json!(input.summary);
    }
    out
}

fn of<T: JsonSchema>() -> Value {
    T::json_schema(&mut SchemaGenerator::default()).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::fixture;
    use std::collections::BTreeSet;

    #[test]
    fn the_schema_knows_the_keys_that_the_checker_knows() {
        let schema = schema(&Signatures::new());
        let has = |at: &str| -> BTreeSet<String> {
            schema.pointer(at).unwrap().as_object().unwrap().keys().cloned().collect()
        };
        let names = |keys: &'static [Key]| keys::names(keys).map(str::to_owned).collect();

        assert_eq!(has("/properties"), names(keys::TOP));
        assert_eq!(has("/$defs/step/properties"), names(keys::STEP));
    }

    #[test]
    fn with_signatures_the_schema_offers_capabilities_and_parameters() {
        let schema = schema(&fixture::signatures()).to_string();

        assert!(schema.contains(r#""const":"ticket.open""#));
        assert!(schema.contains(r#""queue""#));
    }
}
