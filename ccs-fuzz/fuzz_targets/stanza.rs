//! See `ccs_fuzz::stanza`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ccs_fuzz::stanza::run(data));

#[cfg(not(fuzzing))]
fn main() {}
