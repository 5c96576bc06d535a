//! The playbook language: YAML as a person wrote it → a checked plan, or every problem in it.
//!
//! Three stages, each a type that only the one before can make:
//!
//! * `document`: the YAML as nodes that know where they stand,
//! * `draft`: what was typed, key by key ([`draft`] reports shapes and unknown keys),
//! * [`Plan`](crate::model::plan::Plan): what it means, once every rule in `rules` is content.
//!
//! What may be called comes in as [`Signatures`](crate::model::action::Signatures).
//!
//! Uses `model`, `diagnostic` and `template`. Knows no connector, no HTTP and no disk.

mod check;
mod digest;
mod document;
mod draft;
mod fields;
#[cfg(test)]
pub(crate) mod fixture;
mod graph;
mod inline;
mod keys;
mod library;
mod resolve;
mod rules;
mod schema;
mod shape;
mod shipped;
mod skeleton;
#[cfg(test)]
mod tests;
mod unquoted;

#[cfg(test)]
pub(crate) use check::check;
pub(crate) use check::{Checked, own_text};
pub(crate) use document::{Entry, Node, Yaml, parse as parse_yaml};
pub(crate) use graph::graph;
pub(crate) use library::Library;
pub(crate) use schema::schema;
pub(crate) use shipped::{SHIPPED, SHIPPED_TRIALS};
pub(crate) use skeleton::{TRIALS, skeleton};
