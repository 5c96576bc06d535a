//! Lists for people: columns as wide as what stands in them.

use serde_json::Value;

use super::output::Output;
use super::{Format, Verdict};

/// Prints items: as JSON, or as a table of the named members. `a.b` looks into an object.
pub(super) fn print(
    items: &[Value],
    columns: &[&str],
    format: Format,
    output: &mut Output,
) -> anyhow::Result<Verdict> {
    if format == Format::Json {
        output.json(&Value::Array(items.to_vec()))?;
        return Ok(Verdict::Fine);
    }
    let head: Vec<String> =
        columns.iter().map(|c| c.rsplit('.').next().unwrap_or(c).to_uppercase()).collect();
    let mut rows = vec![head];
    rows.extend(items.iter().map(|item| columns.iter().map(|c| cell(item, c)).collect()));
    output.data(&lines(&rows))?;
    Ok(Verdict::Fine)
}

/// Prints one thing: as JSON, or one member a line.
pub(super) fn one(item: &Value, format: Format, output: &mut Output) -> anyhow::Result<Verdict> {
    if format == Format::Json {
        output.json(item)?;
        return Ok(Verdict::Fine);
    }
    let rows: Vec<Vec<String>> = item
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| vec![key.clone(), text(value)])
        .collect();
    output.data(&lines(&rows))?;
    Ok(Verdict::Fine)
}

fn cell(item: &Value, path: &str) -> String {
    text(path.split('.').fold(item, |at, part| &at[part]))
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// Columns under their heads, as wide as what stands in them.
pub(super) fn columns(heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut all = vec![heads.iter().map(|head| (*head).to_owned()).collect()];
    all.extend_from_slice(rows);
    lines(&all)
}

fn lines(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |n: usize| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let padded: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        out.push_str(padded.join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["ID", "NAME"], ["1", "dana"]].map(|row| row.map(str::to_owned).to_vec());

        assert_eq!(lines(&rows), "ID  NAME\n1   dana\n");
    }
}
