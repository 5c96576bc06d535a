//! Runs `quell::fuzz::template`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quell::fuzz::template(data));
