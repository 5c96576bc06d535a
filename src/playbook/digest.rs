//! A plan's digest: SHA-256 over its canonical JSON, whatever order maps happen to keep.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::model::id::PlanDigest;
use crate::model::plan::Plan;

/// What a run pins and a publication names.
pub(crate) fn digest(plan: &Plan) -> PlanDigest {
    let value = serde_json::to_value(plan).unwrap_or_default();
    PlanDigest::new(hex::encode(Sha256::digest(canonical(&value))))
}

/// Compact JSON with every object's keys in byte order.
pub(crate) fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (n, key) in keys.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(&fields[key], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value = json!({"b": [{"z": 1, "a": "é\n"}], "a": null});

        assert_eq!(canonical(&value), r#"{"a":null,"b":[{"a":"é\n","z":1}]}"#);
    }
}
