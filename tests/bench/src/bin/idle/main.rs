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

use app_servers::AppServer;
use ccs_bench::loopback::Direction;
use ccs_bench::loopback::certificate::Certificate;
use ccs_bench::loopback::child::{PEER, Peer, Setup};
use ccs_bench::loopback::process::{cpu, resident};
use ccs_bench::table;
use endpoints::Endpoint;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut connections, mut json) = (10_000, false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            PEER => return be(arguments.next()),
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

/// The process of a peer, started by another of these.
fn be(name: Option<String>) -> ExitCode {
    let name = name.unwrap_or_default();
    if let Some(app_server) = AppServer::ALL.iter().find(|peer| peer.name() == name) {
        app_server.be(Setup::read());
    } else if let Some(endpoint) = Endpoint::ALL.into_iter().find(|peer| peer.name() == name) {
        endpoint.be(Setup::read());
    } else {
        return usage();
    }
    ExitCode::SUCCESS
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
    peer: &'static str,
    connections: usize,
    /// Bytes.
    memory: Option<f64>,
    /// Times what raw takes.
    memory_ratio: Option<f64>,
    /// Milliseconds of a login.
    cpu: Option<f64>,
    /// Times what raw takes.
    cpu_ratio: Option<f64>,
}

fn measure_all(connections: usize) -> io::Result<Vec<Row>> {
    let certificate = Certificate::make();
    let (mut app_servers, mut endpoints) = (Vec::new(), Vec::new());
    let mut pairs = vec![(Endpoint::Raw, AppServer::Raw)];
    let others = AppServer::ALL
        .iter()
        .copied()
        .filter(|other| *other != AppServer::Raw);
    pairs.extend(others.map(|other| (Endpoint::Raw, other)));
    let others = Endpoint::ALL
        .into_iter()
        .filter(|other| *other != Endpoint::Raw);
    pairs.extend(others.map(|other| (other, AppServer::Raw)));
    for (endpoint, app_server) in pairs {
        eprintln!("{} <- {}", endpoint.name(), app_server.name());
        let (reached, taken) = measure(&certificate, endpoint, app_server, connections)?;
        let row = |side, peer, (memory, cpu): Cost| Row {
            side,
            peer,
            connections: reached,
            memory,
            memory_ratio: None,
            cpu,
            cpu_ratio: None,
        };
        // The one of the two that this pair is for; both of the first.
        if endpoint == Endpoint::Raw {
            app_servers.push(row("app server", app_server.name(), taken.app_server));
        }
        if app_server == AppServer::Raw {
            endpoints.push(row("endpoint", endpoint.name(), taken.endpoint));
        }
    }
    for rows in [&mut app_servers, &mut endpoints] {
        let raw = rows.first().map(|raw| (raw.memory, raw.cpu));
        let ratio = |this: Option<f64>, raw: Option<f64>| Some(this? / raw?);
        for row in rows {
            row.memory_ratio = ratio(row.memory, raw.and_then(|raw| raw.0));
            row.cpu_ratio = ratio(row.cpu, raw.and_then(|raw| raw.1));
        }
    }
    app_servers.append(&mut endpoints);
    Ok(app_servers)
}

/// Bytes, and milliseconds of a login.
type Cost = (Option<f64>, Option<f64>);

struct Taken {
    app_server: Cost,
    endpoint: Cost,
}

fn measure(
    certificate: &Certificate,
    endpoint: Endpoint,
    app_server: AppServer,
    connections: usize,
) -> io::Result<(usize, Taken)> {
    let mut setup = Setup {
        address: None,
        certificate: certificate.clone(),
        direction: Direction::Up,
        size: 0,
        connections,
    };
    let mut serving = Peer::start(endpoint.name(), &setup)?;
    setup.address = serving.line()?.parse().ok();
    let mut using = Peer::start(app_server.name(), &setup)?;
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
        (
            memory.map(|(after, before)| (after as f64 - before as f64) / each),
            cpu.map(|(after, before)| after.saturating_sub(before).as_secs_f64() * 1e3 / each),
        )
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
                "table": "idle", "side": row.side, "peer": row.peer, "connections": row.connections,
                "memory_bytes": row.memory, "memory_ratio": row.memory_ratio,
                "login_cpu_ms": row.cpu, "login_cpu_ratio": row.cpu_ratio,
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
        "login CPU/raw",
        "KB each",
        "login ms",
        "connections",
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.side.to_owned(),
            row.peer.to_owned(),
            number(row.memory_ratio, 2),
            number(row.cpu_ratio, 2),
            number(row.memory.map(|bytes| bytes / 1e3), 1),
            number(row.cpu, 2),
            row.connections.to_string(),
        ]
    });
    let cells: Vec<_> = cells.collect();
    let title = "connections that are logged in and do nothing, TLS 1.3, in one process";
    table::print(title, &head.map(str::to_owned), &cells);
}
