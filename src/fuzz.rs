//! What must hold of any bytes at all: one function for each fuzz target of `tests/fuzz`.
//!
//! A function takes bytes, hands them to a face of Quell's, and panics if a promise does not hold.
//! `tests` plays the kept inputs through the same functions, so that what was found stays fixed.
//!
//! May use everything below the command line. Nothing uses it; it is not part of what is shipped.

mod headers;
mod journal;
#[cfg(test)]
mod tests;

use serde_json::Value;
use std::sync::LazyLock;

use crate::connector::catalogue::Catalogue;
use crate::diagnostic::{Colour, Diagnostic, render, to_json};
use crate::intake::{self, Kind, Record};
use crate::model::action::Signatures;
use crate::model::text::tame;
use crate::model::time::Time;
use crate::playbook::{Library, graph, own_text};
use crate::store::anchor as anchors;
use crate::template::{self, Context, TemplateError};

pub use headers::headers;
pub use journal::journal;

/// When everything here is received.
const NOW: i64 = 1_777_976_130;

/// What an expression may make out of itself and its context, for each byte of the context.
const GROWTH_MAX: usize = 4096;

/// What any expression may make, whatever its context.
const VALUE_MAX: usize = 8 << 20;

static SIGNATURES: LazyLock<Signatures> = LazyLock::new(|| {
    Catalogue::builtin().map(|catalogue| catalogue.signatures()).unwrap_or_default()
});

fn now() -> Time {
    Time::from_timestamp(NOW, 0).unwrap_or_default()
}

/// The first byte and the rest.
fn led(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}

/// A delivery's body: the first byte picks the kind of its source.
///
/// Every record is accounted for once, no text that is kept is untamed, and what `replay` makes
/// of a body is understood as the body is.
pub fn intake(data: &[u8]) {
    let (first, body) = led(data);
    let kinds: Vec<Kind> = Kind::all().collect();
    let kind = kinds[usize::from(first) % kinds.len()];
    let rows = intake::count(kind, body);
    let Ok(parsed) = intake::parse(kind, body, now()) else { return };
    let told = parsed.understood + parsed.irrelevant.len() + parsed.problems.len();
    assert_eq!(Ok(told), rows, "a record is lost or told twice");
    assert!(parsed.records.len() >= parsed.understood);
    for record in &parsed.records {
        let written = match record {
            Record::Event(event) => serde_json::to_value(event),
            Record::Alert(alert) => serde_json::to_value(alert),
            Record::Report(report) => serde_json::to_value(report),
        };
        assert_tame(&written.expect("a fact can be written"));
    }
    let batches = intake::rebatch(kind, body, kind.body_cap(), now()).expect("the body was read");
    let again = batches.iter().map(|batch| {
        intake::parse(kind, batch.as_bytes(), now()).map_or(0, |parsed| parsed.understood)
    });
    assert_eq!(again.sum::<usize>(), parsed.understood, "a replayed body says something else");
}

fn assert_tame(value: &Value) {
    match value {
        Value::String(text) => assert_eq!(&tame(text, text.len()), text, "kept untamed"),
        Value::Array(items) => items.iter().for_each(assert_tame),
        Value::Object(fields) => fields.values().for_each(assert_tame),
        _ => {}
    }
}

/// A playbook's text. Whatever is wrong with it points into it and can be shown; what checks
/// clean can be drawn, and is found again in what people approve.
pub fn playbook(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut library = Library::shipped();
    library.put("fuzz.yaml", text);
    match library.check("fuzz.yaml", text, &SIGNATURES) {
        Ok(checked) => {
            assert!(!graph(&checked.plan).is_empty());
            let own = own_text(&checked.whole_text());
            let again = library.check("fuzz.yaml", &own, &SIGNATURES).map(|own| own.digest);
            assert_eq!(again.ok(), Some(checked.digest), "another plan than was checked");
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            problems.iter().for_each(assert_in_text);
            assert!(!render(&problems, Colour::Plain).is_empty());
            problems.iter().map(to_json).for_each(drop);
        }
    }
}

fn assert_in_text(problem: &Diagnostic) {
    for label in std::iter::once(&problem.primary).chain(&problem.secondary) {
        let text = &problem.source.text;
        assert!(text.get(label.at.clone()).is_some(), "{}: {:?}", problem.code, label.at);
    }
}

/// An expression, then after the first line end the JSON that it sees. What it makes is no larger
/// than it may be, and an error points into it.
pub fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (expression, context) = text.split_once('\n').unwrap_or((text, "{}"));
    let fields: Value = serde_json::from_str(context).unwrap_or_default();
    let seen = Context::from(&fields);
    let limit = VALUE_MAX + context.len() * GROWTH_MAX;
    let sound = template::check(expression);
    let value = template::evaluate(expression, &seen);
    for (error, of) in [(sound.as_ref().err(), expression), (value.as_ref().err(), expression)] {
        assert_placed(error, of);
    }
    assert!(sound.is_ok() || value.is_err(), "evaluated, although it does not check");
    if let Ok(value) = value {
        assert!(value.to_string().len() <= limit, "much out of little");
    }
    drop(template::holds(expression, &seen));
    for mention in template::names(expression) {
        assert!(expression.get(mention.at.clone()).is_some(), "{:?}", mention.at);
    }
    for found in template::compared(expression) {
        assert_eq!(expression.get(found.at.clone()), Some(found.text.as_str()));
    }
    let rendered = template::render(&Value::String(expression.to_owned()), &seen);
    assert_placed(rendered.as_ref().err(), expression);
    if let Ok(made) = rendered {
        assert!(made.to_string().len() <= limit, "much out of little");
    }
}

fn assert_placed(error: Option<&TemplateError>, text: &str) {
    if let Some(at) = error.and_then(|error| error.at.clone()) {
        assert!(at.start <= at.end && at.end <= text.len(), "{at:?} of {text:?}");
    }
}

/// A connector's manifest; the first byte picks which file of a connector it is. It is refused
/// with reasons, or what it describes can be called.
pub fn manifest(data: &[u8]) {
    const FILES: [&str; 4] = [
        "capabilities.yaml",
        "webhook/connector.yaml",
        "webhook/send-message.yaml",
        "okta/get-user.yaml",
    ];
    let (first, text) = led(data);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let path = FILES[usize::from(first) % FILES.len()];
    match Catalogue::load(vec![(path.to_owned(), text.to_owned())]) {
        Ok(catalogue) => drop(catalogue.signatures()),
        Err(errors) => assert!(!errors.0.is_empty(), "refused without a reason"),
    }
}

/// Checkpoints that were kept elsewhere. With no key of its own a text may say what it likes; a
/// key that signed nothing vouches for nothing.
pub fn anchor(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let any = anchors::read(text, &[]);
    let trusted = anchors::read(text, &[headers::secret(data, "anchor")]);
    assert!(trusted.is_err(), "{trusted:?} by a key that signed nothing");
    if let Ok(found) = any {
        assert!(!found.is_empty());
    }
}
