//! Runs many seeds of the simulator.
//!
//! ```text
//! cargo run --release -p ccs-tests --example simulate -- --seeds N [--from S] [--keep A,B,..]
//! ```
//!
//! Says how many seeds a second and what they met. On a failure: the seed, the shortest history that was found, and how
//! to see it again. A run of 10,000 seeds or more fails as well when something was never met.

use std::process::ExitCode;
use std::time::Instant;

use ccs_tests::sim::{Run, Seen};

/// Seeds after which everything must have been met.
const ENOUGH: u64 = 10_000;

struct Arguments {
    seeds: u64,
    from: u64,
    keep: Option<Vec<usize>>,
}

fn arguments() -> Result<Arguments, String> {
    let mut parsed = Arguments {
        seeds: 1_000,
        from: 0,
        keep: None,
    };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given
            .next()
            .ok_or_else(|| format!("{name} needs a value"))?;
        let number = |text: &str| {
            text.parse()
                .map_err(|_| format!("{name}: no number: {text}"))
        };
        match name.as_str() {
            "--seeds" => parsed.seeds = number(&value)?,
            "--from" => parsed.from = number(&value)?,
            "--keep" => {
                let kept: Result<Vec<u64>, _> = value.split(',').map(number).collect();
                let kept = kept?.into_iter();
                parsed.keep = Some(kept.filter_map(|n| usize::try_from(n).ok()).collect());
            }
            other => return Err(format!("{other} is no option")),
        }
    }
    Ok(parsed)
}

fn main() -> ExitCode {
    match arguments() {
        Ok(Arguments {
            from,
            keep: Some(keep),
            ..
        }) => replay(&Run::of(from).keeping(&keep)),
        Ok(arguments) => explore(&arguments),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn explore(arguments: &Arguments) -> ExitCode {
    let started = Instant::now();
    let mut seen = Seen::default();
    let mut steps = 0;
    for seed in arguments.from..arguments.from.saturating_add(arguments.seeds) {
        let run = Run::of(seed);
        let report = run.run();
        seen.add(&report.seen);
        steps += report.steps;
        if let Some(violation) = report.violation {
            println!("seed {seed}: {violation}");
            let shortest = run.shrunk(violation.rule);
            let kept: Vec<String> = shortest.numbers().iter().map(ToString::to_string).collect();
            replay(&shortest);
            println!(
                "again: cargo run --release -p ccs-tests --example simulate -- --from {seed} --keep {}",
                kept.join(",")
            );
            return ExitCode::FAILURE;
        }
    }
    let took = started.elapsed().as_secs_f64();
    print!("{seen}");
    let seeds = arguments.seeds;
    #[expect(clippy::cast_precision_loss, reason = "it is a rate")]
    let rate = seeds as f64 / took;
    println!("{seeds} seeds, {steps} events, {took:.1} s: {rate:.0} seeds a second");
    let missing: Vec<&str> = seen.missing().map(|sight| sight.words()).collect();
    if !missing.is_empty() {
        println!("never met: {}", missing.join("; "));
        if seeds >= ENOUGH {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn replay(run: &Run) -> ExitCode {
    for action in run.actions() {
        println!("{action}");
    }
    let report = run.clone().recorded().run();
    for line in &report.history {
        println!("{line}");
    }
    match report.violation {
        Some(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
