//! The JSON Schemas of the manifests, for editors. `connectors/*.schema.json` are made from here.

use schemars::schema_for;
use serde_json::Value;

use super::manifest::{Action, Connector};

/// Each schema with the file that keeps it below `connectors/`.
pub(crate) fn schemas() -> [(&'static str, Value); 2] {
    [
        ("action.schema.json", schema_for!(Action).to_value()),
        ("connector.schema.json", schema_for!(Connector).to_value()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> std::path::PathBuf {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors")
    }

    /// Run `cargo test -- --ignored write_the_schemas` after changing a manifest type.
    #[test]
    #[ignore = "writes files"]
    fn write_the_schemas() {
        for (name, schema) in schemas() {
            let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            std::fs::write(folder().join(name), text).unwrap();
        }
    }

    #[test]
    fn the_kept_schemas_are_the_ones_that_the_types_make() {
        for (name, schema) in schemas() {
            let kept = std::fs::read_to_string(folder().join(name)).unwrap();
            let kept: Value = serde_json::from_str(&kept).unwrap();
            assert!(kept == schema, "{name} is stale: see `write_the_schemas`");
        }
    }
}
