//! `ccs serve` as its users see it: its devices, its stdin, its connections.

mod bench;
mod commands;
mod examples;
mod scenario;
mod senders;
mod state;
mod support;
mod together;
mod without_runtime;

use ccs_tokio::{
    Client, Config, Downstream, Event, Incoming, Message, SendError, Upstream, connect,
};
use serde_json::Value;
use support::Serve;

async fn upstream(incoming: &mut Incoming) -> Message<Upstream> {
    loop {
        match incoming.next().await {
            Some(Event::Upstream(message)) => return message,
            Some(Event::Closed(end)) => panic!("closed: {end:?}"),
            Some(_) => {}
            None => panic!("over"),
        }
    }
}

async fn nacked(client: &Client, token: &str) -> String {
    match client.send(Downstream::to(token)).await {
        Err(SendError::Refused(nack)) => nack.code.as_str().to_owned(),
        other => panic!("{token}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_device_does_what_its_token_says() {
    let mut serve = Serve::start(&[]);
    let (client, mut incoming, _) = serve.log_in().await;
    for (token, code) in [
        ("bad-1", "BAD_REGISTRATION"),
        ("unregistered-1", "DEVICE_UNREGISTERED"),
        ("rate-1", "DEVICE_MESSAGE_RATE_EXCEEDED"),
        ("unavailable-1", "SERVICE_UNAVAILABLE"),
        ("unavailable-1", "SERVICE_UNAVAILABLE"),
        ("internal-1", "INTERNAL_SERVER_ERROR"),
    ] {
        assert_eq!(nacked(&client, token).await, code);
        assert_eq!(serve.until("nack")["error"], code);
    }
    for token in ["unavailable-1", "phone-1", "offline-1", "idle-1"] {
        client.send(Downstream::to(token)).await.unwrap();
        assert_eq!(serve.until("ack")["to"], token);
    }
    let ack = client.send(Downstream::to("canonical-2")).await.unwrap();
    assert_eq!(ack.canonical.unwrap().as_str(), "2");
    assert_eq!(serve.until("ack")["canonical"], "2");

    client.send(Downstream::to("dup-1")).await.unwrap();
    assert_eq!(serve.until("ack")["to"], "dup-1");
    assert_eq!(serve.next()["event"], "ack");
    let second = incoming.next().await;
    assert!(matches!(second, Some(Event::Ignored(_))), "{second:?}");

    let asked = Downstream::to("phone-1").id("m-1").receipt_requested(true);
    client.send(asked).await.unwrap();
    match incoming.next().await {
        Some(Event::Receipt(receipt)) => receipt.ack().unwrap(),
        other => panic!("{other:?}"),
    }
    assert_eq!(serve.until("receipt_acked")["message_id"], "dr2:m-1");

    // No answer, but the others go on.
    let silent = client.try_send(Downstream::to("silent-1")).unwrap();
    client.send(Downstream::to("drain-1")).await.unwrap();
    serve.until("draining");
    serve.tell(r#"{"op":"upstream","from":"phone-1"}"#);
    serve.until("upstream_waiting");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_message_is_accepted_the_second_time() {
    let mut serve = Serve::start(&[]);
    let (client, _incoming, connection) = serve.log_in().await;
    let message = Downstream::to("drop-1").id("m-1");
    assert!(client.send(message.clone()).await.is_err());
    let closed = serve.until("closed");
    assert_eq!(closed["connection"], connection);
    assert!(closed["error"].is_string());
    let (client, _incoming, _) = serve.log_in().await;
    client.send(message).await.unwrap();
    assert_eq!(serve.until("delivered")["device"], "drop-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn stdin_makes_devices_send_and_come_and_go() {
    let mut serve = Serve::start(&[
        "--topic",
        "news=offline-1,phone-2",
        "--group",
        "key=phone-3",
    ]);
    serve.tell(r#"{"op":"upstream","from":"phone-1","message_id":"a","data":{"k":"v"}}"#);
    assert_eq!(serve.until("upstream_waiting")["message_id"], "a");
    let now_or_never = r#"{"op":"upstream","from":"phone-1","message_id":"b","time_to_live":0}"#;
    serve.tell(now_or_never);
    assert_eq!(serve.until("upstream_expired")["message_id"], "b");
    let (client, mut incoming, _) = serve.log_in().await;
    assert_eq!(serve.until("upstream_sent")["message_id"], "a");
    serve.tell(now_or_never);
    assert_eq!(serve.until("upstream_sent")["message_id"], "b");
    let message = upstream(&mut incoming).await;
    assert_eq!(message.time_to_live(), Some(2_419_200));
    assert_eq!(message.data().unwrap().as_json(), r#"{"k":"v"}"#);
    message.ack().unwrap();
    assert_eq!(serve.until("upstream_acked")["from"], "phone-1");

    let news = ccs_tokio::proto::message::Topic::new("news").unwrap();
    client
        .send(Downstream::topic(news).receipt_requested(true))
        .await
        .unwrap();
    assert_eq!(serve.until("stored")["device"], "offline-1");
    assert_eq!(serve.until("delivered")["device"], "phone-2");
    assert_eq!(
        serve.until("receipt_sent")["device"],
        "phone-2",
        "the first that has it confirms it"
    );
    client.send(Downstream::to("key")).await.unwrap();
    assert_eq!(serve.until("delivered")["device"], "phone-3");
    serve.tell(r#"{"op":"online","device":"offline-1"}"#);
    assert_eq!(serve.until("device")["state"], "online");
    assert_eq!(serve.until("delivered")["device"], "offline-1");
    serve.tell(r#"{"op":"offline","device":"phone-2"}"#);
    serve.until("device");
    client.send(Downstream::to("phone-2")).await.unwrap();
    assert_eq!(serve.until("stored")["device"], "phone-2");
    client
        .send(Downstream::to("phone-2").time_to_live(std::time::Duration::ZERO))
        .await
        .unwrap();
    assert_eq!(serve.until("discarded")["reason"], "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_is_named_and_changes_nothing() {
    let mut serve = Serve::start(&[]);
    serve.tell(r#"{"op":"drain"}"#);
    serve.tell("");
    for (number, line) in [
        (3, "{".to_owned()),
        (4, r#"{"op":"fly"}"#.to_owned()),
        (5, r#"{"op":"drain","connection":999}"#.to_owned()),
        (6, "x".repeat(100_000)),
        (
            7,
            r#"{"op":"upstream","from":"p","data":"no object"}"#.to_owned(),
        ),
    ] {
        serve.tell(&line);
        let error = serve.next();
        assert_eq!(
            (&error["event"], &error["line"]),
            (&"error".into(), &number.into())
        );
    }
    serve.tell(r#"{"op":"offline","device":"d"}"#);
    assert_eq!(serve.next()["event"], "device");
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_echo_when_they_are_told_to() {
    let mut serve = Serve::start(&["--echo"]);
    let (client, mut incoming, _) = serve.log_in().await;
    client
        .send(Downstream::to("phone-1").data("k", "v"))
        .await
        .unwrap();
    let echo = upstream(&mut incoming).await;
    assert_eq!(echo.from().as_str(), "phone-1");
    assert_eq!(echo.data().unwrap().as_json(), r#"{"k":"v"}"#);
    serve.until("upstream_sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn upstream_goes_around_and_what_one_leaves_goes_to_another() {
    let mut serve = Serve::start(&[]);
    let (_first, mut first_in, first) = serve.log_in().await;
    let (_second, mut second_in, second) = serve.log_in().await;
    let tell = |serve: &mut Serve, id: &str| {
        serve.tell(&format!(
            r#"{{"op":"upstream","from":"p","message_id":"{id}"}}"#
        ));
        serve.until("upstream_sent")["connection"].as_u64().unwrap()
    };
    // For a moment after its login a connection gets nothing.
    for number in 0.. {
        let to = tell(&mut serve, &format!("early-{number}"));
        let its = if to == second {
            &mut second_in
        } else {
            &mut first_in
        };
        upstream(its).await.ack().unwrap();
        serve.until("upstream_acked");
        if to == second {
            break;
        }
    }
    let sent: Vec<u64> = ["a", "b", "c", "d"].map(|id| tell(&mut serve, id)).into();
    assert_eq!(sent, [first, second, first, second]);
    for id in ["a", "c"] {
        assert_eq!(upstream(&mut first_in).await.message_id().as_str(), id);
    }
    for id in ["b", "d"] {
        let message = upstream(&mut second_in).await;
        assert_eq!(message.message_id().as_str(), id);
        message.ack().unwrap();
    }
    serve.tell(&format!(r#"{{"op":"drop","connection":{first}}}"#));
    let closed = serve.until("closed");
    assert_eq!(
        (&closed["connection"], &closed["unacked"]),
        (&first.into(), &2.into())
    );
    for id in ["a", "c"] {
        let sent = serve.until("upstream_sent");
        assert_eq!(
            (&sent["connection"], &sent["message_id"]),
            (&second.into(), &id.into())
        );
        let message = upstream(&mut second_in).await;
        assert_eq!(message.message_id().as_str(), id);
        message.ack().unwrap();
    }
    serve.until("upstream_acked");
    serve.until("upstream_acked");

    // With nobody there it waits for the next login; a draining connection gets nothing new.
    serve.tell(r#"{"op":"drain"}"#);
    serve.until("draining");
    serve.tell(r#"{"op":"upstream","from":"p","message_id":"e"}"#);
    serve.until("upstream_waiting");
    serve.until("closed");
    let (_third, mut third_in, _) = serve.log_in().await;
    assert_eq!(upstream(&mut third_in).await.message_id().as_str(), "e");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_refused_and_stdout_says_why() {
    let mut serve = Serve::start(&[]);
    let mut config = serve.config();
    config.client.key = "wrong".into();
    assert!(connect(config).await.is_err());
    let refused = serve.until("refused");
    assert_eq!(refused["reason"], "the key is wrong");
    assert!(refused["connection"].is_u64());
    let mut config: Config = serve.config();
    config.client.sender = "1".parse().unwrap();
    assert!(connect(config).await.is_err());
    assert_eq!(serve.until("refused")["reason"], "the sender is not known");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_drains_every_connection_and_ends_with_0() {
    for signal in ["-TERM", "-INT"] {
        let mut serve = Serve::start(&[]);
        let (_first, _first_in, _) = serve.log_in().await;
        let (_second, _second_in, _) = serve.log_in().await;
        serve.signal(signal);
        let (rest, status, _) = serve.end();
        let count = |event: &str| {
            let is = |value: &&Value| value["event"] == event && value.get("error").is_none();
            rest.iter().filter(is).count()
        };
        assert_eq!((count("draining"), count("closed")), (2, 2), "{rest:?}");
        assert_eq!(status.code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let mut serve = Serve::start(&[]);
    let (_client, mut incoming, _) = serve.log_in().await;
    serve.tell(r#"{"op":"upstream","from":"p"}"#);
    let _unacked = upstream(&mut incoming).await;
    serve.until("upstream_sent");
    serve.signal("-TERM");
    serve.until("draining");
    serve.signal("-TERM");
    let (_, status, _) = serve.end();
    assert_eq!(status.code(), Some(0));
}
