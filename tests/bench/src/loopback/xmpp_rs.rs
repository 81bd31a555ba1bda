//! How tokio-xmpp's client connects, over the same TLS as everybody.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ccs_tls::Connect;
use futures_util::StreamExt;
use sasl::common::ChannelBinding;
use tokio::io::BufStream;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_xmpp::connect::ServerConnector;
use tokio_xmpp::jid::{BareJid, Jid};
use tokio_xmpp::xmlstream::{PendingFeaturesRecv, StreamHeader, Timeouts, initiate_stream};
use tokio_xmpp::{Client, Error};

pub async fn log_in(address: SocketAddr, connect: &Connect) -> Client {
    let jid = BareJid::new("123456789012@gcm.googleapis.com").expect("a JID");
    let endpoint = Endpoint {
        address,
        connect: connect.clone(),
        connected: Arc::default(),
    };
    let timeouts = Timeouts::default();
    let mut client = Client::new_with_connector(jid, "KEY", endpoint, timeouts);
    while !client.next().await.expect("a login").is_online() {}
    client
}

#[derive(Clone)]
struct Endpoint {
    address: SocketAddr,
    connect: Connect,
    connected: Arc<AtomicBool>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.address)
    }
}

impl ServerConnector for Endpoint {
    type Stream = BufStream<TlsStream<TcpStream>>;

    async fn connect(
        &self,
        jid: &Jid,
        namespace: &'static str,
        timeouts: Timeouts,
    ) -> Result<(PendingFeaturesRecv<Self::Stream>, ChannelBinding), Error> {
        // It would connect again for ever.
        if self.connected.swap(true, Ordering::Relaxed) {
            std::process::exit(0);
        }
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let Connect { config, name } = self.connect.clone();
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        let header = StreamHeader {
            to: Some(Cow::Borrowed(jid.domain().as_str())),
            from: None,
            id: None,
        };
        let stream = initiate_stream(BufStream::new(stream), namespace, header, timeouts).await?;
        Ok((stream, ChannelBinding::None))
    }
}
