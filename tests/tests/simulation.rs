//! Whole histories with everything that can go wrong, from seeds. The release example runs many more of them:
//!
//! ```text
//! cargo run --release -p ccs-tests --example simulate -- --seeds 2000
//! ```

use ccs_tests::sim::Run;

const SEEDS: u64 = 300;

#[test]
fn no_history_breaks_a_rule() {
    for seed in 0..SEEDS {
        let report = Run::of(seed).run();
        if let Some(violation) = report.violation {
            panic!(
                "seed {seed}: {violation}\n\
                 shortest history: cargo run --release -p ccs-tests --example simulate -- --seeds 1 --from {seed}"
            );
        }
    }
}

#[test]
fn one_seed_is_one_history() {
    for seed in 0..20 {
        let run = Run::of(seed).recorded();
        let (first, second) = (run.run(), run.run());
        assert!(!first.history.is_empty());
        assert_eq!(first, second, "seed {seed}");
        assert_eq!(first.hash, Run::of(seed).run().hash, "seed {seed}");
    }
}
