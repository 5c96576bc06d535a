//! A Log Analytics table keeps `client.geographicalContext.city` as the column
//! `client_geographicalContext_city_s`: this puts such a row back into shape.

use serde_json::{Map, Value};
use std::borrow::Cow;

use super::super::json::{embedded, get};

/// The suffixes that tell a column's type: text, number, flag, time, GUID.
const TYPES: [&str; 5] = ["_s", "_d", "_b", "_t", "_g"];
/// Deepest path that a column's name may spell.
const DEPTH: usize = 6;

/// The record itself, or a flattened row with its objects restored.
pub(super) fn unflattened(row: &Value) -> Cow<'_, Value> {
    let Some(columns) = row.as_object().filter(|_| get(row, "eventType_s").is_some()) else {
        return Cow::Borrowed(row);
    };
    let mut out = Map::new();
    for (column, cell) in columns {
        let Some(path) = TYPES.iter().find_map(|suffix| column.strip_suffix(suffix)) else {
            continue;
        };
        if cell.as_str().is_none_or(|text| !text.is_empty()) {
            put(&mut out, path, embedded(cell).into_owned());
        }
    }
    Cow::Owned(Value::Object(out))
}

fn put(out: &mut Map<String, Value>, path: &str, cell: Value) {
    let mut names: Vec<&str> = path.splitn(DEPTH, '_').collect();
    let Some(last) = names.pop() else { return };
    let mut here = out;
    for name in names {
        let slot = here.entry(name).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(inner) = slot else { return };
        here = inner;
    }
    here.insert(last.to_owned(), cell);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_flattened_row_gets_its_objects_back() {
        let row = json!({"eventType_s": "user.session.start", "uuid_g": "1", "client_zone_s": "",
            "client_geographicalContext_city_s": "Oslo", "target_s": "[{\"type\": \"User\"}]", "Type": "Okta_CL"});

        let out = unflattened(&row);

        assert_eq!(
            *out,
            json!({"eventType": "user.session.start", "uuid": "1",
            "client": {"geographicalContext": {"city": "Oslo"}}, "target": [{"type": "User"}]})
        );
    }
}
