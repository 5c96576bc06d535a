//! Runs `quell::fuzz::intake`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quell::fuzz::intake(data));
