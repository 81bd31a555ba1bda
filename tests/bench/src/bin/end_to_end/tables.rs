//! What is printed.

use ccs_bench::table;

use crate::rounds::{Full, Paced, Results};

pub fn print(size: usize, results: &Results) {
    let title = |who: &str| format!("{who}, TLS 1.3, 1 connection, window 100, {size} B of data");
    print_full(&title("app server"), &results.app_servers);
    print_full(&title("endpoint"), &results.endpoints);
    print_paced(&results.paced);
}

fn print_full(title: &str, all: &[Full]) {
    let head = [
        "",
        "",
        "CPU/raw",
        "CPU/own raw",
        "rate/raw",
        "CPU us",
        "messages/s",
        "calls",
        "MB",
    ];
    let row = |full: &Full| {
        vec![
            full.direction.name().to_owned(),
            full.peer.to_owned(),
            number(full.cpu_ratio, 2),
            number(full.own_cpu_ratio, 2),
            number(Some(full.per_second_ratio), 2),
            number(full.cpu, 2),
            number(Some(full.per_second), 0),
            number(full.system_calls, 2),
            number(full.memory.map(|bytes| bytes / 1e6), 1),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    table::print(title, &head.map(str::to_owned), &rows);
}

fn print_paced(all: &[Paced]) {
    let head = [
        "up",
        "",
        "p50/raw",
        "p99/raw",
        "p50 us",
        "p99 us",
        "messages/s",
        "CPU us",
    ];
    let row = |paced: &Paced| {
        vec![
            format!("{:.0}/s", paced.asked),
            paced.peer.to_owned(),
            number(Some(paced.p50_ratio), 2),
            number(Some(paced.p99_ratio), 2),
            number(Some(paced.p50), 0),
            number(Some(paced.p99), 0),
            number(Some(paced.reached), 0),
            number(paced.cpu, 2),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let title = "app server, messages at a fixed rate: from when each was due to its ack";
    table::print(title, &head.map(str::to_owned), &rows);
}

fn number(value: Option<f64>, places: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.places$}"))
}

pub fn print_json(size: usize, results: &Results) {
    let full = |table: &str, all: &[Full]| {
        for full in all {
            let line = serde_json::json!({
                "table": table, "peer": full.peer, "direction": full.direction, "size": size,
                "cpu_ratio": full.cpu_ratio, "own_cpu_ratio": full.own_cpu_ratio,
                "rate_ratio": full.per_second_ratio, "cpu_us": full.cpu,
                "per_second": full.per_second, "system_calls": full.system_calls,
                "memory_bytes": full.memory,
            });
            println!("{line}");
        }
    };
    full("app server", &results.app_servers);
    full("endpoint", &results.endpoints);
    for paced in &results.paced {
        let line = serde_json::json!({
            "table": "fixed rate", "peer": paced.peer, "direction": "up", "size": size, "rate": paced.asked,
            "p50_ratio": paced.p50_ratio, "p99_ratio": paced.p99_ratio, "p50_us": paced.p50,
            "p99_us": paced.p99, "per_second": paced.reached, "cpu_us": paced.cpu,
        });
        println!("{line}");
    }
}
