//! Defaults, file, environment and flags, laid over each other; every value remembers its layer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::{Table, Value};

/// What is laid over the defaults.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    /// The file's path and text.
    pub(crate) file: Option<(PathBuf, String)>,
    /// Names and values, as the process was started with them.
    pub(crate) environment: Vec<(String, String)>,
    /// A key such as `server.listen`, its value, and the flag's own name.
    pub(crate) flags: Vec<(&'static str, String, &'static str)>,
}

/// Where each value came from, by its dotted key.
pub(crate) type Origins = BTreeMap<String, String>;

/// A table under construction.
pub(super) struct Merged {
    pub(super) table: Table,
    pub(super) origins: Origins,
}

impl Merged {
    pub(super) fn new(defaults: Table) -> Self {
        let mut merged = Self { table: Table::new(), origins: Origins::new() };
        merged.lay("default", defaults);
        merged
    }

    /// Lays a whole table over what is there. Lists are replaced, not joined.
    pub(super) fn lay(&mut self, origin: &str, over: Table) {
        merge(&mut self.table, over, "", origin, &mut self.origins);
    }

    /// Sets one value by its path.
    pub(super) fn set(&mut self, path: &[String], value: Value, origin: &str) {
        let Some((last, parents)) = path.split_last() else { return };
        let mut one = Table::from_iter([(last.clone(), value)]);
        for parent in parents.iter().rev() {
            one = Table::from_iter([(parent.clone(), Value::Table(one))]);
        }
        self.lay(origin, one);
    }

    /// The path that a variable names: `QUELL_SOURCES__MY_SIEM__KIND` finds the section `my-siem`.
    pub(super) fn path_of(&self, variable: &str) -> Option<Vec<String>> {
        let rest = variable.strip_prefix("QUELL_")?;
        if !rest.contains("__") {
            return None;
        }
        let mut at = Some(&self.table);
        let mut path = Vec::new();
        for part in rest.split("__") {
            let wanted = part.to_lowercase();
            let known = at.and_then(|table| {
                table.keys().find(|key| key.to_lowercase().replace('-', "_") == wanted)
            });
            let key = known.cloned().unwrap_or(wanted);
            at = at.and_then(|table| table.get(&key)).and_then(Value::as_table);
            path.push(key);
        }
        Some(path)
    }
}

fn merge(into: &mut Table, over: Table, at: &str, origin: &str, origins: &mut Origins) {
    for (key, value) in over {
        let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        match (into.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(over)) => {
                merge(below, over, &path, origin, origins);
            }
            (_, Value::Table(over)) => {
                let mut fresh = Table::new();
                merge(&mut fresh, over, &path, origin, origins);
                into.insert(key, Value::Table(fresh));
            }
            (_, value) => {
                origins.insert(path, origin.to_owned());
                into.insert(key, value);
            }
        }
    }
}

/// A variable's text as the value that it looks like: `5`, `true` and `["a"]` are not texts.
pub(super) fn typed(text: &str) -> Value {
    let read: Result<Table, _> = toml::from_str(&format!("value = {text}"));
    read.ok()
        .and_then(|mut table| table.remove("value"))
        .filter(|value| !matches!(value, Value::Datetime(_)))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_finds_a_section_whatever_its_dashes() {
        let merged = Merged::new(toml::from_str("[sources.my-siem]\nkind='alerts'").unwrap());

        let path = merged.path_of("QUELL_SOURCES__MY_SIEM__MAY_CAUSE").unwrap();

        assert_eq!(path.join("."), "sources.my-siem.may_cause");
        assert_eq!(merged.path_of("QUELL_TOKEN"), None);
    }

    #[test]
    fn a_variable_has_the_type_that_it_looks_like() {
        assert_eq!(typed("true"), Value::Boolean(true));
        assert_eq!(typed("24h"), Value::String("24h".into()));
        assert_eq!(typed("127.0.0.1:80"), Value::String("127.0.0.1:80".into()));
        assert_eq!(typed(r#"["a"]"#).as_array().unwrap().len(), 1);
    }
}
