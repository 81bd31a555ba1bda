//! See `ccs_fuzz::json`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ccs_fuzz::json::run(data));

#[cfg(not(fuzzing))]
fn main() {}
