//! Whom an endpoint lets try to log in, on every runtime. What is decided is tested in `threats/admission.rs`.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ccs_proto::driver::{
    AcceptError, ConnectError, Endpoint, EndpointConfig, LoginVerdict, connect,
};
use ccs_proto::{ApiKey, ConnectionError, ServerConfig};
use futures_util::future::join;

use crate::endpoints::{arrival, config, refused};
use crate::ends::{KEY, SHORT};
use crate::link::LOCALHOST;
use crate::runtime::Run;

/// An endpoint with these settings, its port, and how often it was asked about a key.
async fn asked<R: Run>(
    set: impl FnOnce(&mut EndpointConfig),
) -> (Endpoint<R>, u16, Arc<AtomicUsize>) {
    let mut config = EndpointConfig::from(ServerConfig::default());
    set(&mut config);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let endpoint = Endpoint::bind("127.0.0.1:0", LOCALHOST.1.clone(), config, move |login| {
        counted.fetch_add(1, Ordering::Relaxed);
        let verdict = match login.key().matches(&ApiKey::from(KEY)) {
            true => LoginVerdict::Accept,
            false => LoginVerdict::Reject,
        };
        async move { verdict }
    });
    let endpoint = endpoint.await.expect("a port");
    let port = endpoint.local_addr().expect("an address").port();
    (endpoint, port, count)
}

pub async fn at_the_limit_the_oldest_gives_way_and_the_newcomer_gets_in<R: Run>() {
    let (mut endpoint, port, _) = asked::<R>(|config| config.admission.half_open = 2).await;
    // They say nothing; each is known to the endpoint before the next one comes, as a queue keeps its order.
    let _silent = [
        R::dial("127.0.0.1", port).await.expect("it listens"),
        R::dial("127.0.0.1", port).await.expect("it listens"),
    ];
    let good = async { connect::<R>(config(port)).await.expect("let in") };
    let welcome = async {
        let error = refused(&mut endpoint).await;
        assert!(matches!(error, AcceptError::GaveWay), "{error:?}");
        arrival(&mut endpoint).await
    };
    let (_client, (_peer, _events)) = join(good, welcome).await;
}

/// An application's look-up may hang; the login it is for does not last longer for that.
pub async fn a_decision_that_never_comes_ends_with_its_connection<R: Run>() {
    let mut server = ServerConfig::default();
    server.handshake_timeout = SHORT;
    let mut server = EndpointConfig::from(server);
    server.admission.half_open_per_address = 1;
    let identity = LOCALHOST.1.clone();
    let listening = Endpoint::<R>::bind("127.0.0.1:0", identity, server, |_| pending());
    let mut endpoint = listening.await.expect("a port");
    let port = endpoint.local_addr().expect("an address").port();
    for _ in 0..2 {
        let (_, error) = join(connect::<R>(config(port)), refused(&mut endpoint)).await;
        let over = matches!(
            error,
            AcceptError::Connection(ConnectionError::HandshakeTimeout { .. })
        );
        assert!(over, "{error:?}");
    }
}

pub async fn one_address_cannot_take_every_place<R: Run>() {
    let (mut endpoint, port, _) =
        asked::<R>(|config| config.admission.half_open_per_address = 1).await;
    let _silent = R::dial("127.0.0.1", port).await.expect("it listens");
    let (failed, error) = join(connect::<R>(config(port)), refused(&mut endpoint)).await;
    let failed = failed.expect_err("refused");
    assert!(matches!(failed, ConnectError::Tls { .. }), "{failed:?}");
    assert!(
        matches!(error, AcceptError::TooManyHalfOpen(_)),
        "{error:?}"
    );
}

pub async fn after_too_many_wrong_keys_none_is_looked_at<R: Run>() {
    let (mut endpoint, port, asked) =
        asked::<R>(|config| config.admission.failures_per_address.count = 2).await;
    let mut wrong = config(port);
    wrong.client.key = "wrong".into();
    for _ in 0..2 {
        let (failed, error) = join(connect::<R>(wrong.clone()), refused(&mut endpoint)).await;
        failed.expect_err("refused");
        let AcceptError::Connection(ConnectionError::LoginRefused { .. }) = error else {
            panic!("{error:?}");
        };
    }
    // In the same words, though the key is right.
    let (failed, error) = join(connect::<R>(config(port)), refused(&mut endpoint)).await;
    let failed = failed.expect_err("refused");
    let ConnectError::Connection(ConnectionError::LoginRefused { condition, .. }) = failed else {
        panic!("{failed:?}");
    };
    assert_eq!(condition, "not-authorized");
    assert!(
        matches!(error, AcceptError::TooManyFailures(_)),
        "{error:?}"
    );
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}
