//! The simulator finds bugs: each that is planted in the session, in fewer than 1,000 seeds.
//!
//! ```text
//! RUSTFLAGS="--cfg ccs_planted" cargo test --release -p ccs-tests --test planted --target-dir target/planted
//! ```
#![cfg(ccs_planted)]

use ccs_proto::session::Planted;
use ccs_tests::sim::Run;

const SEEDS: u64 = 1_000;

#[test]
fn each_planted_bug_is_found_in_fewer_than_1000_seeds() {
    let mut missed = Vec::new();
    for bug in Planted::ALL {
        let mut found = (0..SEEDS).filter_map(|seed| {
            let violation = Run::of(seed).with(bug).run().violation?;
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
fn the_same_build_without_one_is_clean() {
    for seed in 0..SEEDS {
        assert_eq!(Run::of(seed).run().violation, None, "seed {seed}");
    }
}
