//! See `ccs_fuzz::client`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ccs_fuzz::client::run(data));

#[cfg(not(fuzzing))]
fn main() {}
