//! Which names an expression mentions, and where: what the checker and the engine need to know
//! without running it. The engine parses; this only reads along, so that places are known.

use std::ops::Range;

/// What a mentioned name is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A value: `incident.stage`.
    Name,
    Filter,
    Test,
    Function,
}

/// One mention of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mention {
    pub(crate) role: Role,
    /// The parts of a dotted path, each with its place in the expression.
    pub(crate) parts: Vec<(String, Range<usize>)>,
    /// The whole path's place.
    pub(crate) at: Range<usize>,
}

impl Mention {
    /// `incident.stage`.
    pub(crate) fn path(&self) -> String {
        self.parts.iter().map(|(part, _)| part.as_str()).collect::<Vec<_>>().join(".")
    }

    pub(crate) fn part(&self, n: usize) -> Option<&str> {
        self.parts.get(n).map(|(part, _)| part.as_str())
    }
}

pub(super) const WORDS: &[&str] = &[
    "and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None",
];

/// Every name that the expression mentions, in order.
pub(crate) fn names(expression: &str) -> Vec<Mention> {
    let tokens = tokens(expression);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if token.kind != Kind::Word {
            at += 1;
            continue;
        }
        let before = at.checked_sub(1).and_then(|n| tokens.get(n));
        let after = tokens.get(at + 1);
        let is = |token: Option<&Token>, text: &str| token.is_some_and(|t| t.text == text);
        let after_is =
            is(before, "is") || (is(before, "not") && at >= 2 && is(tokens.get(at - 2), "is"));
        let role = if is(before, "|") {
            Some(Role::Filter)
        } else if after_is && token.text != "not" {
            Some(Role::Test)
        } else if is(before, ".") || is(after, "=") || WORDS.contains(&token.text) {
            None
        } else if is(after, "(") {
            Some(Role::Function)
        } else {
            Some(Role::Name)
        };
        let mut parts = vec![(token.text.to_owned(), token.at.clone())];
        at += 1;
        if role == Some(Role::Name) {
            while is(tokens.get(at), ".")
                && let Some(next) = tokens.get(at + 1).filter(|t| t.kind == Kind::Word)
            {
                parts.push((next.text.to_owned(), next.at.clone()));
                at += 2;
            }
        }
        if let Some(role) = role {
            let whole = parts[0].1.start..parts[parts.len() - 1].1.end;
            found.push(Mention { role, parts, at: whole });
        }
    }
    found
}

/// A text that a path is compared with: `incident.stage == "breached"`, `… in ["confirmed"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) path: Mention,
    pub(crate) text: String,
    pub(crate) at: Range<usize>,
}

/// Every text that a path on its left is compared with.
pub(crate) fn compared(expression: &str) -> Vec<Compared> {
    let tokens = tokens(expression);
    let mut out = Vec::new();
    for path in names(expression).into_iter().filter(|mention| mention.role == Role::Name) {
        let right: Vec<&Token> =
            tokens.iter().skip_while(|token| token.at.start < path.at.end).collect();
        let words: Vec<&str> = right.iter().take(3).map(|token| token.text).collect();
        let texts: &[&Token] = match words.as_slice() {
            ["==", ..] => right.get(1..2).unwrap_or_default(),
            ["!", "=", ..] => right.get(2..3).unwrap_or_default(),
            ["in", "[" | "(", ..] => &right[2..],
            ["not", "in", "[" | "("] => &right[3..],
            _ => continue,
        };
        for token in texts.iter().take_while(|t| t.kind == Kind::Text || t.text == ",") {
            let inside = token.at.start + 1..token.at.end.saturating_sub(1);
            if let (Kind::Text, Some(text)) = (token.kind, expression.get(inside.clone())) {
                out.push(Compared { path: path.clone(), text: text.to_owned(), at: inside });
            }
        }
    }
    out
}

/// Where the expression multiplies, if it does.
pub(super) fn multiplication(expression: &str) -> Option<Range<usize>> {
    tokens(expression).into_iter().find(|token| token.text == "*").map(|token| token.at)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    /// In quotes.
    Text,
    Other,
}

struct Token<'e> {
    kind: Kind,
    text: &'e str,
    at: Range<usize>,
}

/// Words, numbers, texts in quotes, and every other character by itself.
fn tokens(expression: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut rest = expression.char_indices().peekable();
    while let Some((start, c)) = rest.next() {
        let mut end = start + c.len_utf8();
        if c == '"' || c == '\'' {
            while let Some((at, inner)) = rest.next() {
                end = at + inner.len_utf8();
                if inner == '\\' {
                    rest.next();
                } else if inner == c {
                    break;
                }
            }
            // Stands for the text, so that what is on its two sides does not become neighbours.
            out.push(Token { kind: Kind::Text, text: "\"", at: start..end });
            continue;
        }
        if c.is_whitespace() {
            continue;
        }
        let word = c.is_alphabetic() || c == '_';
        if word || c.is_ascii_digit() {
            while let Some((at, next)) = rest.next_if(|(_, n)| n.is_alphanumeric() || *n == '_') {
                end = at + next.len_utf8();
            }
        } else if c == '=' && rest.next_if(|(_, n)| *n == '=').is_some() {
            end += 1;
        }
        let kind = if word { Kind::Word } else { Kind::Other };
        out.push(Token { kind, text: &expression[start..end], at: start..end });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn paths(expression: &str) -> Vec<String> {
        names(expression).iter().filter(|m| m.role == Role::Name).map(Mention::path).collect()
    }

    #[test]
    fn paths_are_found_where_they_stand() {
        let expression = "incident.stage in ['a.b', x] and not (alert is defined)";

        assert_eq!(paths(expression), ["incident.stage", "x", "alert"]);
        let mentions = names(expression);
        assert_eq!(&expression[mentions[0].at.clone()], "incident.stage");
        assert_eq!(&expression[mentions[0].parts[1].1.clone()], "stage");
    }

    #[test]
    fn filters_tests_functions_and_options_are_not_values() {
        let expression = "at_least(a.b, c, slack='2m') | default(d) is not none";
        let roles: Vec<(Role, String)> =
            names(expression).iter().map(|m| (m.role, m.path())).collect();

        assert_eq!(
            roles,
            [
                (Role::Function, "at_least".to_owned()),
                (Role::Name, "a.b".to_owned()),
                (Role::Name, "c".to_owned()),
                (Role::Filter, "default".to_owned()),
                (Role::Name, "d".to_owned()),
                (Role::Test, "none".to_owned()),
            ]
        );
    }

    #[test]
    fn what_follows_a_subscript_is_not_a_new_name() {
        assert_eq!(paths("a.b[0].c == d['e'].f"), ["a.b", "d"]);
    }

    #[test]
    fn texts_that_a_path_is_compared_with_are_found() {
        let expression = "a.b in ['x', 'y'] or not (c != \"z\") and 'w' == d and e not in ('v',)";
        let found: Vec<(String, String)> =
            compared(expression).into_iter().map(|c| (c.path.path(), c.text)).collect();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());

        assert_eq!(found, [pair("a.b", "x"), pair("a.b", "y"), pair("c", "z"), pair("e", "v")]);
    }

    #[test]
    fn a_star_in_a_text_is_not_a_multiplication() {
        assert_eq!(multiplication("a ~ '*'"), None);
        assert_eq!(multiplication("a * 2"), Some(2..3));
        assert!(multiplication("a**2").is_some());
    }

    #[test]
    fn the_engine_sees_the_same_names() {
        let engine = minijinja::Environment::new();
        for expression in [
            "incident.stage in ['x'] and subject.accounts | selectattr('privileged') | length > 0",
            "a if b else c.d",
            "{'k': v, w: 1}[x]",
            "[a, b.c, (d,)] ~ e.f",
            "not a.b or c is in d",
            "1.5 + a.b",
        ] {
            let theirs = engine.compile_expression(expression).unwrap().undeclared_variables(true);
            let ours: std::collections::HashSet<String> = paths(expression).into_iter().collect();
            assert_eq!(ours, theirs, "{expression}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in "\\PC{0,80}") {
            for mention in names(&text) {
                prop_assert!(text.get(mention.at).is_some());
            }
            for compared in compared(&text) {
                prop_assert!(text.get(compared.at).is_some());
            }
        }
    }
}
