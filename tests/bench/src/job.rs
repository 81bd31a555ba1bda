//! Something to measure, and how it is measured: all jobs in turn, round after round, so that what else the machine does
//! hits all of them alike.
//!
//! The allocator counts while it is timed, too: a few nanoseconds an allocation, for whoever makes any.

use std::time::{Duration, Instant};

/// One pass over a number of messages.
pub trait Job {
    /// Does the work. What it gives depends on all of it, so that nothing is optimised away.
    fn run(&mut self) -> usize;

    /// Makes ready for the next run, outside the measured time.
    fn tidy(&mut self) {}
}

impl<F: FnMut() -> usize> Job for F {
    fn run(&mut self) -> usize {
        self()
    }
}

/// A job with what there is to say of it.
pub struct Case<L> {
    pub label: L,
    pub messages: usize,
    pub job: Box<dyn Job>,
}

/// What a case costs.
pub struct Measured<L> {
    pub label: L,
    /// Nanoseconds a message, the median of the rounds.
    pub ns: f64,
    /// Allocations a message.
    pub allocations: f64,
}

/// Runs all cases, `rounds` times and once before to warm up. In a round each does as many messages as the one that does most
/// of them in a run.
pub fn measure<L>(mut cases: Vec<Case<L>>, rounds: usize) -> Vec<Measured<L>> {
    let most = cases.iter().map(|case| case.messages).max().unwrap_or(0);
    let mut times = vec![Vec::new(); cases.len()];
    for round in 0..=rounds {
        for (case, times) in cases.iter_mut().zip(&mut times) {
            let runs = most / case.messages;
            let mut time = Duration::ZERO;
            for _ in 0..runs {
                let started = Instant::now();
                std::hint::black_box(case.job.run());
                time += started.elapsed();
                case.job.tidy();
            }
            if round > 0 {
                times.push(time.as_nanos() as f64 / (runs * case.messages) as f64);
            }
        }
        eprint!("\rround {round} of {rounds}");
    }
    eprintln!();
    let measured = cases.into_iter().zip(times);
    measured.map(|(case, times)| sum_up(case, times)).collect()
}

fn sum_up<L>(mut case: Case<L>, times: Vec<f64>) -> Measured<L> {
    let counted = allocation_counter::measure(|| {
        std::hint::black_box(case.job.run());
    });
    Measured {
        label: case.label,
        ns: median(times),
        allocations: counted.count_total as f64 / case.messages as f64,
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}
