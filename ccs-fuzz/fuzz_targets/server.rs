//! See `ccs_fuzz::server`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ccs_fuzz::server::run(data));

#[cfg(not(fuzzing))]
fn main() {}
