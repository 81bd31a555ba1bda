//! See `ccs_fuzz::writer`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ccs_fuzz::writer::run(data));

#[cfg(not(fuzzing))]
fn main() {}
