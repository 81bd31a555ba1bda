//! What devices send: acked when the application says so, and not before.

use crate::application::{Pipe, endpoint, words};

#[test]
fn a_message_is_acked_when_the_application_acks_it() {
    let (mut serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::start(&serve, &[]);
    serve.tell(r#"{"op":"upstream","from":"phone-1","message_id":"u-1","category":"com.example.app","data":{"b":"1","a":"2"}}"#);
    let message = pipe.until("upstream");
    let handle = message["upstream"].clone();
    assert_eq!(
        serde_json::to_string(&message).unwrap(),
        format!(
            r#"{{"event":"upstream","from":"phone-1","message_id":"u-1","category":"com.example.app","data":{{"b":"1","a":"2"}},"time_to_live":2419200,"upstream":{handle},"attempt":1}}"#
        )
    );
    // The answer goes first, as that of an application does that acks when its work is done.
    pipe.tell(r#"{"op":"send","id":"re","to":"phone-1"}"#);
    pipe.until("ack");
    assert_eq!(serve.until("delivered")["message_id"], "re");
    pipe.ack(&handle);
    assert_eq!(serve.until("upstream_acked")["message_id"], "u-1");
    // A handle is good once.
    pipe.ack(&handle);
    assert_eq!(words(&[pipe.next()], &["line"]), ["error 3"]);
}

#[test]
fn a_device_has_one_message_in_hand_and_others_do_not_wait_for_it() {
    let (mut serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::start(&serve, &[]);
    for (from, id) in [("phone-1", "a-1"), ("phone-1", "a-2"), ("phone-2", "b-1")] {
        serve.tell(&format!(
            r#"{{"op":"upstream","from":"{from}","message_id":"{id}"}}"#
        ));
    }
    let first = pipe.until("upstream");
    assert_eq!(first["message_id"], "a-1");
    assert_eq!(pipe.next()["message_id"], "b-1");
    pipe.ack(&first["upstream"]);
    assert_eq!(pipe.next()["message_id"], "a-2");
}

#[test]
fn what_is_rejected_is_dead_for_the_reason_given_and_does_not_come_again() {
    let (mut serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::start(&serve, &[]);
    for (id, reason) in [("u-1", r#","reason":"no such action""#), ("u-2", "")] {
        serve.tell(&format!(
            r#"{{"op":"upstream","from":"phone-1","message_id":"{id}"}}"#
        ));
        let handle = pipe.until("upstream")["upstream"].clone();
        pipe.tell(&format!(r#"{{"op":"reject","upstream":{handle}{reason}}}"#));
        let dead = pipe.next();
        let said = if reason.is_empty() {
            "the application rejected it"
        } else {
            "no such action"
        };
        assert_eq!(
            words(&[dead], &["message_id", "from", "reason"]),
            [format!("dead {id} phone-1 {said}")]
        );
        assert_eq!(serve.until("upstream_acked")["message_id"], id);
    }
}

#[test]
fn what_takes_too_long_comes_again_under_another_handle_and_is_dead_after_five_tries() {
    let (mut serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::start(&serve, &["--ack-within", "1"]);
    serve.tell(r#"{"op":"upstream","from":"phone-1","message_id":"u-1"}"#);
    let mut handles = Vec::new();
    for attempt in 1..=5 {
        let message = pipe.until("upstream");
        assert_eq!(message["attempt"], attempt);
        handles.push(message["upstream"].clone());
        if attempt == 2 {
            pipe.ack(&handles[0]);
            assert_eq!(
                pipe.next()["event"],
                "error",
                "the first handle is good no more"
            );
        }
    }
    handles.dedup();
    assert_eq!(handles.len(), 5);
    let dead = pipe.next();
    assert_eq!(
        words(&[dead], &["message_id", "reason"]),
        ["dead u-1 the handler failed 5 times"]
    );
    serve.until("upstream_acked");
}

#[test]
fn what_was_not_acked_comes_again_after_a_crash_of_the_pipe() {
    let (mut serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::start(&serve, &[]);
    for id in ["u-1", "u-2"] {
        serve.tell(&format!(
            r#"{{"op":"upstream","from":"{id}","message_id":"{id}"}}"#
        ));
    }
    let first = pipe.until("upstream");
    let second = pipe.until("upstream");
    pipe.ack(&first["upstream"]);
    serve.until("upstream_acked");
    pipe.child.kill().unwrap();
    serve.until("closed");
    let mut again = Pipe::start(&serve, &[]);
    let message = again.until("upstream");
    assert_eq!(message["message_id"], second["message_id"]);
    assert_eq!(message["attempt"], 1);
    // What a pipe before this one gave out is good for nothing here.
    again.ack(&second["upstream"]);
    assert_eq!(again.next()["event"], "error");
    again.ack(&message["upstream"]);
    assert_eq!(
        serve.until("upstream_acked")["message_id"],
        second["message_id"]
    );
}
