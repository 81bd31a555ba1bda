//! The ways to end: of stdin, by word, by signal, for want of a reader or of an endpoint.

use std::net::TcpListener;

use crate::application::{Pipe, endpoint, words};
use crate::support::Serve;

/// The pipe holds a message of a device, and waits for the answer to another one.
fn with_both_pending(serve: &mut Serve, args: &[&str]) -> (Pipe, serde_json::Value) {
    let mut pipe = Pipe::start(serve, args);
    serve.tell(r#"{"op":"upstream","from":"phone-1","message_id":"u-1"}"#);
    let handle = pipe.until("upstream")["upstream"].clone();
    pipe.tell(r#"{"op":"send","id":"m","to":"silent-1"}"#);
    pipe.until("queued");
    serve.until("downstream");
    (pipe, handle)
}

/// Of the endpoint: the pipe left without an ack.
fn comes_again(serve: &mut Serve) {
    assert_eq!(serve.until("closed")["unacked"], 1);
    let mut next = Pipe::start(serve, &[]);
    assert_eq!(next.until("upstream")["message_id"], "u-1");
}

#[test]
fn the_end_of_stdin_finishes_what_is_sent_and_gives_back_what_is_not_acked() {
    let (mut serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::start(&serve, &[]);
    serve.tell(r#"{"op":"upstream","from":"phone-1","message_id":"u-1"}"#);
    pipe.until("upstream");
    for n in 0..300 {
        pipe.tell(&format!(r#"{{"op":"send","id":"m-{n}","to":"phone-{n}"}}"#));
    }
    pipe.close_stdin();
    let (lines, code, said) = pipe.end();
    let count = |event: &str| lines.iter().filter(|line| line["event"] == event).count();
    assert_eq!((count("queued"), count("ack")), (300, 300));
    assert_eq!(code, Some(0), "{said}");
    comes_again(&mut serve);
}

#[test]
fn a_drain_takes_nothing_new_and_waits_for_acks() {
    let (mut serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::start(&serve, &[]);
    serve.tell(r#"{"op":"upstream","from":"phone-1","message_id":"u-1"}"#);
    let handle = pipe.until("upstream")["upstream"].clone();
    pipe.tell(r#"{"op":"drain"}"#);
    pipe.tell(r#"{"op":"send","id":"m","to":"phone-1"}"#);
    assert_eq!(
        words(&[pipe.next()], &["message_id", "to"]),
        ["unsent m phone-1"]
    );
    serve.tell(r#"{"op":"upstream","from":"phone-2","message_id":"u-2"}"#);
    while serve.until("upstream_sent")["message_id"] != "u-2" {}
    pipe.ack(&handle);
    while serve.until("upstream_acked")["message_id"] != "u-1" {}
    let (rest, code, said) = pipe.end();
    assert_eq!(rest, Vec::<serde_json::Value>::new());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(serve.until("closed")["unacked"], 1, "u-2 comes again");
}

#[test]
fn a_drain_waits_for_an_ack_no_longer_than_it_may_take() {
    let (mut serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::start(&serve, &["--ack-within", "1"]);
    serve.tell(r#"{"op":"upstream","from":"phone-1","message_id":"u-1"}"#);
    pipe.until("upstream");
    pipe.tell(r#"{"op":"drain"}"#);
    let (rest, code, said) = pipe.end();
    assert_eq!(words(&rest, &["message_id"]), Vec::<String>::new());
    assert_eq!(code, Some(0), "{said}");
    comes_again(&mut serve);
}

#[test]
fn a_signal_leaves_time_to_ack_and_ends_with_0() {
    for signal in ["-TERM", "-INT"] {
        let (mut serve, _home) = endpoint(&[]);
        let mut pipe = Pipe::start(&serve, &[]);
        serve.tell(r#"{"op":"upstream","from":"phone-1","message_id":"u-1"}"#);
        let handle = pipe.until("upstream")["upstream"].clone();
        pipe.signal(signal);
        // Once sends are refused, the signal has been seen.
        loop {
            pipe.tell(r#"{"op":"send","to":"phone-1"}"#);
            if pipe.next()["event"] == "unsent" {
                break;
            }
        }
        pipe.ack(&handle);
        serve.until("upstream_acked");
        let (_, code, said) = pipe.end();
        assert_eq!(code, Some(0), "{said}");
    }
}

#[test]
fn what_is_not_done_in_time_after_a_signal_is_told_and_ends_with_6() {
    let (mut serve, _home) = endpoint(&[]);
    let (pipe, _) = with_both_pending(&mut serve, &["--drain-timeout", "1"]);
    pipe.signal("-TERM");
    let (lines, code, said) = pipe.end();
    assert_eq!(words(&lines, &["message_id", "to"]), ["unknown m silent-1"]);
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("--drain-timeout"), "{said}");
    assert!(said.contains("1 message of devices not acked"), "{said}");
    comes_again(&mut serve);
}

#[test]
fn a_second_signal_ends_at_once() {
    let (mut serve, _home) = endpoint(&[]);
    let (mut pipe, _) = with_both_pending(&mut serve, &["--drain-timeout", "86400"]);
    pipe.signal("-TERM");
    loop {
        pipe.tell(r#"{"op":"send","to":"silent-1"}"#);
        if pipe.next()["event"] == "unsent" {
            break;
        }
    }
    pipe.signal("-TERM");
    let (lines, code, said) = pipe.end();
    assert!(
        words(&lines, &["message_id"]).contains(&"unknown m".to_owned()),
        "{lines:?}"
    );
    assert_eq!(code, Some(6), "{said}");
}

#[test]
fn a_reader_that_goes_away_ends_it_in_order() {
    let (mut serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::unread(&serve, &[]);
    serve.until("login");
    drop(pipe.child.stdout.take());
    // It notices with the next line.
    serve.tell(r#"{"op":"upstream","from":"phone-1","message_id":"u-1"}"#);
    serve.until("upstream_sent");
    pipe.tell(r#"{"op":"send","id":"m","to":"phone-1"}"#);
    pipe.close_stdin();
    let (_, code, said) = pipe.end();
    assert_eq!(code, Some(0), "{said}");
    comes_again(&mut serve);
}

#[test]
fn a_reader_that_hangs_does_not_hold_up_the_end() {
    let (mut serve, _home) = endpoint(&["--window", "1000"]);
    let mut pipe = Pipe::unread(&serve, &["--drain-timeout", "1"]);
    serve.until("login");
    let data = "x".repeat(4_000);
    for n in 0..500 {
        serve.tell(&format!(
            r#"{{"op":"upstream","from":"phone-{n}","data":{{"x":"{data}"}}}}"#
        ));
    }
    for _ in 0..500 {
        serve.until("upstream_sent");
    }
    pipe.signal("-TERM");
    assert_eq!(pipe.child.wait().unwrap().code(), Some(6));
    assert_eq!(serve.until("closed")["unacked"], 500);
}

#[test]
fn it_says_by_its_exit_code_why_it_could_not_go_on() {
    let (serve, _home) = endpoint(&[]);
    let port = serve.listening["port"].to_string();
    let run = |args: &[&str]| {
        let (_, code, said) = Pipe::start(&serve, args).end();
        (code, said)
    };
    let (code, said) = run(&["--sender", "1"]);
    assert_eq!(code, Some(3), "{said}");
    let (code, said) = run(&["--server-name", "example.com"]);
    assert_eq!(code, Some(4), "{said}");
    let (code, said) = run(&["--ack-within", "0"]);
    assert_eq!(code, Some(2), "{said}");
    drop(serve);
    let (serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::start(&serve, &["--retry-for", "1", "--port", &port]);
    pipe.tell(r#"{"op":"send","id":"m","to":"phone-1"}"#);
    let (lines, code, said) = pipe.end();
    let told = words(&lines, &["message_id"]);
    let mine: Vec<_> = told.iter().filter(|word| word.ends_with(" m")).collect();
    assert_eq!(mine, ["queued m", "unsent m"], "{lines:?}");
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("cannot be reached"), "{said}");
}

#[test]
fn an_endpoint_that_hangs_up_during_the_handshake_is_one_that_cannot_be_reached() {
    let (serve, _home) = endpoint(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let pipe = Pipe::start(&serve, &["--retry-for", "1", "--port", &port]);
    let (_, code, said) = pipe.end();
    assert_eq!(code, Some(5), "{said}");
}
