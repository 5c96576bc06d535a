//! What Quell does, seen from outside: one binary for all integration tests.

mod open_data;
mod spec;
