//! Cuts a template into literal text and `{{ expression }}`.

use std::ops::Range;

use super::error::{TemplateError, Trouble};

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece<'t> {
    Text(&'t str),
    /// An expression and where it stands in the template, braces not counted.
    Expression(&'t str, Range<usize>),
}

/// The template's parts in order.
pub(crate) fn pieces(template: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut out = Vec::new();
    let mut from = 0;
    loop {
        let rest = &template[from..];
        let opening = rest.find("{{");
        let literal = &rest[..opening.unwrap_or(rest.len())];
        if let Some(at) = literal.find("{%") {
            let message = "statements (`{% %}`) are not available: use an expression";
            return Err(TemplateError::new(Trouble::Syntax, message).at(from + at..from + at + 2));
        }
        if !literal.is_empty() {
            out.push(Piece::Text(literal));
        }
        let Some(opening) = opening else {
            return Ok(out);
        };
        let start = from + opening + 2;
        let Some(length) = closing(&template[start..]) else {
            let message = "`{{` is never closed";
            return Err(TemplateError::new(Trouble::Syntax, message).at(start - 2..start));
        };
        out.push(Piece::Expression(&template[start..start + length], start..start + length));
        from = start + length + 2;
    }
}

/// The expression, if the template is that and nothing else.
pub(crate) fn sole_expression(template: &str) -> Option<&str> {
    match pieces(template).ok()?.as_slice() {
        [Piece::Expression(expression, _)] => Some(expression),
        _ => None,
    }
}

/// The offset of the `}}` that ends an expression: not one in a quoted text, nor one that ends a map.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0_usize;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None => match c {
                '"' | '\'' => quote = Some(c),
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                '}' if text[at..].starts_with("}}") => return Some(at),
                _ => {}
            },
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_in_texts_and_maps_do_not_end_an_expression() {
        let template = "a {{ '}}' }} b {{ {'k': {}} }}";

        let cut = pieces(template).unwrap();

        assert_eq!(
            cut,
            [
                Piece::Text("a "),
                Piece::Expression(" '}}' ", 4..10),
                Piece::Text(" b "),
                Piece::Expression(" {'k': {}} ", 17..28),
            ]
        );
    }

    #[test]
    fn statements_and_open_braces_are_refused() {
        assert!(pieces("{% if x %}").is_err());
        assert!(pieces("{{ x").is_err());
        assert_eq!(pieces("no { braces }").unwrap(), [Piece::Text("no { braces }")]);
    }
}
