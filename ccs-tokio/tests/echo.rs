//! The loop that everybody writes: take a message, send one back, ack it, all in one task.
#![allow(missing_docs)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use ccs_tokio::proto::StreamCondition;
use ccs_tokio::{
    AckError, Blocked, Client, ConnectionError, Event, Incoming, SendError, ServerEvent,
};
use support::{
    Script, ack_of, client_config, downstream_id, in_time, message, pair, scripted, upstream,
    upstream_stanza,
};
use tokio::io::{AsyncWriteExt, DuplexStream, split};

const MESSAGES: usize = 10_000;

/// What became of each message, in order, and how the connection ended.
#[derive(Default)]
struct Echoed {
    sent: Vec<Result<(), SendError>>,
    acked: Vec<Result<(), AckError>>,
    end: Option<Result<(), ConnectionError>>,
}

/// Echoes until the connection is over, or until `enough` were echoed and the client is closed.
async fn echo(client: Client, mut incoming: Incoming, enough: usize) -> Echoed {
    let mut echoed = Echoed::default();
    while let Some(event) = incoming.next().await {
        match event {
            Event::Upstream(upstream) => {
                let n = echoed.sent.len();
                echoed.sent.push(client.send(message(n)).await.map(drop));
                echoed.acked.push(upstream.ack());
                if n + 1 == enough {
                    tokio::spawn({
                        let client = client.clone();
                        async move { client.close().await }
                    });
                }
            }
            Event::Closed(end) => echoed.end = Some(end),
            _ => {}
        }
    }
    echoed
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_messages_at_once_are_echoed_and_acked_in_one_task() {
    let (client, incoming, peer, mut events) = pair(client_config()).await;
    let echo = tokio::spawn(echo(client, incoming, MESSAGES));
    for n in 0..MESSAGES {
        let peer = peer.clone();
        tokio::spawn(async move { peer.send(upstream(n)).await.expect("sent") });
    }
    let (mut answered, mut acked) = (0, 0);
    let end = loop {
        match in_time(events.next()).await.expect("an event") {
            ServerEvent::Downstream { token, .. } => {
                peer.ack(token, None).expect("open");
                answered += 1;
            }
            ServerEvent::Acked(_) => acked += 1,
            ServerEvent::Closed(end) => break end,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(end, Ok(()));
    assert_eq!((answered, acked), (MESSAGES, MESSAGES));
    let echoed = in_time(echo).await.expect("no panic");
    assert_eq!(echoed.sent.len(), MESSAGES);
    assert!(echoed.sent.iter().all(Result::is_ok));
    assert!(echoed.acked.iter().all(Result::is_ok));
    assert_eq!(echoed.end, Some(Ok(())));
}

/// Writes all its messages before anything else, and answers what it hears behind them.
async fn flood(script: Script<DuplexStream>) {
    let (reader, mut writer) = split(script.into_stream());
    let (answers, mut to_write) = tokio::sync::mpsc::unbounded_channel::<String>();
    let heard = tokio::spawn(async move {
        let mut script = Script::new(tokio::io::join(reader, tokio::io::sink()));
        loop {
            let stanza = script.hear(">").await;
            if stanza.contains("stream:stream") {
                break;
            }
            if let Some(id) = downstream_id(&stanza)
                && answers.send(ack_of(&id)).is_err()
            {
                break;
            }
        }
    });
    let all: String = (0..MESSAGES).map(upstream_stanza).collect();
    let written = writer.write_all(all.as_bytes()).await;
    while let Some(answer) = to_write.recv().await {
        if written.is_err() || writer.write_all(answer.as_bytes()).await.is_err() {
            break;
        }
    }
    let _ = writer.write_all(b"</stream:stream>").await;
    let _ = heard.await;
}

/// The answer to the first echo lies behind ten thousand messages, and no more than the inbox holds are read. So one of
/// the two has to give way, and it is the peer, who broke the window.
#[tokio::test(start_paused = true)]
async fn a_peer_that_ignores_the_window_is_cut_off_and_the_waiting_send_is_unknown() {
    let mut config = client_config();
    config.inbox_patience = Duration::from_secs(3);
    let (client, incoming, driver, script) = scripted(config, 4096).await;
    let flood = tokio::spawn(flood(script));
    let echoed = in_time(echo(client, incoming, MESSAGES)).await;
    let Some(Err(ConnectionError::Protocol { condition, .. })) = &echoed.end else {
        panic!("{:?}", echoed.end);
    };
    assert_eq!(*condition, StreamCondition::PolicyViolation);
    let mut sent = echoed.sent.into_iter();
    let Some(Err(SendError::Unknown {
        message_id,
        message: kept,
        error: Some(_),
    })) = sent.next()
    else {
        panic!("the first was under way");
    };
    assert_eq!((message_id.as_str(), *kept), ("d-0", message(0)));
    for (n, result) in sent.enumerate() {
        let back = message(n + 1);
        let why = Blocked::Closed;
        assert_eq!(
            result,
            Err(SendError::NotSent {
                message: Box::new(back),
                why
            })
        );
    }
    // What was read and not handled in time is not acked: it comes again.
    assert!(echoed.acked.iter().all(|ack| *ack == Err(AckError::Closed)));
    assert!(matches!(in_time(driver).await, Ok(Err(_))));
    in_time(flood).await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_ignores_the_window_gets_through_where_the_inbox_holds_it_all() {
    let mut config = client_config();
    config.inbox_messages = 2 * MESSAGES;
    let (client, incoming, driver, script) = scripted(config, 4096).await;
    let flood = tokio::spawn(flood(script));
    let echoed = in_time(echo(client, incoming, MESSAGES)).await;
    assert_eq!(echoed.sent.len(), MESSAGES);
    assert!(echoed.sent.iter().all(Result::is_ok));
    assert!(echoed.acked.iter().all(Result::is_ok));
    assert_eq!(in_time(driver).await.expect("no panic"), Ok(()));
    in_time(flood).await.expect("no panic");
}

/// While the handler waits, acks of other tasks and pongs still go out: nothing of this waits for the window.
#[tokio::test(start_paused = true)]
async fn acks_go_out_while_the_window_is_full() {
    let mut config = client_config();
    config.window = 1;
    let (client, mut incoming, _driver, mut script) = scripted(config, 4096).await;
    let client = Arc::new(client);
    let sending = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.send(message(1)).await }
    });
    assert_eq!(in_time(script.hear_message()).await, "d-1");
    script.say(&upstream_stanza(7)).await;
    let received = support::event(&mut incoming, |event| match event {
        Event::Upstream(message) => Some(message),
        _ => None,
    })
    .await;
    assert_eq!(client.capacity(), 0);
    received.ack().expect("open");
    let ack = in_time(script.hear("</message>")).await;
    assert!(
        ack.contains(r#""message_id":"u-7","message_type":"ack""#),
        "{ack}"
    );
    script.say(&ack_of("d-1")).await;
    in_time(sending).await.expect("no panic").expect("accepted");
}
