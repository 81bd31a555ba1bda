//! Over real TLS: who is believed, and that nothing of the login goes to anybody else.
#![allow(missing_docs)]

mod support;

use ccs_tokio::proto::driver::Verdict;
use ccs_tokio::{
    AcceptError, ApiKey, Arrival, Config, ConnectError, ConnectionError, Endpoint, Identity,
    ServerConfig, Trust, connect,
};
use rcgen::{CertificateParams, DnType, Issuer, KeyPair, date_time_ymd};
use std::sync::Arc;
use support::authority::{Authority, Pair, params, tls_server};
use support::{KEY, SENDER, in_time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

fn config(port: u16, trust: Trust) -> Config {
    let mut config = Config::new("127.0.0.1", SENDER.parse().expect("digits"), KEY.into());
    config.port = port;
    config.trust = trust;
    config
}

/// Connects to a server that shows `pair` and says nothing. Says what the client says of it, and how much plaintext the
/// server read.
async fn try_connect(
    pair: &Pair,
    trust: Trust,
    server_name: Option<&str>,
) -> (Result<(), ConnectError>, usize) {
    let acceptor = TlsAcceptor::from(Arc::new(tls_server(pair)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let mut plaintext = Vec::new();
        // Whether the handshake fails here too depends on who speaks last; what was read does not.
        if let Ok(mut stream) = acceptor.accept(stream).await {
            let mut first = [0; 4096];
            let count = stream.read(&mut first).await.unwrap_or_default();
            plaintext.extend_from_slice(&first[..count]);
        }
        plaintext.len()
    });
    let mut config = config(port, trust);
    config.server_name = server_name.map(str::to_owned);
    let result = in_time(connect(config)).await.map(drop);
    (result, in_time(server).await.expect("no panic"))
}

/// The server reads something only if the client believes it. So a row that expects 0 bytes says something.
#[tokio::test]
async fn a_believed_server_is_spoken_to() {
    let ca = Authority::new("Test CA");
    for (names, server_name) in [
        (["127.0.0.1"], None),
        (["push.example.com"], Some("push.example.com")),
        (["*.example.com"], Some("push.example.com")),
    ] {
        let pair = ca.sign(&names, |_| {});
        let (result, bytes) = try_connect(&pair, ca.trust(), server_name).await;
        assert!(bytes > 0, "{names:?}: {result:?}");
        assert!(
            matches!(result, Err(ConnectError::Connection(_))),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn nothing_is_said_to_a_server_that_is_not_believed() {
    let ca = Authority::new("Test CA");
    let other = Authority::new("Other CA");
    let ip = "127.0.0.1";
    let self_signed = {
        let key = KeyPair::generate().expect("a key");
        let certificate = params(&[ip], |_| {}).self_signed(&key).expect("signed");
        (certificate.pem(), key.serialize_pem())
    };
    let common_name = |params: &mut CertificateParams| {
        params
            .distinguished_name
            .push(DnType::CommonName, "push.example.com");
    };
    // A leaf that signs another leaf as if it were an authority.
    let by_leaf = {
        let key = KeyPair::generate().expect("a key");
        let leaf = params(&["leaf.example.com"], |_| {});
        let chain = leaf.signed_by(&key, &ca.issuer).expect("signed").pem();
        let leaf = Issuer::new(leaf, key);
        let key = KeyPair::generate().expect("a key");
        let certificate = params(&[ip], |_| {}).signed_by(&key, &leaf);
        let pem = certificate.expect("signed").pem();
        (pem + &chain, key.serialize_pem())
    };
    let name = Some("push.example.com");
    let rows = [
        (
            "another CA",
            other.sign(&[ip], |_| {}),
            None,
            "UnknownIssuer",
        ),
        (
            "another name",
            ca.sign(&["elsewhere.example.com"], |_| {}),
            name,
            "not valid for name",
        ),
        (
            "a wildcard of another level",
            ca.sign(&["*.com"], |_| {}),
            name,
            "not valid for name",
        ),
        (
            "a deeper wildcard",
            ca.sign(&["*.push.example.com"], |_| {}),
            name,
            "not valid for name",
        ),
        (
            "another address",
            ca.sign(&["127.0.0.2"], |_| {}),
            None,
            "not valid for name",
        ),
        (
            "a name for an address",
            ca.sign(&["localhost"], |_| {}),
            None,
            "not valid for name",
        ),
        (
            "expired",
            ca.sign(&[ip], |params| params.not_after = date_time_ymd(2020, 1, 1)),
            None,
            "expired",
        ),
        (
            "not yet valid",
            ca.sign(&[ip], |params| {
                params.not_before = date_time_ymd(2090, 1, 1);
            }),
            None,
            "not valid yet",
        ),
        ("self-signed", self_signed, None, "UnknownIssuer"),
        (
            "a common name alone",
            ca.sign(&[], common_name),
            name,
            "not valid for name",
        ),
        ("signed by a leaf", by_leaf, None, "EndEntityUsedAsCa"),
    ];
    for (row, pair, server_name, text) in rows {
        let (result, bytes) = try_connect(&pair, ca.trust(), server_name).await;
        let Err(ConnectError::Tls { .. }) = &result else {
            panic!("{row}: {result:?}");
        };
        assert_eq!(bytes, 0, "{row}: plaintext reached the server");
        let said = result.expect_err("a failure").to_string();
        assert!(said.contains(text), "{row}: {said}");
        assert!(said.starts_with("TLS with 127.0.0.1:"), "{row}: {said}");
        assert!(said.ends_with("; nothing was sent"), "{row}: {said}");
    }
}

/// The authorities of the web know nothing of a private one, which may be added to them.
#[tokio::test]
async fn a_private_authority_is_believed_only_when_it_is_named() {
    let ca = Authority::new("Test CA");
    let pair = ca.sign(&["127.0.0.1"], |_| {});
    let (result, bytes) = try_connect(&pair, Trust::public(), None).await;
    assert!(
        matches!(result, Err(ConnectError::Tls { .. })),
        "{result:?}"
    );
    assert_eq!(bytes, 0);
    let both = Trust::public()
        .and(ca.pem.as_bytes())
        .expect("a certificate");
    let (_, bytes) = try_connect(&pair, both, None).await;
    assert!(bytes > 0);
}

#[tokio::test]
async fn a_plain_text_server_gets_a_client_hello_and_no_login() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let xmpp = "<stream:stream from='gcm.googleapis.com' id='1' version='1.0' \
            xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'>\
            <stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
            <mechanism>PLAIN</mechanism></mechanisms></stream:features>";
        let mut hello = [0; 3];
        stream.read_exact(&mut hello).await.expect("a client hello");
        stream.write_all(xmpp.as_bytes()).await.expect("written");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        [hello.to_vec(), rest].concat()
    });
    let ca = Authority::new("Test CA");
    let result = in_time(connect(config(port, ca.trust()))).await;
    let Err(error @ ConnectError::Tls { .. }) = result else {
        panic!("{result:?}");
    };
    assert!(error.to_string().ends_with("nothing was sent"), "{error}");
    let heard = in_time(server).await.expect("no panic");
    assert_eq!(heard[..2], [0x16, 0x03], "a handshake record of TLS");
    for secret in ["<stream", "<auth", "PLAIN", KEY, SENDER] {
        let found = heard
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!found, "{secret} was sent in clear");
    }
}

async fn endpoint(ca: &Authority) -> (Endpoint, u16) {
    let (chain, key) = ca.sign(&["127.0.0.1"], |_| {});
    let identity = Identity::new(chain.as_bytes(), key.as_bytes()).expect("an identity");
    let config = ServerConfig::default();
    let endpoint = Endpoint::bind("127.0.0.1:0", identity, config, |login| {
        let known = login.key().matches(&ApiKey::from(KEY));
        async move {
            if known {
                Verdict::Accept
            } else {
                Verdict::Reject
            }
        }
    });
    let endpoint = endpoint.await.expect("a port");
    let port = endpoint.local_addr().expect("an address").port();
    (endpoint, port)
}

async fn refused(endpoint: &mut Endpoint) -> AcceptError {
    match in_time(endpoint.accept()).await.expect("it listens") {
        Arrival::Refused { error, .. } => error,
        other => panic!("{other:?}"),
    }
}

async fn log_in(endpoint: &mut Endpoint, config: Config) {
    let (client, arrival) = tokio::join!(connect(config), endpoint.accept());
    let (client, _incoming) = client.expect("logged in");
    let Ok(Arrival::Connected { peer, events, .. }) = arrival else {
        panic!("{arrival:?}");
    };
    assert_eq!(peer.sender().as_str(), SENDER);
    let acks = tokio::spawn(support::ack_all(peer, events));
    let ack = in_time(client.send(support::message(1))).await;
    assert_eq!(ack.expect("accepted").message_id.as_str(), "d-1");
    assert_eq!(in_time(client.close()).await, Ok(()));
    assert_eq!(in_time(acks).await.expect("no panic"), 1);
}

#[tokio::test]
async fn an_endpoint_refuses_plain_text_and_then_lets_a_good_client_in() {
    let ca = Authority::new("Test CA");
    let (mut endpoint, port) = endpoint(&ca).await;
    let mut stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("connected");
    stream
        .write_all(b"<stream:stream to='gcm.googleapis.com' version='1.0'>")
        .await
        .expect("written");
    let error = refused(&mut endpoint).await;
    assert!(matches!(error, AcceptError::Tls(_)), "{error:?}");
    assert!(error.to_string().starts_with("TLS failed: "), "{error}");
    let mut answer = Vec::new();
    let _ = in_time(stream.read_to_end(&mut answer)).await;
    assert!(!answer.contains(&b'<'), "no XML in clear: {answer:?}");
    log_in(&mut endpoint, config(port, ca.trust())).await;
}

#[tokio::test]
async fn connections_that_say_nothing_do_not_keep_others_out() {
    let ca = Authority::new("Test CA");
    let (mut endpoint, port) = endpoint(&ca).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(
            TcpStream::connect(("127.0.0.1", port))
                .await
                .expect("connected"),
        );
    }
    log_in(&mut endpoint, config(port, ca.trust())).await;
}

#[tokio::test]
async fn a_wrong_key_is_told_to_both_ends() {
    let ca = Authority::new("Test CA");
    let (mut endpoint, port) = endpoint(&ca).await;
    let mut config = config(port, ca.trust());
    config.client.key = "another-key".into();
    let (result, error) = tokio::join!(in_time(connect(config)), refused(&mut endpoint));
    let Err(ConnectError::Connection(at_client @ ConnectionError::LoginRefused { .. })) = result
    else {
        panic!("{result:?}");
    };
    assert!(
        at_client
            .to_string()
            .contains("check the sender id and the key"),
        "{at_client}"
    );
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

#[tokio::test]
async fn a_host_that_cannot_be_reached_and_a_name_that_is_none_are_told_apart_from_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let result = in_time(connect(config(port, Trust::public()))).await;
    assert!(
        matches!(result, Err(ConnectError::Unreachable { .. })),
        "{result:?}"
    );
    let mut wrong = config(port, Trust::public());
    wrong.server_name = Some("not a name".to_owned());
    let result = in_time(connect(wrong)).await;
    assert!(
        matches!(result, Err(ConnectError::InvalidServerName(_))),
        "{result:?}"
    );
}
