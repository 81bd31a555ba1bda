//! The adapters' own names, the same ones for each runtime: one program, written once over the path that is imported. That
//! it compiles is half of the proof; `cross` runs it.

use std::sync::mpsc::Sender;

use crate::ends::{KEY, SENDER};
use crate::link::LOCALHOST;

/// An app server and an endpoint by the names of one path.
macro_rules! program {
    ($name:ident = $($path:ident)::+) => {
        pub mod $name {
            use super::*;
            use $($path)::+ as ccs;
            use ccs::{
                ApiKey, Arrival, Client, Config, ConnectError, Downstream, Driver, Endpoint, Event,
                Identity, Incoming, ServerConfig, ServerEvent, Trust, Upstream, LoginVerdict, connect,
                connect_with,
            };

            /// The names that the program below has no use for.
            #[allow(dead_code)]
            pub type Others<S> = (
                (ccs::AcceptError, ccs::AckError, ccs::Answer, ccs::AuthRequest, ccs::Blocked),
                (ccs::Broadcast<std::iter::Empty<ccs::RegistrationToken>>, ccs::ClientConfig),
                (ccs::ConnectionError, ccs::Data, ccs::InvalidCertificate, ccs::IoTimer),
                (ccs::IoTransport<S>, ccs::Message, ccs::MessageId, ccs::Notification),
                (ccs::OwnedPermit, ccs::Peer, ccs::PeerEvents, ccs::Reserve, ccs::SendError),
                (ccs::SenderId, ccs::Tap, ccs::proto::Time, ccs::AdmissionConfig),
                (ccs::EndpointConfig, ccs::Handling, ccs::Inbound, ccs::Routes, ccs::Sent),
                (ccs::Service, ccs::ServiceEvent, ccs::StartConfig),
            );

            fn config(port: u16) -> Config {
                let trust: Trust = LOCALHOST.0.clone();
                let mut config = Config::new("127.0.0.1", SENDER.parse().expect("digits"), KEY.into());
                (config.port, config.trust) = (port, trust);
                config
            }

            /// Sends and receives `count` messages on each of two connections, one of them driven by hand.
            pub async fn app_server(port: u16, count: usize) {
                let connected: Result<(Client, Incoming), ConnectError> =
                    connect(config(port)).await;
                let (client, incoming) = connected.expect("logged in");
                talk(client, incoming, count).await;
                let (client, incoming, driver): (Client, Incoming, Driver) =
                    connect_with(config(port)).await.expect("logged in");
                let talking = talk(client, incoming, count);
                let (end, ()) = futures_util::future::join(driver, talking).await;
                assert_eq!(end, Ok(()));
            }

            async fn talk(client: Client, mut incoming: Incoming, count: usize) {
                for n in 0..count {
                    let message = Downstream::to("DEVICE").data("n", n.to_string());
                    client.send(message).await.expect("accepted");
                    let event = incoming.next().await;
                    let Some(Event::Upstream(message)) = event else {
                        panic!("{event:?}");
                    };
                    assert_eq!(message.message_id().as_str(), format!("u-{n}"));
                    message.ack().expect("open");
                }
                assert_eq!(client.close().await, Ok(()));
            }

            /// Acks every message and sends one back, on two connections one after the other.
            pub async fn endpoint(port: Sender<u16>, count: usize) {
                let identity: Identity = LOCALHOST.1.clone();
                let config = ServerConfig::default();
                let mut endpoint: Endpoint = Endpoint::bind("127.0.0.1:0", identity, config, |login| {
                    let known = login.key().matches(&ApiKey::from(KEY));
                    async move { if known { LoginVerdict::Accept } else { LoginVerdict::Reject } }
                })
                .await
                .expect("a port");
                port.send(endpoint.local_addr().expect("an address").port()).expect("waited for");
                for _ in 0..2 {
                    let arrival = endpoint.accept().await.expect("it listens");
                    let Arrival::Connected { peer, mut events, .. } = arrival else {
                        panic!("{arrival:?}");
                    };
                    let (mut messages, mut acked) = (0, 0);
                    while let Some(event) = events.next().await {
                        match event {
                            ServerEvent::Downstream { token, .. } => {
                                peer.ack(token, None).expect("open");
                                let message = Upstream::new("DEVICE", format!("u-{messages}"));
                                peer.send(message).await.expect("sent");
                                messages += 1;
                            }
                            ServerEvent::Acked(_) => acked += 1,
                            ServerEvent::Closed(end) => assert_eq!(end, Ok(())),
                            other => panic!("{other:?}"),
                        }
                    }
                    assert_eq!((messages, acked), (count, count));
                }
            }
        }
    };
}

program!(tokio = ccs_tokio);
program!(async_std = ccs_async_std);
program!(smol = ccs_async_std::smol);

/// Sockets of each runtime are transports.
#[allow(dead_code)]
fn sockets(
    tokio: ::tokio::net::TcpStream,
    async_std: ::async_std::net::TcpStream,
    smol: ::smol::net::TcpStream,
) -> [Box<dyn ccs_proto::driver::Transport + Send>; 3] {
    [
        Box::new(ccs_tokio::IoTransport::from(tokio)),
        Box::new(ccs_async_std::IoTransport::from(async_std)),
        Box::new(ccs_async_std::smol::IoTransport::from(smol)),
    ]
}
