//! Expressions and templates: Jinja's expressions, strict, with native values and nothing else.
//!
//! * A bare expression (`when`, `for_each`, a manifest's `expect`) goes to [`evaluate()`].
//! * A JSON value whose strings may hold `{{ }}` goes to [`render()`]; a string that is
//!   exactly one `{{ expression }}` keeps the expression's type.
//! * [`names()`] says which names an expression mentions, and where.
//!
//! Values are built as values: nothing is pasted into JSON; who writes text into a URL or a
//! page escapes it there.
//! Only `{{ }}` is special; statements (`{% %}`) are refused, so there are no
//! loops, and fuel ends whatever else would not end.
//!
//! Used by `playbook`, `connector` and `engine`. Knows no HTTP, no disk and no clock.

mod compiled;
mod engine;
mod error;
mod filters;
mod names;
mod pieces;
mod render;

pub(crate) use compiled::{Came, Expressions, Roots};
pub(crate) use engine::{Context, check, evaluate, holds, known};
pub(crate) use error::TemplateError;
#[cfg(test)]
pub(crate) use error::Trouble;
pub(crate) use names::{Mention, Role, compared, names};
pub(crate) use pieces::{Piece, pieces, sole_expression};
pub(crate) use render::render;
