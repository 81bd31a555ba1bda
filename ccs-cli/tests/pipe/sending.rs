//! What the application sends, and each line that it gets of it.

use crate::application::{Pipe, endpoint, words};

#[test]
fn a_message_is_queued_and_then_has_its_one_outcome() {
    let (serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::start(&serve, &[]);
    for (line, outcome) in [
        (
            r#"{"op":"send","id":"a","to":"phone-1","data":{"n":"1"}}"#,
            &["ack a phone-1"][..],
        ),
        (
            r#"{"op":"send","message_id":"b","to":"bad-1"}"#,
            &[
                "unregistered bad-1 BAD_REGISTRATION",
                "nack b bad-1 BAD_REGISTRATION",
            ],
        ),
        (
            r#"{"op":"send","id":"c","to":"canonical-new"}"#,
            &["canonical canonical-new new", "ack c canonical-new new"],
        ),
        (
            r#"{"op":"send","id":"d","to":"unregistered-1"}"#,
            &[
                "unregistered unregistered-1 DEVICE_UNREGISTERED",
                "nack d unregistered-1 DEVICE_UNREGISTERED",
            ],
        ),
        (
            r#"{"op":"send","id":"e","to":"internal-1","time_to_live":1}"#,
            &["expired e internal-1"],
        ),
    ] {
        pipe.tell(line);
        let queued = pipe.next();
        let of = outcome.last().unwrap().split(' ').nth(1).unwrap();
        assert_eq!(
            (&queued["event"], &queued["message_id"]),
            (&"queued".into(), &of.into())
        );
        for expected in outcome {
            let line = loop {
                let line = pipe.next();
                if line["event"] != "retrying" {
                    break line;
                }
            };
            let members = ["message_id", "to", "canonical", "error"];
            assert_eq!(words(&[line], &members), [*expected]);
        }
    }
}

#[test]
fn a_message_without_an_id_gets_one_and_a_receipt_tells_of_it() {
    let (mut serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::start(&serve, &[]);
    pipe.tell(r#"{"op":"send","to":"phone-1","delivery_receipt_requested":true}"#);
    let queued = pipe.next();
    let id = &queued["message_id"];
    assert!(id.is_string(), "{queued}");
    assert_eq!(&pipe.until("ack")["message_id"], id);
    let receipt = pipe.until("receipt");
    assert_eq!(
        (&receipt["original_message_id"], &receipt["device"]),
        (id, &"phone-1".into())
    );
    // It is the one thing that is acked without a word of the application.
    serve.until("receipt_acked");
}

#[test]
fn what_is_refused_for_now_is_tried_again_without_the_application() {
    let (serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::start(&serve, &[]);
    pipe.tell(r#"{"op":"send","id":"m","to":"unavailable-1"}"#);
    pipe.close_stdin();
    let (lines, code, _) = pipe.end();
    assert_eq!(
        words(&lines, &["message_id", "attempt"]),
        ["queued m", "retrying m 1", "retrying m 2", "ack m"]
    );
    assert_eq!(code, Some(0), "what is refused in between is no failure");
}

#[test]
fn a_bad_line_is_named_and_the_next_one_read() {
    let (mut serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::start(&serve, &[]);
    serve.until("login");
    pipe.tell("");
    for (number, line) in [
        (2, "{".to_owned()),
        (3, r#"{"op":"fly"}"#.to_owned()),
        (4, r#"{"op":"send","to":"T","ttl":1}"#.to_owned()),
        (
            5,
            r#"{"op":"ack","upstream":"0000000000000000-0"}"#.to_owned(),
        ),
        (6, r#"{"op":"reject","upstream":"nonsense"}"#.to_owned()),
        (7, "x".repeat(100_000)),
        (
            8,
            r#"{"op":"send","id":"m","to":"T","data":{"google.x":"1"}}"#.to_owned(),
        ),
    ] {
        pipe.tell(&line);
        let error = pipe.next();
        assert_eq!(
            (&error["event"], &error["line"]),
            (&"error".into(), &number.into()),
            "{error}"
        );
    }
    pipe.tell(r#"{"op":"send","id":"s","to":"silent-1"}"#);
    assert_eq!(pipe.next()["event"], "queued");
    pipe.tell(r#"{"op":"send","id":"s","to":"phone-1"}"#);
    assert_eq!(
        words(&[pipe.next()], &["message_id", "line"]),
        ["error s 10"]
    );
    pipe.tell(r#"{"op":"send","id":"m","to":"phone-1"}"#);
    assert_eq!(pipe.next()["event"], "queued");
    assert_eq!(pipe.next()["event"], "ack");
}
