//! What Quell does, seen from outside: one binary for all integration tests.

mod crash;
mod golden;
mod inputs;
mod layers;
mod open_data;
mod spec;
mod storm;
mod world;
