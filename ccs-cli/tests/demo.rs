//! The demo, as somebody runs it who sees it for the first time.

use std::process::{Command, Output};

use serde_json::{Value, json};

fn demo(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ccs"))
        .arg("demo")
        .args(args)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The last line of a run with `--json`.
fn summary(output: &Output) -> Value {
    let text = stdout(output);
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

/// The lines that name what was lost.
fn lost_lines(output: &Output) -> Vec<Value> {
    let lines = stdout(output);
    let events = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    events
        .filter(|event: &Value| event["event"] == "lost")
        .collect()
}

#[test]
fn the_story_ends_with_nothing_lost() {
    let output = demo(&[]);
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    assert_eq!(text.lines().last(), Some("lost 0"), "{text}");
    for chapter in 1..=13 {
        assert!(text.contains(&format!("\n{chapter}. ")), "{text}");
    }
    assert!(!text.contains('\u{1b}'), "no colours in a pipe");
    assert!(text.is_ascii(), "{text}");
}

#[test]
fn every_json_line_is_an_event_and_the_last_one_counts() {
    let output = demo(&["--json", "--devices", "3", "--messages", "4"]);
    assert!(output.status.success(), "{output:?}");
    for line in stdout(&output).lines() {
        assert!(line.starts_with("{\"event\":\""), "{line}");
        serde_json::from_str::<Value>(line).unwrap();
    }
    let summary = summary(&output);
    // 3 register, 3 echo, 12 write, 3 each when a connection drains, is cut and the endpoint stops, 1 comes twice, 1 is
    // poison, and 2 echo beside it.
    assert_eq!(summary["upstream_sent"], 31);
    assert_eq!(summary["upstream_acked"], 31);
    assert_eq!(summary["upstream_handled"], 30);
    assert_eq!(summary["dead_letters"], 1);
    assert_eq!(summary["handled_twice"], 0);
    // A content for each of the 30; 3 of the broadcast, the difficult one, the confirmed one, 60 around the drain, 30
    // each at the cut and the restart, 1 for the busy endpoint, 1 for the phone that is off.
    assert_eq!(summary["expected"], 157);
    assert_eq!(summary["delivered"], 157);
    // The app server and the phones say the same of the same messages.
    assert_eq!(summary["accepted"], 157);
    assert_eq!(summary["disagreements"], json!([]));
    // One comes twice; those that were un-acked when their connection ended, 3 each time, come again.
    assert_eq!(summary["known_copies"], 7);
    assert_eq!(summary["retried"], 2);
    // At the start, after the drain, the cut and the restart.
    assert_eq!(summary["connections"], 4);
    assert_eq!(summary["receipts_acked"], 1);
    assert_eq!(summary["refused"], 1);
    assert_eq!(summary["lost"], 0);
}

#[test]
fn a_naive_app_server_loses_the_same_messages_in_each_run() {
    let run = || demo(&["--json", "--seed", "2", "--messages", "2"]);
    let output = run();
    assert!(
        output.status.success(),
        "that one is no failure: {output:?}"
    );
    let naive = &summary(&output)["naive"];
    assert_eq!(
        naive["upstream_acked"], naive["upstream_sent"],
        "acked, and lost all the same"
    );
    // What was sent on a draining connection; what was in flight at the cut and at the restart, with the replies of five
    // phones; what was refused for a while; the poison message, which nobody kept.
    assert_eq!(naive["lost"], 30 + 35 + 35 + 1 + 1);
    assert_eq!(naive["handled_twice"], 1);
    assert_eq!(naive["retried"], 0);
    let lost = lost_lines(&output);
    assert_eq!(naive["lost"], lost.len(), "each one is named");
    assert!(lost.iter().all(|lost| lost["app_server"] == "naive"));
    assert_eq!(lost_lines(&run()), lost);
}

#[test]
fn random_faults_lose_nothing() {
    for seed in ["1", "2", "3"] {
        let output = demo(&["--json", "--chaos", seed]);
        let summary = summary(&output);
        assert!(output.status.success(), "seed {seed}: {output:?}");
        assert_eq!(summary["lost"], 0, "seed {seed}: {summary}");
        assert_eq!(summary["chaos"].to_string(), seed);
        // Otherwise it proves nothing.
        let count = |what: &str| summary[what].as_u64().unwrap();
        assert!(count("connections") > 3, "seed {seed}: {summary}");
        assert!(count("known_copies") > 0, "seed {seed}: {summary}");
        assert!(count("retried") > 0, "seed {seed}: {summary}");
    }
}

#[test]
fn many_phones_are_told_of_in_few_lines() {
    let output = demo(&["--devices", "50", "--messages", "40"]);
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    assert!(text.contains(" more"), "{text}");
    assert!(text.lines().count() < 120, "{text}");
}

#[test]
fn wrong_usage_is_told_from_a_loss() {
    assert_eq!(demo(&["--chaos", "x"]).status.code(), Some(2));
    assert_eq!(demo(&["--devices", "1"]).status.code(), Some(2));
}
