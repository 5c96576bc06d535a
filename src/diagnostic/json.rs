//! Problems as data, for `--format json` and for editors.

use serde_json::{Value, json};

use super::{Diagnostic, Label, Severity, Source};

/// One problem with its places as lines, columns (from 1, in characters) and byte offsets.
pub(crate) fn to_json(problem: &Diagnostic) -> Value {
    json!({
        "code": problem.code,
        "severity": match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": problem.message,
        "path": problem.source.path,
        "at": place(&problem.source, &problem.primary),
        "notes": problem.secondary.iter().map(|label| place(&problem.source, label)).collect::<Vec<_>>(),
        "help": problem.help,
    })
}

fn place(source: &Source, label: &Label) -> Value {
    let (line, column) = source.position(label.at.start);
    let (end_line, end_column) = source.position(label.at.end);
    json!({
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "offset": label.at.start,
        "length": label.at.len(),
        "label": label.text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_not_bytes() {
        let source = Source::new("a.yaml", "title: é\nx: y\n");

        let problem = Diagnostic::error("P004", &source, 13..14, "unknown key `x`", "");
        let shown = to_json(&problem);

        assert_eq!((&shown["at"]["line"], &shown["at"]["column"]), (&json!(2), &json!(4)));
        assert_eq!(shown["at"]["offset"], 13);
    }
}
