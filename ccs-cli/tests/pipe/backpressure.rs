//! Who is faster than the other side waits, and memory does not grow.

use std::io::{BufRead, Write};
use std::thread;

use serde_json::Value;

use crate::application::{Pipe, endpoint};

/// Messages that a service holds, at most.
const HELD: usize = 10_000;
/// Messages that are in flight on a connection, at most.
const WINDOW: usize = 100;

/// Kilobytes of memory that the process has, or had at most.
fn memory(pipe: &Pipe, which: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pipe.child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with(which))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn a_writer_that_floods_is_held_back_while_the_window_is_full() {
    let (mut serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::start(&serve, &[]);
    for n in 0..WINDOW {
        pipe.tell(&format!(
            r#"{{"op":"send","id":"s-{n}","to":"silent-1","time_to_live":1}}"#
        ));
        pipe.until("queued");
        serve.until("downstream");
    }
    let mut stdin = pipe.stdin();
    let (told, written) = std::sync::mpsc::channel();
    let many = HELD + 2_000;
    let data = "x".repeat(1_000);
    let writer = thread::spawn(move || {
        for n in 0..many {
            let line =
                format!(r#"{{"op":"send","id":"m-{n}","to":"phone-1","data":{{"x":"{data}"}}}}"#);
            writeln!(stdin, "{line}").unwrap();
            let _ = told.send(n);
        }
    });
    let (mut queued, mut stalled) = (WINDOW, false);
    while queued < HELD {
        let line = pipe.next();
        match line["event"].as_str().unwrap() {
            "queued" => queued += 1,
            "window" => stalled = line["state"] == "stalled",
            _ => panic!("{line}"),
        }
    }
    assert!(stalled);
    // All that is held, what a pipe holds (64 KiB), and what was read ahead of the one that waits.
    let most = HELD + 100;
    assert!(written.try_iter().last().unwrap() < most);
    if let Some(kilobytes) = memory(&pipe, "VmHWM") {
        assert!(kilobytes < 150_000, "{kilobytes} kB");
    }
    // The silent ones have no time left when their connection is gone.
    serve.tell(r#"{"op":"drop"}"#);
    serve.ignore_the_rest();
    let (mut acked, mut expired, mut windows) = (0, 0, 0);
    while acked < many {
        match pipe.next()["event"].as_str().unwrap() {
            "ack" => acked += 1,
            "expired" => expired += 1,
            "window" => windows += 1,
            _ => {}
        }
    }
    writer.join().unwrap();
    assert_eq!(expired, WINDOW);
    assert!(windows < 10, "{windows} lines of window");
}

#[test]
fn a_reader_that_is_slow_gets_no_more_and_its_acks_are_taken() {
    let (mut serve, _home) = endpoint(&["--window", "1000"]);
    let mut pipe = Pipe::unread(&serve, &[]);
    let mut stdout = pipe.stdout();
    serve.until("login");
    // More than a pipe and the lines that wait hold.
    let many = 800;
    let data = "x".repeat(4_000);
    for n in 0..many {
        serve.tell(&format!(
            r#"{{"op":"upstream","from":"phone-{n}","message_id":"u-{n}","data":{{"x":"{data}"}}}}"#
        ));
    }
    for _ in 0..many {
        serve.until("upstream_sent");
    }
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let first: Value = serde_json::from_str(&line).unwrap();
    pipe.ack(&first["upstream"]);
    assert_eq!(serve.until("upstream_acked")["message_id"], "u-0");
    if let Some(kilobytes) = memory(&pipe, "VmHWM") {
        assert!(kilobytes < 100_000, "{kilobytes} kB");
    }
    pipe.read(stdout);
    for n in 1..many {
        let message = pipe.until("upstream");
        assert_eq!(message["message_id"], format!("u-{n}"));
        assert_eq!(message["attempt"], 1);
        pipe.ack(&message["upstream"]);
    }
    for _ in 1..many {
        serve.until("upstream_acked");
    }
}

#[test]
fn what_lines_of_the_application_bring_about_waits_for_it_in_order() {
    let (serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::unread(&serve, &[]);
    let mut stdin = pipe.stdin();
    let many = 5_000;
    let writer = thread::spawn(move || {
        for _ in 0..many {
            writeln!(stdin, "nonsense").unwrap();
        }
    });
    // The writer is done although nobody has read a line: a pipe holds as much.
    writer.join().unwrap();
    let stdout = pipe.stdout();
    pipe.read(stdout);
    for n in 1..=many {
        assert_eq!(pipe.until("error")["line"], n);
    }
    assert_eq!(pipe.end().1, Some(0));
}
