//! All runs: each peer has its turn in every round, so that what else the machine does hits all of them alike. A ratio is
//! one within a round; what is shown is the median of the rounds.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use ccs_bench::loopback::Direction;
use ccs_bench::loopback::measure::{Load, Measured};
use ccs_bench::loopback::program::Program;

use crate::app_servers::{APP_SERVERS, CCS};
use crate::endpoints::ENDPOINTS;
use crate::run::Bench;

/// The window full at all times.
pub struct Full {
    pub peer: &'static str,
    pub direction: Direction,
    pub per_second: f64,
    /// Times what raw does.
    pub per_second_ratio: f64,
    /// Microseconds a message.
    pub cpu: Option<f64>,
    /// Times what raw takes.
    pub cpu_ratio: Option<f64>,
    /// Times what raw takes on the same runtime.
    pub own_cpu_ratio: Option<f64>,
    /// Bytes.
    pub memory: Option<f64>,
    /// A message.
    pub system_calls: Option<f64>,
}

/// Messages at a fixed rate.
pub struct Paced {
    pub peer: &'static str,
    pub asked: f64,
    pub reached: f64,
    /// Microseconds from when a message was due to its ack.
    pub p50: f64,
    pub p99: f64,
    /// Times what raw takes.
    pub p50_ratio: f64,
    pub p99_ratio: f64,
    /// Microseconds a message.
    pub cpu: Option<f64>,
}

#[derive(Default)]
pub struct Results {
    pub app_servers: Vec<Full>,
    pub endpoints: Vec<Full>,
    pub paced: Vec<Paced>,
}

pub const DIRECTIONS: [Direction; 2] = [Direction::Up, Direction::Down];

pub fn run(bench: &Bench, rounds: usize) -> io::Result<Results> {
    let mut results = Results::default();
    for direction in DIRECTIONS {
        let mut full = in_turn(APP_SERVERS, direction, rounds, |app_server| {
            bench.app_server(app_server, direction, Load::Full)
        })?;
        for (app_server, full) in APP_SERVERS.iter().zip(&mut full) {
            full.system_calls = system_calls(bench, app_server, direction);
        }
        results.app_servers.append(&mut full);
    }
    for direction in DIRECTIONS {
        let mut full = in_turn(ENDPOINTS, direction, rounds, |endpoint| {
            bench.endpoint(endpoint, direction)
        })?;
        results.endpoints.append(&mut full);
    }
    results.paced = paced(bench, rounds, &results.app_servers)?;
    eprintln!();
    Ok(results)
}

fn in_turn(
    programs: &'static [Program],
    direction: Direction,
    rounds: usize,
    measure: impl Fn(&Program) -> io::Result<Measured>,
) -> io::Result<Vec<Full>> {
    let mut measured: Vec<Vec<Measured>> = programs.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        for (program, measured) in programs.iter().zip(&mut measured) {
            show(round, rounds, program.name, direction);
            measured.push(measure(program)?);
        }
    }
    let of = |name| {
        let mut pairs = programs.iter().zip(&measured);
        pairs.find(|(program, _)| program.name == name)
    };
    let full = programs.iter().zip(&measured).map(|(program, rounds)| {
        let own = of(program.raw).map(|(_, own)| own.as_slice());
        let ratios = (measured[0].as_slice(), own.unwrap_or_default());
        sum_up(program.name, direction, rounds, ratios)
    });
    Ok(full.collect())
}

fn show(round: usize, rounds: usize, peer: &str, direction: Direction) {
    let direction = direction.name();
    eprint!("\rround {round} of {rounds}, {direction}: {peer:<30}");
}

fn sum_up(
    peer: &'static str,
    direction: Direction,
    rounds: &[Measured],
    (raw, own_raw): (&[Measured], &[Measured]),
) -> Full {
    let all = |value: fn(&Measured) -> Option<f64>| median(rounds.iter().filter_map(value));
    let ratio = |value: fn(&Measured) -> Option<f64>, raw: &[Measured]| {
        let pairs = rounds.iter().zip(raw);
        median(pairs.filter_map(|(this, raw)| Some(value(this)? / value(raw)?)))
    };
    let rate: fn(&Measured) -> Option<f64> = |measured| Some(measured.rate());
    Full {
        peer,
        direction,
        per_second: all(rate).unwrap_or_default(),
        per_second_ratio: ratio(rate, raw).unwrap_or_default(),
        cpu: all(Measured::cpu_us),
        cpu_ratio: ratio(Measured::cpu_us, raw),
        own_cpu_ratio: ratio(Measured::cpu_us, own_raw),
        memory: all(|measured| Some(measured.memory? as f64)),
        system_calls: None,
    }
}

/// Counted in runs of their own, since counting makes everything slow; what the login takes is left out. `None` without
/// strace.
pub fn system_calls(bench: &Bench, peer: &Program, direction: Direction) -> Option<f64> {
    const FEW: u64 = 2_000;
    const MANY: u64 = 12_000;
    show(1, 1, &format!("{}, strace", peer.name), direction);
    let counts = Counts::new();
    let calls = |messages| bench.system_calls(peer, direction, messages, &counts.0);
    let (few, many) = (calls(FEW).ok()?, calls(MANY).ok()?);
    Some((many as f64 - few as f64) / (MANY - FEW) as f64)
}

/// A file that is gone afterwards.
struct Counts(PathBuf);

impl Counts {
    fn new() -> Self {
        let name = format!("ccs-bench-{}.strace", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A rate that each peer is able to, and half of what this project and raw can do at most.
fn paced(bench: &Bench, rounds: usize, full: &[Full]) -> io::Result<Vec<Paced>> {
    let peak = |peer: &str| {
        let mut up = full.iter().filter(|full| full.direction == Direction::Up);
        up.find(|full| full.peer == peer)
            .map_or(0.0, |full| full.per_second)
    };
    let (ccs, raw) = (peak(CCS), peak(APP_SERVERS[0].name));
    let mut paced = Vec::new();
    for rate in [5_000.0, ccs / 2.0, raw / 2.0] {
        // Who cannot do it has a queue that grows, and no latency.
        let able = APP_SERVERS.iter().filter(|peer| peak(peer.name) > rate);
        let peers: Vec<_> = able.collect();
        let mut measured: Vec<Vec<Run>> = peers.iter().map(|_| Vec::new()).collect();
        for round in 1..=rounds {
            for (peer, measured) in peers.iter().zip(&mut measured) {
                show(round, rounds, peer.name, Direction::Up);
                let run = bench.app_server(peer, Direction::Up, Load::Rate(rate))?;
                measured.push(Run::of(run));
            }
        }
        let raw = measured.first().map(Vec::as_slice).unwrap_or_default();
        let rows = peers.iter().zip(&measured);
        paced.extend(rows.map(|(peer, rounds)| {
            let all = |value: fn(&Run) -> f64| median(rounds.iter().map(value)).unwrap_or_default();
            let ratio = |value: fn(&Run) -> f64| {
                let pairs = rounds.iter().zip(raw);
                median(pairs.map(|(this, raw)| value(this) / value(raw))).unwrap_or_default()
            };
            Paced {
                peer: peer.name,
                asked: rate,
                reached: all(|run| run.reached),
                p50: all(|run| run.p50),
                p99: all(|run| run.p99),
                p50_ratio: ratio(|run| run.p50),
                p99_ratio: ratio(|run| run.p99),
                cpu: median(rounds.iter().filter_map(|run| run.cpu)),
            }
        }));
    }
    Ok(paced)
}

/// One round at a fixed rate.
struct Run {
    reached: f64,
    p50: f64,
    p99: f64,
    cpu: Option<f64>,
}

impl Run {
    fn of(mut measured: Measured) -> Self {
        let (reached, cpu) = (measured.rate(), measured.cpu_us());
        measured.latencies.sort_unstable();
        let at = |part: f64| {
            let index = (measured.latencies.len() as f64 * part) as usize;
            let latency = measured.latencies.get(index).or(measured.latencies.last());
            latency.map_or(f64::INFINITY, Duration::as_secs_f64) * 1e6
        };
        Self {
            reached,
            p50: at(0.5),
            p99: at(0.99),
            cpu,
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
