//! What Quell does, seen from outside: one binary for all integration tests.

mod layers;
mod open_data;
mod spec;
