//! Connections come and go below the pipe.

use crate::application::{Pipe, endpoint};

#[test]
fn messages_outlive_drains_cuts_and_a_crash_of_the_endpoint() {
    let (mut serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::start(&serve, &[]);
    pipe.tell(r#"{"op":"send","id":"a","to":"drain-1"}"#);
    assert_eq!(pipe.until("ack")["message_id"], "a");
    pipe.until("draining");
    pipe.tell(r#"{"op":"send","id":"b","to":"drop-1"}"#);
    pipe.until("reconnecting");
    assert_eq!(pipe.until("ack")["message_id"], "b");
    pipe.tell(r#"{"op":"send","id":"c","to":"silent-1"}"#);
    pipe.until("queued");
    while serve.until("downstream")["message_id"] != "c" {}
    serve.crash_and_restart();
    pipe.until("reconnecting");
    // It goes out again by itself, under its own id.
    assert_eq!(serve.until("downstream")["message_id"], "c");
    serve.tell(r#"{"op":"upstream","from":"phone-1","message_id":"u-1"}"#);
    let message = pipe.until("upstream");
    pipe.ack(&message["upstream"]);
    serve.until("upstream_acked");
}

#[test]
fn a_handle_is_good_on_the_next_connection_and_its_message_is_not_told_twice() {
    let (mut serve, _home) = endpoint(&[]);
    let mut pipe = Pipe::start(&serve, &[]);
    serve.tell(r#"{"op":"upstream","from":"phone-1","message_id":"u-1"}"#);
    let message = pipe.until("upstream");
    serve.tell(r#"{"op":"drop"}"#);
    serve.until("login");
    assert_eq!(serve.until("upstream_sent")["message_id"], "u-1");
    pipe.ack(&message["upstream"]);
    assert_eq!(serve.until("upstream_acked")["message_id"], "u-1");
    serve.tell(r#"{"op":"upstream","from":"phone-1","message_id":"u-2"}"#);
    assert_eq!(pipe.until("upstream")["message_id"], "u-2");
}
