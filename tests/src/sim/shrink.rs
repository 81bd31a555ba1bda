//! The same failure with as few actions as possible.

use super::{Rule, Run};

/// Runs at most, so that a long history does not take for ever.
const RUNS: usize = 2_000;

/// Leaves out parts of the plan, large ones first, as long as the same rule is broken (delta debugging, Zeller and
/// Hildebrandt 2002).
pub(super) fn shrink(run: &Run, rule: Rule) -> Run {
    let fails = |run: &Run| {
        let violation = run.run().violation;
        violation.is_some_and(|violation| violation.rule == rule)
    };
    let mut best = run.clone();
    let mut left = RUNS;
    let mut part = best.numbers().len() / 2;
    while part > 0 && left > 0 {
        let numbers = best.numbers();
        let mut smaller = None;
        for start in (0..numbers.len()).step_by(part) {
            if left == 0 {
                break;
            }
            left -= 1;
            let end = (start + part).min(numbers.len());
            let kept: Vec<usize> = [&numbers[..start], &numbers[end..]].concat();
            let candidate = run.clone().keeping(&kept);
            if fails(&candidate) {
                smaller = Some(candidate);
                break;
            }
        }
        match smaller {
            Some(smaller) => {
                best = smaller;
                part = part.min(best.numbers().len());
            }
            None => part /= 2,
        }
    }
    best
}
