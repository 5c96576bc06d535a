//! Decides what a run does next, and gets it done.
//!
//! The engine has two halves, so that the interesting one can be tested without
//! a runtime, a clock or a network:
//!
//! * `decide` is a pure function: plan, state and time in, commands out.
//! * `driver` carries the commands out through the traits in `ports`, and
//!   commits what came back.
//!
//! A restart is not a special case: the driver reads the state back and asks
//! again. An intent without an outcome is *in doubt* and is never repeated
//! without its action's `repeat` rule saying so.
//!
//! May use `model`, `template`, `detect` and `approval`. Knows no HTTP, no YAML and no disk.

mod answers;
pub(crate) mod approvers;
mod asked;
pub(crate) mod clean;
pub(crate) mod context;
pub(crate) mod decide;
pub(crate) mod delegations;
pub(crate) mod driver;
pub(crate) mod guardrails;
pub(crate) mod ingest;
mod listing;
pub(crate) mod oncall;
pub(crate) mod people;
pub(crate) mod policy;
pub(crate) mod ports;
mod recall;
pub(crate) mod restore;
pub(crate) mod retire;
pub(crate) mod shelf;
#[cfg(test)]
mod sim;
pub(crate) mod state;
pub(crate) mod tasks;
pub(crate) mod tokens;
mod upkeep;

pub(crate) use recall::recall;
