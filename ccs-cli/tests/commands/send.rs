//! `ccs send` and `ccs broadcast`.

use std::fs;
use std::process::Stdio;

use ccs_tokio::Upstream;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::endpoint::{Greeting, Seen, folder, start};
use crate::run::{ccs, run, run_with_stdin};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_for_each_line_of_stdin() {
    let endpoint = start(Greeting::default()).await;
    let ran = run_with_stdin(
        ccs(&endpoint, &["send", "--json", "-", "--retry-for", "1"]),
        concat!(
            r#"{"to":"phone-1","message_id":"a","data":{"n":"1"}}"#,
            "\n\n",
            r#"{"to":"canonical-1","message_id":"b"}"#,
            "\nnonsense\n",
            r#"{"to":"bad-1","message_id":"c"}"#,
            "\n",
            r#"{"to":"busy-1","message_id":"d","ttl":1}"#,
            "\n",
            r#"{"to":"busy-1","message_id":"e","time_to_live":60}"#,
        ),
    )
    .await;
    let mut events = ran.events(&["message_id", "line", "canonical", "retry"]);
    events.sort();
    events.dedup();
    assert_eq!(
        events,
        [
            "ack a",
            "ack b phone-new",
            "error 4",
            "error 6",
            "nack c never",
            "nack e same_connection",
            "retrying e",
        ]
    );
    assert_eq!(ran.code, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_wrong_lines_are_wrong_usage() {
    let endpoint = start(Greeting::default()).await;
    let ran = run_with_stdin(ccs(&endpoint, &["send", "--json", "-"]), "{}\n").await;
    assert_eq!(
        (ran.code, ran.events(&["line"])),
        (2, vec!["error 1".to_owned()])
    );
}

/// A script keeps the pipe open: each answer is there before the next message is written, and a lost connection does not
/// end the command.
#[tokio::test(flavor = "multi_thread")]
async fn answers_come_while_stdin_is_open() {
    let endpoint = start(Greeting::default()).await;
    let mut child = ccs(&endpoint, &["send", "--json", "-", "--retry-for", "1"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    for (message, answer) in [
        (
            r#"{"to":"phone-1","message_id":"1"}"#,
            r#"{"event":"ack","message_id":"1","to":"phone-1"}"#,
        ),
        (
            r#"{"to":"phone-1","message_id":"2"}"#,
            r#"{"event":"ack","message_id":"2","to":"phone-1"}"#,
        ),
        (
            r#"{"to":"cut-1","message_id":"3"}"#,
            r#"{"event":"unknown","message_id":"3","to":"cut-1"}"#,
        ),
    ] {
        stdin
            .write_all(format!("{message}\n").as_bytes())
            .await
            .unwrap();
        loop {
            let line = stdout.next_line().await.unwrap().unwrap();
            if !line.starts_with(r#"{"event":"reconnecting""#) {
                assert_eq!(line, answer);
                break;
            }
        }
    }
    drop(stdin);
    assert_eq!(child.wait().await.unwrap().code(), Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unanswered_at_the_timeout_is_unknown() {
    let endpoint = start(Greeting::default()).await;
    let ran = run_with_stdin(
        ccs(&endpoint, &["send", "--json", "-", "--timeout", "1"]),
        "{\"to\":\"silent-1\",\"message_id\":\"a\"}\n{\"to\":\"silent-2\",\"message_id\":\"b\"}\n\
         {\"to\":\"phone-1\",\"message_id\":\"c\"}\n",
    )
    .await;
    let mut events = ran.events(&["message_id", "to"]);
    events.sort();
    assert_eq!(
        events,
        ["ack c phone-1", "unknown a silent-1", "unknown b silent-2"]
    );
    assert_eq!(ran.code, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flags_make_the_message() {
    let endpoint = start(Greeting::default()).await;
    let ran = run(ccs(
        &endpoint,
        &[
            "send",
            "--condition",
            "'a' in topics",
            "--data",
            "k=v",
            "l=a=b",
            "--notification",
            "title=T",
            "--ttl",
            "5",
            "--priority",
            "high",
            "--collapse-key",
            "c",
            "--receipt",
            "--dry-run",
            "--id",
            "m",
            "--trace",
        ],
    ))
    .await;
    assert_eq!(
        (ran.code, ran.events(&["message_id", "to"])),
        (0, vec!["ack m 'a' in topics".to_owned()])
    );
    for part in [
        r#""condition":"'a' in topics""#,
        r#""data":{"k":"v","l":"a=b"}"#,
        r#""notification":{"title":"T"}"#,
        r#""time_to_live":5"#,
        r#""priority":"high""#,
        r#""collapse_key":"c""#,
        r#""delivery_receipt_requested":true"#,
        r#""dry_run":true"#,
    ] {
        assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_breaks_a_rule_is_not_sent() {
    let endpoint = start(Greeting::default()).await;
    for arguments in [
        &["--data", "google=1"][..],
        &["--ttl", "9999999"],
        &["--notification", "titel=x"],
        &["--data", "novalue"],
        &["--data-json", "[]"],
    ] {
        let ran = run(ccs(
            &endpoint,
            &[&["send", "--to", "phone-1"], arguments].concat(),
        ))
        .await;
        assert_eq!(ran.code, 2, "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_answers_for_every_token() {
    let endpoint = start(Greeting::default()).await;
    let tokens: String = (0..300).map(|n| format!("phone-{n}\n")).collect();
    let file = folder().join("tokens");
    fs::write(&file, format!("{tokens}bad-1\n")).unwrap();
    let file = file.to_str().unwrap();
    let ran = run(ccs(
        &endpoint,
        &["broadcast", "--to-file", file, "--data", "a=b"],
    ))
    .await;
    assert_eq!(ran.code, 7);
    assert_eq!(ran.lines.len(), 302);
    let summary = serde_json::to_string(ran.lines.last().unwrap()).unwrap();
    assert_eq!(
        summary,
        r#"{"event":"summary","messages":301,"accepted":300,"refused":1,"expired":0,"unknown":0,"unsent":0}"#
    );
    assert!(ran.stderr.contains("301 of 301"));
}

/// What was on its way when it was given up is unknown, what had no place in the window was not sent, and nothing is left
/// out.
#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_that_is_given_up_tells_of_every_token() {
    let endpoint = start(Greeting::default()).await;
    let tokens: String = (0..250).map(|n| format!("silent-{n}\n")).collect();
    let ran = run_with_stdin(
        ccs(
            &endpoint,
            &["broadcast", "--to-file", "-", "--timeout", "1"],
        ),
        &format!("silent-x\n{tokens}"),
    )
    .await;
    assert_eq!(ran.code, 6);
    let count = |event: &str| ran.events(&[]).iter().filter(|is| *is == event).count();
    assert_eq!(count("unknown") + count("unsent"), 251);
    assert_eq!((count("unknown"), count("unsent")), (100, 151), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_connection_answers_what_it_took() {
    let endpoint = start(Greeting::default()).await;
    let ran = run(ccs(&endpoint, &["send", "--to", "drain-1"])).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.events(&["to"]).contains(&"ack drain-1".to_owned()),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_acks_no_message_of_a_device() {
    let mut endpoint = start(Greeting {
        upstream: vec![Upstream::new("phone-1", "u-1")],
        ..Greeting::default()
    })
    .await;
    let ran = run(ccs(&endpoint, &["send", "--to", "phone-1"])).await;
    assert_eq!((ran.code, ran.events(&[])), (0, vec!["ack".to_owned()]));
    assert_eq!(endpoint.until_closed().await, [Seen::Closed]);
    let ran = run_with_stdin(ccs(&endpoint, &["broadcast", "--to-file", "-"]), "phone-1").await;
    assert_eq!(ran.code, 0);
    assert_eq!(endpoint.until_closed().await, [Seen::Closed]);
}
