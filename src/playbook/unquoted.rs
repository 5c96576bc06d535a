//! The commonest slip: `title: {{ x }}`, which YAML reads as a map inside a map.
//!
//! Each is reported, and mended in a copy by a quoted text of the same length, so
//! that the rest of the file can be checked in the same go.

use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Source};

/// The text without unquoted braces.
pub(crate) struct Mended {
    pub(crate) text: String,
    /// Where the mended values begin.
    pub(crate) holes: Vec<usize>,
}

pub(crate) fn mend(source: &Arc<Source>) -> (Mended, Vec<Diagnostic>) {
    let mut text = source.text.clone();
    let mut holes = Vec::new();
    let mut problems = Vec::new();
    for at in unquoted(&source.text) {
        text.replace_range(at.clone(), &format!("'{}'", "x".repeat(at.len() - 2)));
        holes.push(at.start);
        let shown = &source.text[at.clone()];
        if let Some(key) = bare_key(&source.text[..at.start]) {
            let bare = shown.trim_start_matches('{').trim_end_matches('}').trim();
            let message = format!("`{key}` takes an expression without braces");
            let problem = Diagnostic::error("P018", source, at.clone(), message, "has braces");
            problems.push(problem.help(format!("write `{key}: {bare}`")));
            continue;
        }
        let quote = if shown.contains('"') { '\'' } else { '"' };
        problems.push(
            Diagnostic::error(
                "P003",
                source,
                at.clone(),
                "a value that begins with `{{` needs quotes",
                "YAML reads this as a map",
            )
            .help(format!("write `{quote}{shown}{quote}`")),
        );
    }
    (Mended { text, holes }, problems)
}

/// The key before a value, if it is one that holds a bare expression.
fn bare_key(before: &str) -> Option<&'static str> {
    let before = before.trim_end().strip_suffix(':')?;
    ["when", "for_each"].into_iter().find(|key| {
        before.strip_suffix(key).is_some_and(|rest| !rest.ends_with(char::is_alphanumeric))
    })
}

/// The values that begin with `{{` outside quotes, comments and block texts.
fn unquoted(text: &str) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut start = 0;
    // The indentation of the key that opened a block text, while inside one.
    let mut block: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let blank = line.trim().is_empty();
        if block.is_some_and(|opened| blank || indent > opened) {
            start += line.len();
            continue;
        }
        let code = scan(line, start, &mut out);
        let opens = code.trim_end().rsplit([' ', ':']).next().is_some_and(|last| {
            matches!(last.chars().next(), Some('|' | '>'))
                && last.chars().skip(1).all(|c| matches!(c, '-' | '+' | '0'..='9'))
        });
        block = opens.then_some(indent);
        start += line.len();
    }
    out
}

/// Collects one line's unquoted values; gives the line without its comment.
fn scan<'l>(line: &'l str, offset: usize, out: &mut Vec<Range<usize>>) -> &'l str {
    let mut quote = None;
    let mut last = ' ';
    let mut value_may_begin = true;
    let mut skip_to = 0;
    for (at, c) in line.char_indices() {
        if at < skip_to {
            continue;
        }
        match quote {
            Some(open) if c == open && last != '\\' => quote = None,
            None if c == '#' && last.is_whitespace() => return &line[..at],
            None if (c == '"' || c == '\'') && value_may_begin => quote = Some(c),
            None if value_may_begin && line[at..].starts_with("{{") => {
                if let Some(length) = line[at..].find("}}") {
                    skip_to = at + length + 2;
                    out.push(offset + at..offset + skip_to);
                }
            }
            Some(_) | None => {}
        }
        if quote.is_none() && !c.is_whitespace() {
            value_may_begin = matches!(c, ':' | '-' | '[' | ',' | '{');
        }
        last = c;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        unquoted(text).into_iter().map(|at| &text[at]).collect()
    }

    #[test]
    fn only_unquoted_values_count() {
        assert_eq!(found("a: {{ x }}\nb: [{{ y }}, '{{ z }}']\n"), ["{{ x }}", "{{ y }}"]);
        assert_eq!(found("a: \"{{ x }}\" # {{ y }}\nb: text {{ z }}\n"), Vec::<&str>::new());
        assert_eq!(found("with: { a: {{ x }}, b: c }\n"), ["{{ x }}"]);
    }

    #[test]
    fn a_block_text_may_hold_what_it_likes() {
        assert_eq!(found("a: |\n  - {{ x }}\nb: {{ y }}\n"), ["{{ y }}"]);
        assert_eq!(
            found("  - id: a\n    ask: >-\n      {{ x }}\n    when: {{ y }}\n"),
            ["{{ y }}"]
        );
    }
}
