//! What a message costs in instructions and allocations, compared with what is committed.
//!
//! `cargo run --release --manifest-path tests/bench/Cargo.toml --no-default-features --bin costs -- [--update]`
//!
//! It fails when a case costs more than `costs.json` says; `--update` writes what they cost now there. Both counts are the
//! same in every run, whatever else the machine does. Valgrind has to be there; where in a case the instructions go, it
//! says as well:
//!
//! ```text
//! valgrind --tool=callgrind --toggle-collect='*measured*' tests/bench/target/release/costs event raw 8192
//! callgrind_annotate callgrind.out.*
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::{env, fs};

use ccs_bench::corpus::{Corpus, Quotes, Size, WINDOW};
use ccs_bench::job::Job;
use ccs_bench::jobs::ccs::{AckBytes, Answers, Events, Sends};
use ccs_bench::jobs::hub::{Downwards, To, Upwards};
use ccs_bench::table;
use serde::{Deserialize, Serialize};

/// What is done, how the quotes are written, and the bytes of a read; or which way through a hub, and how many others wait.
const CASES: [&str; 8] = [
    "event raw 8192",
    "event quot 8192",
    "event raw 64",
    "ack raw 8192",
    "down raw 8192",
    "endpoint raw 8192",
    "hub up 1000",
    "hub down 1000",
];

/// How many more instructions a case may have, as a part. One compiler on one machine gives the same count every time; what
/// is added elsewhere in the program moves it by some tenths of a percent, since the compiler inlines otherwise. A pass too
/// many over the message, byte by byte, is 5 % of the cheapest way to read one.
const MORE_INSTRUCTIONS: f64 = 0.03;
/// The same when another compiler built the baseline: from Rust 1.95 to a 1.97 nightly most cases moved by less than 1.3 %,
/// and the endpoint's by 4.6 %.
const MORE_INSTRUCTIONS_BY_COMPILER: f64 = 0.06;
/// How many more allocations a message may have: none, but for buffers that grow now and then.
const MORE_ALLOCATIONS: f64 = 0.05;

/// What all cases cost, and which compiler built them.
#[derive(Serialize, Deserialize)]
struct Costs {
    rustc: String,
    cases: BTreeMap<String, Cost>,
}

/// What one message costs.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Cost {
    instructions: u64,
    allocations: f64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] => compare(),
        ["--update"] => update(),
        [what, how, number] => job(what, how, number).map(run),
        _ => Err("usage: costs [--update], or one case: costs event raw 8192".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("costs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<(), String> {
    let file = baseline();
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let before: Costs = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let now = count_all()?;
    let tolerance = match before.rustc == now.rustc {
        true => MORE_INSTRUCTIONS,
        false => MORE_INSTRUCTIONS_BY_COMPILER,
    };
    let (mut worse, mut better, mut rows) = (Vec::new(), false, Vec::new());
    for (case, cost) in &now.cases {
        let before = before.cases.get(case);
        let before = before.ok_or_else(|| format!("no baseline for {case}: run with --update"))?;
        let grown = cost.instructions as f64 / before.instructions as f64 - 1.0;
        let more = cost.allocations - before.allocations;
        if grown > tolerance || more > MORE_ALLOCATIONS {
            worse.push(case.as_str());
        }
        better |= grown < -tolerance || more < -MORE_ALLOCATIONS;
        rows.push(vec![
            case.clone(),
            before.instructions.to_string(),
            cost.instructions.to_string(),
            format!("{:+.1} %", grown * 100.0),
            format!("{:.2}", before.allocations),
            format!("{:.2}", cost.allocations),
            format!("{more:+.2}"),
        ]);
    }
    let head = ["", "instructions", "now", "", "allocations", "now", ""];
    table::print("a message", &head.map(str::to_owned), &rows);
    if before.rustc != now.rustc {
        println!("the baseline is of {}, this is {}", before.rustc, now.rustc);
    }
    if !worse.is_empty() {
        return Err(format!(
            "{} cost more than before. If that is worth it, or the compiler's doing, run with --update and say why in the commit",
            worse.join(", ")
        ));
    }
    if better {
        println!("some cost less than before: run with --update, so that it stays so");
    }
    Ok(())
}

fn update() -> Result<(), String> {
    let json = serde_json::to_string_pretty(&count_all()?).map_err(|error| error.to_string())?;
    println!("{json}");
    fs::write(baseline(), json + "\n").map_err(|error| error.to_string())
}

fn baseline() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("costs.json")
}

fn count_all() -> Result<Costs, String> {
    let mut cases = BTreeMap::new();
    for case in CASES {
        eprintln!("{case}");
        cases.insert(case.to_owned(), count(case)?);
    }
    let rustc = output(Command::new("rustc").arg("--version"))?.0;
    let rustc = rustc.trim().to_owned();
    Ok(Costs { rustc, cases })
}

/// Runs one case under valgrind.
fn count(case: &str) -> Result<Cost, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--toggle-collect=*measured*"])
        .arg("--callgrind-out-file=/dev/null")
        .arg(program)
        .args(case.split(' '));
    let (allocations, words) = output(&mut valgrind)?;
    let instructions = words
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let instructions = instructions.and_then(|(_, number)| number.trim().parse::<u64>().ok());
    let allocations = allocations.trim().parse::<u64>().ok();
    let (Some(instructions), Some(allocations)) = (instructions, allocations) else {
        return Err(format!(
            "no counts in what valgrind says of {case}:\n{words}"
        ));
    };
    let messages = (ROUNDS * WINDOW) as u64;
    Ok(Cost {
        instructions: instructions / messages,
        // Hundredths: more would be noise in a file that people read.
        allocations: (allocations * 100 / messages) as f64 / 100.0,
    })
}

/// What a command writes to stdout and to stderr.
fn output(command: &mut Command) -> Result<(String, String), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output();
    let output = output.map_err(|error| format!("{name} cannot be run: {error}"))?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    match output.status.success() {
        true => Ok((out, err)),
        false => Err(format!("{name} failed, {}:\n{err}", output.status)),
    }
}

/// Runs that count, after one that makes buffers as large as they get.
const ROUNDS: usize = 30;

fn job(what: &str, how: &str, number: &str) -> Result<Box<dyn Job>, String> {
    let Ok(number @ 1..) = number.parse() else {
        return Err(format!("a number is needed, not {number}"));
    };
    let quotes = match how {
        "up" if what == "hub" => return Ok(Box::new(Upwards::waiting(number))),
        "down" if what == "hub" => return Ok(Box::new(Downwards::kept(number, To::Online))),
        "raw" => Quotes::Raw,
        "quot" => Quotes::Reference,
        _ => return Err(format!("quotes are raw or quot, not {how}")),
    };
    let corpus = Rc::new(Corpus::of(WINDOW, Size(1_000), quotes));
    Ok(match what {
        "event" => Box::new(Events::new(corpus, number)),
        "ack" => Box::new(AckBytes::new(corpus, number)),
        "down" => Box::new(Sends::new(&corpus)),
        "endpoint" => Box::new(Answers::new(corpus, number)),
        _ => return Err(format!("there is no case {what}")),
    })
}

/// The case itself. Prints its allocations.
fn run(mut job: Box<dyn Job>) {
    job.run();
    let mut allocations = 0;
    for _ in 0..ROUNDS {
        job.tidy();
        allocations += allocation_counter::measure(|| measured(&mut *job)).count_total;
    }
    println!("{allocations}");
}

/// Valgrind counts what is done within, by its name.
#[inline(never)]
fn measured(job: &mut dyn Job) {
    std::hint::black_box(job.run());
}
