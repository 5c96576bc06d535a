//! The filters, tests and functions that expressions may use: a list of what is needed, not
//! everything the engine has. What could make much out of little (`range`, `indent`,
//! `replace`) is not on it.

use chrono::DateTime;
use minijinja::value::{Kwargs, Value as Native};
use minijinja::{Environment, Error, ErrorKind, State, filters as given, tests};
use std::io::{self, Write};

use crate::model::time::{Span, Time};

pub(crate) const FILTERS: &[&str] = &[
    "default",
    "first",
    "int",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "select",
    "selectattr",
    "sort",
    "split",
    "string",
    "tojson",
    "trim",
    "unique",
    "upper",
];

pub(crate) const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "endingwith",
    "eq",
    "false",
    "ge",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
];

pub(crate) const FUNCTIONS: &[&str] = &["at_least"];

/// Longest text that a filter writes, in bytes. Fuel counts steps: of `tojson`, each doubles what the
/// one before had to escape, so that forty of them would fill any memory.
const TEXT_MAX: usize = 64 * 1024;

pub(super) fn install(engine: &mut Environment<'static>) {
    install_filters(engine);
    install_tests(engine);
    engine.add_function("at_least", at_least);
}

fn install_filters(engine: &mut Environment<'static>) {
    engine.add_filter("default", given::default);
    engine.add_filter("first", given::first);
    engine.add_filter("int", given::int);
    engine.add_filter("join", join);
    engine.add_filter("last", given::last);
    engine.add_filter("length", given::length);
    engine.add_filter("list", given::list);
    engine.add_filter("lower", given::lower);
    engine.add_filter("map", given::map);
    engine.add_filter("max", given::max);
    engine.add_filter("min", given::min);
    engine.add_filter("reject", given::reject);
    engine.add_filter("rejectattr", given::rejectattr);
    engine.add_filter("select", given::select);
    engine.add_filter("selectattr", given::selectattr);
    engine.add_filter("sort", given::sort);
    engine.add_filter("split", given::split);
    engine.add_filter("string", string);
    engine.add_filter("tojson", to_json);
    engine.add_filter("trim", given::trim);
    engine.add_filter("unique", given::unique);
    engine.add_filter("upper", given::upper);
}

fn install_tests(engine: &mut Environment<'static>) {
    engine.add_test("boolean", tests::is_boolean);
    engine.add_test("defined", tests::is_defined);
    engine.add_test("endingwith", tests::is_endingwith);
    engine.add_test("eq", tests::is_eq);
    engine.add_test("false", tests::is_false);
    engine.add_test("ge", tests::is_ge);
    engine.add_test("gt", tests::is_gt);
    engine.add_test("in", tests::is_in);
    engine.add_test("integer", tests::is_integer);
    engine.add_test("iterable", tests::is_iterable);
    engine.add_test("le", tests::is_le);
    engine.add_test("lt", tests::is_lt);
    engine.add_test("mapping", tests::is_mapping);
    engine.add_test("ne", tests::is_ne);
    engine.add_test("none", tests::is_none);
    engine.add_test("number", tests::is_number);
    engine.add_test("sequence", tests::is_sequence);
    engine.add_test("startingwith", tests::is_startingwith);
    engine.add_test("string", tests::is_string);
    engine.add_test("true", tests::is_true);
    engine.add_test("undefined", tests::is_undefined);
}

/// Text that ends: what does not fit is an error.
#[derive(Default)]
struct Bounded(Vec<u8>);

impl Bounded {
    fn text(self) -> Result<String, Error> {
        String::from_utf8(self.0).map_err(|_| Error::from(ErrorKind::BadSerialization))
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > TEXT_MAX {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn too_long() -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("the text is longer than {TEXT_MAX} bytes"))
}

/// Jinja's `join`, with an end.
#[expect(clippy::needless_pass_by_value, reason = "the engine hands arguments over")]
fn join(items: Native, by: Option<String>) -> Result<String, Error> {
    let by = by.unwrap_or_default();
    let mut out = Bounded::default();
    for (n, item) in items.try_iter()?.enumerate() {
        let by = if n > 0 { by.as_str() } else { "" };
        write!(out, "{by}{item}").map_err(|_| too_long())?;
    }
    out.text()
}

/// Jinja's `string`, with an end; what is a text already stays as it is.
fn string(state: &State, value: &Native) -> Result<Native, Error> {
    if value.is_undefined() || value.as_str().is_some() {
        return given::string(state, value);
    }
    let mut out = Bounded::default();
    write!(out, "{value}").map_err(|_| too_long())?;
    out.text().map(Native::from)
}

/// Compact JSON as plain text. The engine's own filter escapes for HTML, which is not done here.
#[expect(clippy::needless_pass_by_value, reason = "the engine hands arguments over")]
fn to_json(value: Native) -> Result<String, Error> {
    let mut out = Bounded::default();
    serde_json::to_writer(&mut out, &value).map_err(|error| {
        if error.is_io() {
            return too_long();
        }
        Error::new(ErrorKind::BadSerialization, "cannot be written as JSON")
    })?;
    out.text()
}

/// Whether instant `a` is `b` or later, give or take `slack` (2m): two systems' clocks differ.
/// An instant that is none (nothing was ever set) is earlier than every other.
#[expect(clippy::needless_pass_by_value, reason = "the engine hands arguments over")]
fn at_least(a: Native, b: Native, options: Kwargs) -> Result<bool, Error> {
    let slack = match options.get::<Option<String>>("slack")? {
        None => Span::minutes(2),
        Some(text) => text.parse().map_err(|error: crate::model::time::NotASpan| {
            Error::new(ErrorKind::InvalidOperation, error.to_string())
        })?,
    };
    options.assert_all_used()?;
    let Some(after) = instant(&b)? else {
        return Err(Error::new(ErrorKind::InvalidOperation, "at_least: nothing to compare with"));
    };
    Ok(instant(&a)?.is_some_and(|at| at >= after - slack.delta()))
}

fn instant(value: &Native) -> Result<Option<Time>, Error> {
    if value.is_none() {
        return Ok(None);
    }
    let text = value.as_str().unwrap_or_default();
    DateTime::parse_from_rfc3339(text).map(|at| Some(at.to_utc())).map_err(|_| {
        let shown: String = value.to_string().chars().take(40).collect();
        Error::new(ErrorKind::InvalidOperation, format!("`{shown}` is not an RFC 3339 time"))
    })
}

#[cfg(test)]
mod tests_here {
    use super::*;
    use crate::template::{Context, evaluate, holds};
    use serde_json::json;

    #[test]
    fn instants_are_compared_as_instants_with_slack() {
        let fields = json!({
            "stamp": "2026-03-01T10:00:00Z",
            "sent": "2026-03-01T11:01:30.5+01:00",
            "never": null,
        });
        let context = Context::from(&fields);

        assert_eq!(holds("at_least(stamp, sent)", &context), Ok(true));
        assert_eq!(holds("at_least(stamp, sent, slack='30s')", &context), Ok(false));
        assert_eq!(holds("at_least(never, sent)", &context), Ok(false));
        assert!(holds("at_least('yesterday', sent)", &context).is_err());
        assert!(holds("at_least(stamp, never)", &context).is_err());
    }

    /// Each filter doubles the backslashes of the one before.
    #[test]
    fn text_that_is_escaped_again_and_again_has_an_end() {
        let fields = json!({"text": "\\", "long": "x".repeat(TEXT_MAX + 1)});
        let context = Context::from(&fields);
        let escaped = |times: usize| format!("text{}", " | tojson".repeat(times));
        let listed =
            |times: usize| format!("{}text{}", "[".repeat(times), "] | string".repeat(times));

        for made in [escaped(18), listed(18)] {
            let error = evaluate(&made, &context).unwrap_err();
            assert!(error.message.contains("longer than 65536 bytes"), "{}", error.message);
        }
        assert_eq!(evaluate(&escaped(2), &context), Ok(json!(r#""\"\\\\\"""#)));
        assert_eq!(evaluate("long | string", &context), Ok(fields["long"].clone()));
    }

    #[test]
    fn every_listed_filter_and_test_is_installed() {
        for filter in FILTERS {
            let result = evaluate(&format!("[] | {filter}"), &Context::from(&json!({})));
            let unknown = result.is_err_and(|e| e.trouble == crate::template::Trouble::Unknown);
            assert!(!unknown || matches!(*filter, "map" | "select" | "reject"), "{filter}");
        }
        for test in TESTS {
            let result = evaluate(&format!("1 is {test}"), &Context::from(&json!({})));
            let unknown = result.is_err_and(|e| e.trouble == crate::template::Trouble::Unknown);
            assert!(!unknown, "{test}");
        }
    }
}
