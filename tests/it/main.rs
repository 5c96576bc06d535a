//! What Quell does, seen from outside: one binary for all integration tests.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    unreachable_pub,
    missing_docs,
    reason = "helpers of tests: a failure is the message, and tables are printed"
)]

mod copies;
mod crash;
mod detection;
mod docs;
mod golden;
mod inputs;
mod layers;
mod load;
mod open_data;
mod published_rules;
mod reload;
mod rule_tests;
mod spec;
mod storm;
mod world;
