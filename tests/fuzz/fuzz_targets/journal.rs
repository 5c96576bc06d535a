//! Runs `quell::fuzz::journal`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quell::fuzz::journal(data));
