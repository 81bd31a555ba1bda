//! The simulator finds bugs: each that is planted in the session and in the hub, in fewer than 1,000 seeds.
//!
//! ```text
//! RUSTFLAGS="--cfg ccs_planted" cargo test --release -p ccs-tests --test planted --target-dir target/planted
//! ```
#![cfg(ccs_planted)]

use std::fmt::Debug;

use ccs_proto::{hub, session};
use ccs_tests::sim::Run;

const SEEDS: u64 = 1_000;

fn each_is_found<B: Copy + Debug>(bugs: &[B], plant: impl Fn(Run, B) -> Run) {
    let mut missed = Vec::new();
    for bug in bugs {
        let mut found = (0..SEEDS).filter_map(|seed| {
            let violation = plant(Run::of(seed), *bug).run().violation?;
            Some((seed, violation))
        });
        match found.next() {
            Some((seed, violation)) => println!("{bug:?}: {} seeds: {violation}", seed + 1),
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found in {SEEDS} seeds: {missed:?}");
}

#[test]
fn each_bug_planted_in_the_session_is_found_in_fewer_than_1000_seeds() {
    each_is_found(&session::Planted::ALL, Run::with);
}

#[test]
fn each_bug_planted_in_the_hub_is_found_in_fewer_than_1000_seeds() {
    each_is_found(&hub::Planted::ALL, Run::with_hub);
}

#[test]
fn the_same_build_without_one_is_clean() {
    for seed in 0..SEEDS {
        assert_eq!(Run::of(seed).run().violation, None, "seed {seed}");
    }
}
