//! Tells people elsewhere what needs them, and where to look: chat, mail, pager, webhooks.
//!
//! A message tells and links; it carries no token and nothing that decides. Its link is a plain GET to a page of
//! the console, which changes nothing.
//!
//! * `facts` reads what there is to tell from journal entries; pure.
//! * `outbox` says who is told what, and when: channels, the ladder, budgets; pure.
//! * `words` puts a notice into plain text; pure. What a channel would read as markup, its manifest escapes.
//! * `on_call` asks the pager whose turn it is.
//! * `room` follows the journal and makes the calls, through the engine's ports.
//!
//! Each delivery is journalled with how far the journal is told, so that nothing is lost over a crash; between a
//! call and its entry lies the only moment after which somebody may be told twice, and the entry then says so.
//!
//! May use `engine` and what is below it. Knows no HTTP, no disk and no console.

mod facts;
mod meter;
mod on_call;
mod options;
mod outbox;
mod room;
mod words;

pub(crate) use meter::Meters;
pub(crate) use on_call::{KnownAs, follow_pager};
pub(crate) use options::{Address, Options};
pub(crate) use room::follow;

#[cfg(test)]
mod tests;
