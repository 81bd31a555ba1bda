//! The demo, as somebody runs it who sees it for the first time.

use std::process::{Command, Output};

use serde_json::Value;

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
fn lost_lines(output: &Output) -> Vec<String> {
    stdout(output)
        .lines()
        .filter(|line| line.contains("\"event\":\"lost\""))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_story_ends_with_nothing_lost() {
    let output = demo(&[]);
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    assert_eq!(text.lines().last(), Some("lost 0"), "{text}");
    for chapter in 1..=8 {
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
    // 3 register, 3 echo, 12 write, 2 echo around the drain.
    assert_eq!(summary["upstream_sent"], 20);
    assert_eq!(summary["upstream_acked"], 20);
    // A content for each of them, 3 of the broadcast, the difficult one, the confirmed one, 30 in flight.
    assert_eq!(summary["expected"], 55);
    assert_eq!(summary["delivered"], 55);
    // The app server and the phones say the same of the same messages.
    assert_eq!(summary["upstream_handled"], 20);
    assert_eq!(summary["accepted"], 55);
    assert_eq!(summary["broadcast"], 3);
    assert_eq!(summary["disagreements"], serde_json::json!([]));
    assert_eq!(summary["receipts_acked"], 1);
    assert_eq!(summary["refused"], 1);
    assert_eq!(summary["lost"], 0);
}

#[test]
fn an_app_server_that_acks_first_is_found_out() {
    let output = demo(&["--plant", "ack-early", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let summary = summary(&output);
    assert_eq!(
        summary["upstream_acked"], summary["upstream_sent"],
        "acked, and lost all the same"
    );
    let lost = summary["lost"].as_u64().unwrap();
    let named = stdout(&output).matches("\"event\":\"lost\"").count();
    assert!(lost > 0, "{summary}");
    assert_eq!(
        summary["upstream_sent"].as_u64().unwrap() - summary["upstream_handled"].as_u64().unwrap(),
        lost,
        "what was acked and not handled is what is lost"
    );
    assert_eq!(named as u64, lost, "each one is named");
    let again = demo(&["--plant", "ack-early", "--json"]);
    assert_eq!(
        lost_lines(&again),
        lost_lines(&output),
        "the same messages in each run"
    );
    assert_eq!(
        summary["expected"].as_u64().unwrap() - summary["delivered"].as_u64().unwrap(),
        lost
    );
    let story = demo(&["--plant", "ack-early"]);
    let text = stdout(&story);
    assert!(
        text.contains("never got") && text.contains("\nlost "),
        "{text}"
    );
    assert!(!text.contains("handled first and acked then"), "{text}");
}

#[test]
fn many_phones_are_told_of_in_few_lines() {
    let output = demo(&["--devices", "50", "--messages", "40"]);
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    assert!(text.contains(" more"), "{text}");
    assert!(text.lines().count() < 80, "{text}");
}

#[test]
fn wrong_usage_is_told_from_a_loss() {
    assert_eq!(demo(&["--plant", "nothing"]).status.code(), Some(2));
    assert_eq!(demo(&["--devices", "1"]).status.code(), Some(2));
}
