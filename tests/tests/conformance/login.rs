//! Logging in, and each way in which that fails.

use std::time::Duration;

use ccs_proto::driver::{AcceptError, ConnectError, Transport, connect};
use ccs_proto::{ConnectionError, ServerConfig, StreamCondition};
use ccs_tls::Trust;
use futures_util::future::join;

use crate::endpoints::{accept, config, endpoint, listener, logged_in, refused};
use crate::ends::{
    KEY, SENDER, SHORT, ack_all, client_config, client_over, downstream, login_over, message,
    received, upstream,
};
use crate::link::{LOCALHOST, Link};
use crate::runtime::{Run, spawn};
use crate::script::{HEADER, PLAIN, Script};

/// What a client says of an endpoint that answers `said` to its stream header and then no more, and what that endpoint
/// heard. With `cut` the transport ends there.
async fn answered_with<R: Run, L: Link<R>>(said: &str, cut: bool) -> (ConnectionError, String) {
    let (near, far) = L::connect().await;
    let mut config = client_config();
    (config.handshake_timeout, config.close_timeout) = (SHORT, SHORT);
    let (client, _incoming, driver) = client_over::<R, _>(config, near);
    spawn::<R, _>(driver).forget();
    let mut script = Script::new(far);
    let opened = script.hear("streams\">").await;
    script.say(said).await;
    let heard = match cut {
        true => {
            drop(script);
            String::new()
        }
        false => script.hear_all().await,
    };
    let error = client.bound().await.expect_err("no login");
    (error, opened + &heard)
}

fn no_login_in(heard: &str) {
    for secret in ["<auth", KEY] {
        assert!(!heard.contains(secret), "{heard}");
    }
}

pub async fn an_endpoint_that_offers_no_plain_is_not_told_the_key<R: Run, L: Link<R>>() {
    let features = PLAIN.replace("PLAIN", "EXTERNAL");
    let (error, heard) = answered_with::<R, L>(&format!("{HEADER}{features}"), false).await;
    let offered = vec!["EXTERNAL".to_owned()];
    assert_eq!(error, ConnectionError::NoPlain { offered });
    no_login_in(&heard);
}

pub async fn a_refused_login_names_the_sender_and_not_the_key<R: Run, L: Link<R>>() {
    let failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>";
    let said = format!("{HEADER}{PLAIN}{failure}");
    let (error, heard) = answered_with::<R, L>(&said, false).await;
    let ConnectionError::LoginRefused { sender, condition } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(
        (sender.as_str(), condition.as_str()),
        (SENDER, "not-authorized")
    );
    assert!(!error.to_string().contains(KEY), "{error}");
    assert!(heard.contains("<auth"), "{heard}");
}

pub async fn a_stream_error_instead_of_a_login_is_told<R: Run, L: Link<R>>() {
    let said = format!(
        "{HEADER}<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
        </stream:error></stream:stream>"
    );
    let (error, heard) = answered_with::<R, L>(&said, false).await;
    let ConnectionError::StreamError { condition, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(condition.as_str(), "host-unknown");
    no_login_in(&heard);
}

pub async fn an_end_of_the_stream_instead_of_a_login_is_told<R: Run, L: Link<R>>() {
    let said = format!("{HEADER}</stream:stream>");
    let (error, heard) = answered_with::<R, L>(&said, false).await;
    assert_eq!(error, ConnectionError::UnexpectedEof);
    no_login_in(&heard);
}

pub async fn a_connection_that_ends_before_the_login_is_told<R: Run, L: Link<R>>() {
    let (error, _) = answered_with::<R, L>(HEADER, true).await;
    assert_eq!(error, ConnectionError::UnexpectedEof);
}

pub async fn an_endpoint_that_speaks_something_else_is_not_told_the_key<R: Run, L: Link<R>>() {
    let (error, heard) = answered_with::<R, L>("HTTP/1.1 400 Bad Request\r\n\r\n", false).await;
    assert!(
        matches!(error, ConnectionError::Protocol { .. }),
        "{error:?}"
    );
    no_login_in(&heard);
}

pub async fn an_endpoint_that_says_nothing_more_is_given_up_in_time<R: Run, L: Link<R>>() {
    let (error, heard) = answered_with::<R, L>(HEADER, false).await;
    assert_eq!(error, ConnectionError::HandshakeTimeout { after: SHORT });
    no_login_in(&heard);
}

pub async fn a_refused_bind_is_told<R: Run, L: Link<R>>() {
    let (near, far) = L::connect().await;
    let (client, _incoming, driver) = client_over::<R, _>(client_config(), near);
    spawn::<R, _>(driver).forget();
    let mut script = Script::new(far);
    script.authenticate().await;
    script.hear("</iq>").await;
    script
        .say(
            "<iq type='error' id='bind-1'><error type='cancel'>\
            <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq></stream:stream>",
        )
        .await;
    let condition = "conflict".to_owned();
    let error = Err(ConnectionError::BindRefused { condition });
    assert_eq!(client.bound().await, error);
}

pub async fn a_client_that_says_nothing_is_given_up_in_time<R: Run, L: Link<R>>() {
    let (near, far) = L::connect().await;
    let mut config = ServerConfig::default();
    (config.handshake_timeout, config.close_timeout) = (SHORT, SHORT);
    let (login, driver) = login_over::<R, _>(config, far);
    spawn::<R, _>(driver).forget();
    let error = login.decide(|_| async { unreachable!() }).await;
    let error = error.map(drop).expect_err("no login");
    assert_eq!(error, ConnectionError::HandshakeTimeout { after: SHORT });
    drop(near);
}

pub async fn a_login_without_an_end_is_not_read_for_ever<R: Run, L: Link<R>>() {
    let (near, far) = L::connect().await;
    let config = ServerConfig::default();
    let (login, driver) = login_over::<R, _>(config, far);
    spawn::<R, _>(driver).forget();
    let flood = spawn::<R, _>(async move {
        let mut script = Script::new(near);
        let header = HEADER.replace("from=", "to=");
        script
            .say(&format!("{header}<auth>{}", "A".repeat(10_000)))
            .await;
        script.hear_all().await
    });
    let error = login.decide(|_| async { unreachable!() }).await;
    let Err(ConnectionError::Protocol { condition, .. }) = error.map(drop) else {
        panic!("no error");
    };
    assert_eq!(condition, StreamCondition::PolicyViolation);
    assert!(flood.await.contains("policy-violation"));
}

/// A login whose decision is dropped is not left hanging.
pub async fn a_dropped_decision_closes_the_connection<R: Run, L: Link<R>>() {
    let (near, far) = L::connect().await;
    let (client, _incoming, driver) = client_over::<R, _>(client_config(), near);
    spawn::<R, _>(driver).forget();
    let (login, driver) = login_over::<R, _>(ServerConfig::default(), far);
    spawn::<R, _>(driver).forget();
    drop(login);
    client.bound().await.expect_err("no login");
}

pub async fn both_ends_log_in_and_messages_go_both_ways<R: Run>() {
    let (mut endpoint, port) = endpoint::<R>(ServerConfig::default()).await;
    let (client, mut incoming, peer, mut events) = logged_in(&mut endpoint, config(port)).await;
    assert_eq!(peer.sender().as_str(), SENDER);
    let (accepted, ()) = join(client.send(message(1)), async {
        let (_, token) = downstream(&mut events).await;
        peer.ack(token, None).expect("open");
    })
    .await;
    assert_eq!(accepted.expect("accepted").message_id.as_str(), "d-1");
    peer.send(upstream(1)).await.expect("sent");
    received(&mut incoming).await.ack().expect("open");
    let acks = spawn::<R, _>(ack_all(peer, events));
    assert_eq!(client.close().await, Ok(()));
    assert_eq!(acks.await, 0);
}

pub async fn a_wrong_key_is_told_to_both_ends<R: Run>() {
    let (mut endpoint, port) = endpoint::<R>(ServerConfig::default()).await;
    let mut config = config(port);
    config.client.key = "another-key".into();
    let (result, error) = join(connect::<R>(config), refused(&mut endpoint)).await;
    let Err(ConnectError::Connection(at_client @ ConnectionError::LoginRefused { .. })) = result
    else {
        panic!("{result:?}");
    };
    let advice = "check the sender id and the key";
    assert!(at_client.to_string().contains(advice), "{at_client}");
    let AcceptError::Connection(ConnectionError::LoginRefused { sender, condition }) = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(
        (sender.as_str(), condition.as_str()),
        (SENDER, "not-authorized")
    );
    for said in [
        at_client.to_string(),
        error.to_string(),
        format!("{error:?}{at_client:?}"),
    ] {
        assert!(!said.contains("another-key"), "{said}");
    }
}

pub async fn an_endpoint_refuses_plain_text_and_then_lets_a_good_client_in<R: Run>() {
    let (mut endpoint, port) = endpoint::<R>(ServerConfig::default()).await;
    let socket = R::dial("127.0.0.1", port).await.expect("it listens");
    let mut plain = Script::new(R::plain(socket));
    plain
        .say("<stream:stream to='gcm.googleapis.com' version='1.0'>")
        .await;
    let error = refused(&mut endpoint).await;
    assert!(matches!(error, AcceptError::Tls(_)), "{error:?}");
    assert!(error.to_string().starts_with("TLS failed: "), "{error}");
    let answer = plain.hear_bytes().await;
    assert!(!answer.contains(&b'<'), "no XML in clear: {answer:?}");
    logged_in(&mut endpoint, config(port)).await;
}

pub async fn connections_that_say_nothing_do_not_keep_others_out<R: Run>() {
    let (mut endpoint, port) = endpoint::<R>(ServerConfig::default()).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(R::dial("127.0.0.1", port).await.expect("it listens"));
    }
    logged_in(&mut endpoint, config(port)).await;
}

pub async fn a_plain_text_server_gets_a_client_hello_and_no_login<R: Run>() {
    let (mut listener, port) = listener::<R>().await;
    let server = async {
        let mut plain = Script::new(R::plain(accept::<R>(&mut listener).await));
        let mut heard = plain.hear_some().await;
        plain.say(&format!("{HEADER}{PLAIN}")).await;
        heard.extend(plain.hear_bytes().await);
        heard
    };
    let (result, heard) = join(connect::<R>(config(port)), server).await;
    let Err(error @ ConnectError::Tls { .. }) = result else {
        panic!("{result:?}");
    };
    assert!(error.to_string().ends_with("nothing was sent"), "{error}");
    assert_eq!(heard[..2], [0x16, 0x03], "a handshake record of TLS");
    for secret in ["<stream", "<auth", "PLAIN", KEY, SENDER] {
        let found = heard
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!found, "{secret} was sent in clear");
    }
}

pub async fn a_server_that_never_answers_the_client_hello_is_given_up_in_time<R: Run>() {
    let (mut listener, port) = listener::<R>().await;
    let mut config = config(port);
    config.connect_timeout = SHORT;
    let server = async {
        let mut plain = Script::new(R::plain(accept::<R>(&mut listener).await));
        plain.hear_bytes().await
    };
    let (result, _) = join(connect::<R>(config), server).await;
    let Err(ConnectError::Tls { error, .. }) = result else {
        panic!("{result:?}");
    };
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

pub async fn a_server_that_speaks_tls_and_nothing_else_is_given_up_in_time<R: Run>() {
    let (mut listener, port) = listener::<R>().await;
    let mut config = config(port);
    (config.client.handshake_timeout, config.client.close_timeout) = (SHORT, SHORT);
    let server = async {
        let socket = accept::<R>(&mut listener).await;
        let transport = R::accept(socket, &LOCALHOST.1).await.expect("TLS");
        Script::new(transport).hear_all().await
    };
    let (result, heard) = join(connect::<R>(config), server).await;
    let timeout = ConnectionError::HandshakeTimeout { after: SHORT };
    assert!(matches!(result, Err(ConnectError::Connection(error)) if error == timeout));
    no_login_in(&heard);
}

pub async fn a_host_that_cannot_be_reached_and_a_name_that_is_none_are_told_apart_from_tls<
    R: Run,
>() {
    let (listener, port) = listener::<R>().await;
    drop(listener);
    let result = connect::<R>(config(port)).await;
    let Err(ConnectError::Unreachable { .. }) = result else {
        panic!("{result:?}");
    };
    let mut wrong = config(port);
    wrong.trust = Trust::public();
    wrong.server_name = Some("not a name".to_owned());
    let result = connect::<R>(wrong).await;
    let Err(ConnectError::InvalidServerName(_)) = result else {
        panic!("{result:?}");
    };
}

/// The settings as they come, in virtual time: minutes of silence.
pub async fn silence_is_given_up_after_the_times_that_are_documented<R: Run>() {
    // Neither TCP nor TLS of the client's has a time of its own.
    let clock = R::timer();
    let (mut listener, port) = listener::<R>().await;
    let server = async {
        let mut plain = Script::new(R::plain(accept::<R>(&mut listener).await));
        plain.hear_bytes().await
    };
    let (result, _) = join(connect::<R>(config(port)), server).await;
    assert!(
        matches!(result, Err(ConnectError::Tls { .. })),
        "{result:?}"
    );
    assert_eq!(elapsed(&clock), Duration::from_secs(10));

    // Nor has the endpoint's (`docs/protocol.md` §1.4).
    let clock = R::timer();
    let (mut endpoint, port) = endpoint::<R>(ServerConfig::default()).await;
    let silent = R::dial("127.0.0.1", port).await.expect("it listens");
    let error = refused(&mut endpoint).await;
    assert!(matches!(error, AcceptError::Tls(_)), "{error:?}");
    drop(silent);
    assert_eq!(elapsed(&clock), Duration::from_secs(10));

    // Behind TLS, both wait for the login alike.
    let clock = R::timer();
    let socket = R::dial("127.0.0.1", port).await.expect("it listens");
    let verifier = R::verifier(&LOCALHOST.0, "127.0.0.1").expect("a name");
    let (mut silent, error) = join(
        async { R::secure(socket, verifier).await.expect("TLS") },
        refused(&mut endpoint),
    )
    .await;
    let after = Duration::from_secs(15);
    let timeout = ConnectionError::HandshakeTimeout { after };
    assert!(matches!(error, AcceptError::Connection(error) if error == timeout));
    assert_eq!(elapsed(&clock), after);
    let _ = std::future::poll_fn(|cx| silent.poll_close(cx)).await;
}

fn elapsed(clock: &impl ccs_proto::driver::Timer) -> Duration {
    clock.now().since_origin()
}
