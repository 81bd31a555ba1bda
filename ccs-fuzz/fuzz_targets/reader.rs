//! See `ccs_fuzz::reader`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ccs_fuzz::reader::run(data));

#[cfg(not(fuzzing))]
fn main() {}
