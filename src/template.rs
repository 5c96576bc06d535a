//! Expressions and templates: Jinja's expressions, strict, with native values and nothing else.
//!
//! * A bare expression (`when`, `for_each`, a manifest's `expect`) goes to [`evaluate()`].
//! * A JSON value whose strings may hold `{{ }}` goes to [`render()`]; a string that is
//!   exactly one `{{ expression }}` keeps the expression's type.
//! * [`names()`] says which names an expression mentions, and where.
//!
//! Values are built as values: nothing is pasted into JSON. Text that has to go
//! into a URL path or a chat message passes through [`escape`] there.
//! Only `{{ }}` is special; statements (`{% %}`) are refused, so there are no
//! loops, and fuel ends whatever else would not end.
//!
//! Used by `playbook`, `connector` and `engine`. Knows no HTTP, no disk and no clock.

mod engine;
mod error;
pub(crate) mod escape;
mod filters;
mod names;
mod pieces;
mod render;

pub(crate) use engine::{Context, check, evaluate, holds, known};
pub(crate) use error::{TemplateError, Trouble};
pub(crate) use names::{Compared, Mention, Role, compared, names};
pub(crate) use pieces::{Piece, pieces, sole_expression};
pub(crate) use render::{render, render_text};
