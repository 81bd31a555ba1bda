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

/// Runs all cases, `rounds` times and once before to warm up.
pub fn measure<L>(mut cases: Vec<Case<L>>, rounds: usize) -> Vec<Measured<L>> {
    let mut times = vec![Vec::new(); cases.len()];
    for round in 0..=rounds {
        for (case, times) in cases.iter_mut().zip(&mut times) {
            let started = Instant::now();
            std::hint::black_box(case.job.run());
            let time = started.elapsed();
            case.job.tidy();
            if round > 0 {
                times.push(time);
            }
        }
        eprint!("\rround {round} of {rounds}");
    }
    eprintln!();
    let measured = cases.into_iter().zip(times);
    measured.map(|(case, times)| sum_up(case, times)).collect()
}

fn sum_up<L>(mut case: Case<L>, times: Vec<Duration>) -> Measured<L> {
    let counted = allocation_counter::measure(|| {
        std::hint::black_box(case.job.run());
    });
    let messages = case.messages as f64;
    Measured {
        label: case.label,
        ns: median(times).as_nanos() as f64 / messages,
        allocations: counted.count_total as f64 / messages,
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
