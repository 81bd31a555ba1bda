//! See `ccs_fuzz::pair`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ccs_fuzz::pair::run(data));

#[cfg(not(fuzzing))]
fn main() {}
