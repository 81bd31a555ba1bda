//! See `ccs_fuzz::io`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ccs_fuzz::io::run(data));

#[cfg(not(fuzzing))]
fn main() {}
