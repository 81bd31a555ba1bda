//! What a signal leaves, and what a stderr does that takes nothing.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ccs_tokio::Upstream;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::endpoint::{Greeting, Seen, folder, start};
use crate::run::{Ran, ccs, run, signal};

/// Linux'.
const O_NONBLOCK: i32 = 0o4000;

/// Waits for a line on stdout that says this, and gives what was written up to there.
async fn until(child: &mut Child, says: &str) -> String {
    let (mut stdout, mut seen) = (child.stdout.take().unwrap(), String::new());
    while !seen.contains(says) {
        let mut more = [0; 1024];
        let count = stdout.read(&mut more).await.unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(std::str::from_utf8(&more[..count]).unwrap());
    }
    child.stdout = Some(stdout);
    seen
}

async fn ended(child: Child, before: String) -> Ran {
    let mut output = child.wait_with_output().await.unwrap();
    output.stdout.splice(0..0, before.into_bytes());
    output.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_leaves_no_message_without_its_line() {
    let endpoint = start(Greeting::default()).await;
    let mut command = ccs(&endpoint, &["send", "--json", "-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for to in ["silent-1", "silent-2", "phone-1"] {
        let line = format!("{{\"to\":\"{to}\",\"message_id\":\"to-{to}\"}}\n");
        stdin.write_all(line.as_bytes()).await.unwrap();
    }
    let before = until(&mut child, "ack").await;
    signal(&child, "INT").await;
    let ran = ended(child, before).await;
    // Whether one that nobody answers was sent just before or not is not certain.
    let events = ran.events(&["message_id"]).into_iter();
    let mut events: Vec<_> = events
        .map(|event| event.replace("unsent", "unknown"))
        .collect();
    events.sort();
    assert_eq!(
        events,
        [
            "ack to-phone-1",
            "unknown to-silent-1",
            "unknown to-silent-2"
        ]
    );
    assert_eq!(ran.code, 130);
    assert!(ran.stderr.contains("ended by a signal"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_sums_up_what_a_signal_left() {
    let endpoint = start(Greeting::default()).await;
    let tokens = folder().join("tokens");
    // No more than a window: which of them go first is not certain.
    std::fs::write(&tokens, "phone-1\n".to_owned() + &"silent-1\n".repeat(90)).unwrap();
    let arguments = [
        "broadcast",
        "--to-file",
        tokens.to_str().unwrap(),
        "--data",
        "a=b",
    ];
    let mut child = ccs(&endpoint, &arguments).spawn().unwrap();
    let before = until(&mut child, "ack").await;
    signal(&child, "TERM").await;
    let ran = ended(child, before).await;
    assert_eq!((ran.code, ran.lines.len()), (130, 92));
    let summary = ran.lines.last().unwrap();
    let count = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!((count("messages"), count("accepted")), (91, 1));
    assert_eq!(count("unknown") + count("unsent"), 90);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_measurement_with_its_line() {
    let endpoint = start(Greeting::default()).await;
    let mut child = ccs(&endpoint, &["bench", "--rate", "20"]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(
        stderr
            .next_line()
            .await
            .unwrap()
            .unwrap()
            .contains("answered")
    );
    signal(&child, "INT").await;
    let ran = ended(child, String::new()).await;
    assert_eq!((ran.code, ran.events(&[])), (130, vec!["bench".to_owned()]));
    let count = |name: &str| ran.lines[0][name].as_u64().unwrap();
    assert!(count("acks") > 0 && count("unsent") > 0, "{ran:?}");
    assert_eq!(count("acks") + count("unsent"), 10_000);
}

/// The command of `--exec` has the message, so its word is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_lets_a_handler_finish_and_a_second_one_does_not() {
    for second in [false, true] {
        let mut endpoint = start(Greeting {
            upstream: vec![
                Upstream::new("phone-1", "u-1"),
                Upstream::new("phone-2", "u-2"),
            ],
            ..Greeting::default()
        })
        .await;
        let (begun, go_on) = (folder().join("begun"), folder().join("go-on"));
        let handled = folder().join("handled");
        let pipes = Command::new("mkfifo")
            .arg(&begun)
            .arg(&go_on)
            .status()
            .await;
        assert!(pipes.unwrap().success());
        // The second shell is a child of the one that is started.
        let exec = format!(
            "sh -c 'echo > {}; read line < {}; touch {}'; true",
            begun.display(),
            go_on.display(),
            handled.display()
        );
        let mut child = ccs(&endpoint, &["listen", "--exec", &exec])
            .spawn()
            .unwrap();
        // Read to its end: a shell that nobody reads from would end before it has begun.
        let begins = tokio::task::spawn_blocking(move || std::fs::read(begun).unwrap());
        assert_eq!(begins.await.unwrap(), b"\n");
        signal(&child, "INT").await;
        let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        while !stderr
            .next_line()
            .await
            .unwrap()
            .unwrap()
            .contains("waiting for")
        {}
        let acked = if second {
            signal(&child, "INT").await;
            None
        } else {
            let mut line = OpenOptions::new().write(true).open(&go_on).unwrap();
            std::io::Write::write_all(&mut line, b"\n").unwrap();
            Some(Seen::Acked("u-1".to_owned()))
        };
        assert_eq!(child.wait().await.unwrap().code(), Some(0));
        assert_eq!(handled.exists(), !second);
        if second {
            // Nobody is left who would read it, as soon as the system has ended all that it was told to.
            let mut writing = OpenOptions::new();
            writing.write(true).custom_flags(O_NONBLOCK);
            let since = Instant::now();
            while writing.open(&go_on).is_ok() {
                assert!(since.elapsed() < Duration::from_secs(30));
                tokio::task::yield_now().await;
            }
        }
        let seen: Vec<_> = acked.into_iter().chain([Seen::Closed]).collect();
        assert_eq!(endpoint.until_closed().await, seen);
    }
}

/// Words for people are lost where nobody takes them; nothing else is.
#[tokio::test(flavor = "multi_thread")]
async fn a_stderr_that_takes_nothing_changes_nothing() {
    let endpoint = start(Greeting {
        upstream: vec![Upstream::new("phone-1", "u-1")],
        ..Greeting::default()
    })
    .await;
    let tokens = folder().join("tokens");
    std::fs::write(&tokens, "phone-1\n".repeat(300)).unwrap();
    let tokens = tokens.to_str().unwrap();
    for (arguments, code, lines) in [
        (
            &["listen", "--count", "1", "--exec", "echo handled >&2 || :"][..],
            0,
            1,
        ),
        (&["send", "--to", "bad-1"], 7, 1),
        (&["broadcast", "--to-file", tokens, "--data", "a=b"], 0, 301),
        (&["bench", "--messages", "100"], 0, 1),
        (&["send"], 2, 0),
    ] {
        let mut command = ccs(&endpoint, arguments);
        command.stderr(OpenOptions::new().write(true).open("/dev/full").unwrap());
        let ran = run(command).await;
        assert_eq!((ran.code, ran.lines.len()), (code, lines), "{arguments:?}");
    }
}
