//! What a connection costs that is logged in and does nothing, over TLS 1.3 on this machine, thousands of them in one
//! process: this project beside the limit and a peer, as app server and as endpoint.
//!
//! `cargo run --release --manifest-path tests/bench/Cargo.toml --bin idle -- [--connections N] [--json]`
//!
//! Words go to stderr, tables to stdout; with `--json` there are lines of JSON instead.

mod app_servers;
mod endpoints;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use app_servers::APP_SERVERS;
use ccs_bench::loopback::Direction;
use ccs_bench::loopback::certificate::Certificate;
use ccs_bench::loopback::child::{PEER, Peer, Setup};
use ccs_bench::loopback::process::{cpu, resident};
use ccs_bench::loopback::program::Program;
use ccs_bench::table;
use endpoints::ENDPOINTS;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut connections, mut json) = (10_000, false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            PEER => return Program::be(arguments.next(), APP_SERVERS.iter().chain(ENDPOINTS)),
            "--json" => json = true,
            "--connections" => match arguments.next().and_then(|n| n.parse().ok()) {
                Some(number) if number > 1 => connections = number,
                _ => return usage(),
            },
            _ => return usage(),
        }
    }
    let connections = within_limits(connections);
    match measure_all(connections) {
        Ok(rows) => show(&rows, json),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: idle [--connections N] [--json]");
    ExitCode::from(2)
}

/// As many as a process may have files, and some to spare.
fn within_limits(wanted: usize) -> usize {
    use rustix::process::{Resource, getrlimit};
    const SPARE: u64 = 64;
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let most = usize::try_from(files.saturating_sub(SPARE)).unwrap_or(usize::MAX);
    if most < wanted {
        eprintln!("{most} connections, not {wanted}: raise `ulimit -n` for more");
    }
    most.min(wanted)
}

/// What one of the connections costs on one side.
struct Row {
    side: &'static str,
    program: &'static Program,
    connections: usize,
    /// Bytes, and milliseconds of a login.
    cost: Cost,
    /// Times what raw takes.
    ratio: Cost,
    /// Times what raw takes on the same runtime.
    own_ratio: Cost,
}

fn measure_all(connections: usize) -> io::Result<Vec<Row>> {
    let certificate = Certificate::make();
    let (mut app_servers, mut endpoints) = (Vec::new(), Vec::new());
    let (raw_app_server, raw_endpoint) = (&APP_SERVERS[0], &ENDPOINTS[0]);
    let app_server_pairs = APP_SERVERS.iter().map(|other| (raw_endpoint, other));
    let endpoint_pairs = ENDPOINTS.iter().map(|other| (other, raw_app_server));
    // Both sides of the first are raw.
    for (endpoint, app_server) in app_server_pairs.chain(endpoint_pairs.skip(1)) {
        eprintln!("{} <- {}", endpoint.name, app_server.name);
        let (reached, taken) = measure(&certificate, endpoint, app_server, connections)?;
        let row = |side, program, cost| Row {
            side,
            program,
            connections: reached,
            cost,
            ratio: Cost::default(),
            own_ratio: Cost::default(),
        };
        // The one of the two that this pair is for.
        if endpoint.name == raw_endpoint.name {
            app_servers.push(row("app server", app_server, taken.app_server));
        }
        if app_server.name == raw_app_server.name {
            endpoints.push(row("endpoint", endpoint, taken.endpoint));
        }
    }
    for rows in [&mut app_servers, &mut endpoints] {
        let costs: Vec<_> = rows
            .iter()
            .map(|row| (row.program.name, row.cost))
            .collect();
        for row in rows {
            let own = costs.iter().find(|(name, _)| *name == row.program.raw);
            row.ratio = row.cost.times(costs[0].1);
            row.own_ratio = own.map_or(Cost::default(), |own| row.cost.times(own.1));
        }
    }
    app_servers.append(&mut endpoints);
    Ok(app_servers)
}

/// Bytes, and milliseconds of a login; or the ratios of them.
#[derive(Clone, Copy, Default)]
struct Cost {
    memory: Option<f64>,
    login: Option<f64>,
}

impl Cost {
    fn times(self, raw: Self) -> Self {
        let ratio = |this: Option<f64>, raw: Option<f64>| Some(this? / raw?);
        Self {
            memory: ratio(self.memory, raw.memory),
            login: ratio(self.login, raw.login),
        }
    }
}

struct Taken {
    app_server: Cost,
    endpoint: Cost,
}

fn measure(
    certificate: &Certificate,
    endpoint: &Program,
    app_server: &Program,
    connections: usize,
) -> io::Result<(usize, Taken)> {
    let mut setup = Setup {
        address: None,
        certificate: certificate.clone(),
        direction: Direction::Up,
        size: 0,
        connections,
    };
    let mut serving = Peer::start(endpoint.name, &setup)?;
    setup.address = serving.line()?.parse().ok();
    let mut using = Peer::start(app_server.name, &setup)?;
    let usage = |peer: &Peer| (resident(peer.id()), cpu(peer.id()));
    // What the first one takes is the program's.
    let first = using.line()?;
    let before = (usage(&using), usage(&serving));
    let reached: usize = using.line()?.parse().unwrap_or(0);
    if first != "1" || reached < 2 {
        return Err(io::Error::other(format!("{reached} connections")));
    }
    let after = (usage(&using), usage(&serving));
    let cost = |before: (Option<u64>, Option<Duration>), after: (Option<u64>, Option<Duration>)| {
        let each = (reached - 1) as f64;
        let memory = after.0.zip(before.0);
        let cpu = after.1.zip(before.1);
        Cost {
            memory: memory.map(|(after, before)| (after as f64 - before as f64) / each),
            login: cpu
                .map(|(after, before)| after.saturating_sub(before).as_secs_f64() * 1e3 / each),
        }
    };
    let taken = Taken {
        app_server: cost(before.0, after.0),
        endpoint: cost(before.1, after.1),
    };
    Ok((reached, taken))
}

fn show(rows: &[Row], json: bool) {
    if json {
        for row in rows {
            let line = serde_json::json!({
                "table": "idle", "side": row.side, "peer": row.program.name, "connections": row.connections,
                "memory_bytes": row.cost.memory, "memory_ratio": row.ratio.memory,
                "own_memory_ratio": row.own_ratio.memory,
                "login_cpu_ms": row.cost.login, "login_cpu_ratio": row.ratio.login,
                "own_login_cpu_ratio": row.own_ratio.login,
            });
            println!("{line}");
        }
        return;
    }
    let number = |value: Option<f64>, places: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.places$}"))
    };
    let head = [
        "",
        "",
        "memory/raw",
        "memory/own raw",
        "login CPU/raw",
        "login CPU/own raw",
        "KB each",
        "login ms",
        "connections",
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.side.to_owned(),
            row.program.name.to_owned(),
            number(row.ratio.memory, 2),
            number(row.own_ratio.memory, 2),
            number(row.ratio.login, 2),
            number(row.own_ratio.login, 2),
            number(row.cost.memory.map(|bytes| bytes / 1e3), 1),
            number(row.cost.login, 2),
            row.connections.to_string(),
        ]
    });
    let cells: Vec<_> = cells.collect();
    let title = "connections that are logged in and do nothing, TLS 1.3, in one process";
    table::print(title, &head.map(str::to_owned), &cells);
}
