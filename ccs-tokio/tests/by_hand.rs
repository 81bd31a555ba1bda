//! What tokio alone can tell; all else is in the suite that every runtime shares.
#![allow(missing_docs)]

use std::sync::mpsc::{Sender, channel};
use std::thread;

use ccs_tokio::{
    Arrival, Config, Downstream, Endpoint, Identity, LoginVerdict, ServerConfig, ServerEvent,
    Trust, connect_with,
};
use rcgen::generate_simple_self_signed;
use tokio::runtime::{Builder, Handle};

/// Lets one client in and acks what it sends.
async fn serve(identity: Identity, port: Sender<u16>) {
    let config = ServerConfig::default();
    let endpoint = Endpoint::bind("127.0.0.1:0", identity, config, |_| async {
        LoginVerdict::Accept
    });
    let mut endpoint = endpoint.await.expect("a port");
    let address = endpoint.local_addr().expect("an address");
    port.send(address.port()).expect("waited for");
    let arrival = endpoint.accept().await.expect("it listens");
    let Arrival::Connected {
        peer, mut events, ..
    } = arrival
    else {
        panic!("{arrival:?}");
    };
    while let Some(event) = events.next().await {
        if let ServerEvent::Downstream { token, .. } = event {
            peer.ack(token, None).expect("open");
        }
    }
}

#[tokio::test]
async fn connecting_by_hand_spawns_nothing() {
    let certified = generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("signed");
    let pem = certified.cert.pem();
    let key = certified.signing_key.serialize_pem();
    let identity = Identity::new(pem.as_bytes(), key.as_bytes()).expect("an identity");
    let (tell, told) = channel();
    let endpoint = thread::spawn(|| {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(serve(identity, tell));
    });

    let metrics = Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let mut config = Config::new("127.0.0.1", "1".parse().expect("digits"), "KEY".into());
    config.port = told.recv().expect("it listens");
    config.trust = Trust::only(pem.as_bytes()).expect("a certificate");
    let (client, _incoming, driver) = connect_with(config).await.expect("logged in");
    let talking = async {
        let sent = client.send(Downstream::to("DEVICE")).await;
        sent.expect("accepted");
        client.close().await
    };
    let (end, closed) = tokio::join!(driver, talking);
    assert_eq!((end, closed), (Ok(()), Ok(())));
    assert_eq!(metrics.num_alive_tasks(), before);
    endpoint.join().expect("no panic");
}
