//! `ccs bench` against an endpoint that counts with it. No speed is asserted: that is the machine's.

use serde_json::{Value, json};

use super::commands::{ccs, serve};
use super::support::{Serve, documented, schema};

/// A run that ends with this code; its line, which the documentation must know, and what stderr says.
fn bench(serve: &Serve, args: &[&str], code: i32) -> (Value, String) {
    let output = ccs(serve, &[&["bench"], args].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let line = documented(&schema("### Event of `ccs bench`"), text.trim_end());
    (line, String::from_utf8(output.stderr).unwrap())
}

/// Acks, nacks, without an answer, not sent.
fn counts(line: &Value) -> [u64; 4] {
    ["acks", "nacks", "unanswered", "unsent"].map(|name| line[name].as_u64().unwrap())
}

/// What the endpoint says of itself when it ends.
fn counted(serve: Serve) -> Value {
    serve.signal("-TERM");
    let (rest, _, _) = serve.end();
    let counts = rest.into_iter().find(|event| event["event"] == "counts");
    counts.unwrap()
}

#[test]
fn every_message_is_sent_once_on_as_many_connections_as_are_asked_for() {
    let (mut serve, _home) = serve(&[]);
    let args = ["--messages", "300", "--connections", "3", "--window", "7"];
    let (line, _) = bench(&serve, &[&args[..], &["--size", "200"]].concat(), 0);
    assert_eq!(counts(&line), [300, 0, 0, 0]);
    let first = serve.until("downstream");
    let data = first["data"].as_object().unwrap();
    let bytes = data
        .iter()
        .map(|(key, value)| key.len() + value.as_str().unwrap().len());
    assert_eq!(bytes.sum::<usize>(), 200);
    let counts = counted(serve);
    assert_eq!(counts["logins"], 3);
    assert_eq!(
        (&counts["acks"], &counts["sent_again"]),
        (&json!(300), &json!(0))
    );
}

#[test]
fn percentiles_are_in_order_and_within_the_run() {
    let (serve, _home) = serve(&[]);
    let (line, _) = bench(&serve, &["--messages", "200"], 0);
    let latency = line["latency_us"].as_object().unwrap();
    let names: Vec<_> = latency.keys().collect();
    assert_eq!(names, ["p50", "p90", "p99", "p99.9", "max"]);
    let micros: Vec<_> = latency.values().map(|us| us.as_u64().unwrap()).collect();
    assert!(micros.is_sorted(), "{micros:?}");
    let took = line["seconds"].as_f64().unwrap() * 1e6;
    assert!(micros[0] > 0 && micros[4] as f64 <= took, "{line}");
}

#[test]
fn with_a_rate_a_run_is_not_shorter_than_its_schedule() {
    let (serve, _home) = serve(&[]);
    let args = ["--messages", "30", "--rate", "20", "--connections", "2"];
    let (line, said) = bench(&serve, &args, 0);
    assert_eq!(counts(&line), [30, 0, 0, 0]);
    assert_eq!(line["rate"], 20);
    // The last one is due 29 twentieths of a second after the first.
    assert!(line["seconds"].as_f64().unwrap() >= 1.45, "{line}");
    assert!(said.contains(" of 30 answered"), "{said}");
}

#[test]
fn a_message_that_cannot_go_out_when_it_is_due_has_waited() {
    let home = tempfile::TempDir::new().unwrap();
    let plan = home.path().join("plan.toml");
    let slow = "seed = 1\n[[rule]]\nto = \"phone-*\"\ndelay = 0.2\n";
    std::fs::write(&plan, slow).unwrap();
    let plan = ["--scenario", plan.to_str().unwrap()];
    let serve = Serve::start_in(&home.path().join("ccs"), &plan);
    let args = ["--messages", "5", "--rate", "100", "--window", "1"];
    let (line, _) = bench(&serve, &args, 0);
    // The last is due after 40 ms and has its answer after five times 200 ms at the earliest.
    assert!(
        line["latency_us"]["max"].as_u64().unwrap() >= 960_000,
        "{line}"
    );
}

#[test]
fn refusals_are_counted_by_code() {
    let (serve, _home) = serve(&[]);
    let (line, said) = bench(&serve, &["--messages", "50", "--to", "bad-1"], 7);
    assert_eq!(counts(&line), [0, 50, 0, 0]);
    assert_eq!(line["nacks_by_code"], json!({"BAD_REGISTRATION": 50}));
    assert!(line["latency_us"]["max"].is_u64(), "a refusal is an answer");
    assert!(said.contains("50 messages refused"), "{said}");
}

#[test]
fn an_endpoint_that_is_silent_is_not_waited_for_without_end() {
    let (serve, _home) = serve(&[]);
    let args = ["--messages", "50", "--window", "10", "--timeout", "1"];
    let (line, said) = bench(&serve, &[&args[..], &["--to", "silent-1"]].concat(), 6);
    assert_eq!(counts(&line), [0, 0, 10, 40]);
    assert!(line.get("latency_us").is_none() && line.get("cpu_us").is_none());
    assert!(
        said.contains("10 messages without an answer, 40 messages not sent"),
        "{said}"
    );
}

#[test]
fn a_connection_that_is_cut_ends_the_run_though_more_is_to_come() {
    let (serve, _home) = serve(&[]);
    // The next one would be due in a day.
    let args = ["--messages", "86400", "--rate", "1", "--to", "drop-1"];
    let (line, _) = bench(&serve, &args, 5);
    assert_eq!(counts(&line), [0, 0, 1, 86_399]);
}
