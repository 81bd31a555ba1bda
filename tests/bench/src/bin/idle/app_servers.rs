//! App servers that have many connections, each app server in a process of its own. They log in one after another. The
//! first line says that one is there, the second how many came about in the end.

use std::future::pending;
use std::net::SocketAddr;

use ccs_bench::loopback::certificate::HOST;
use ccs_bench::loopback::child::Setup;
use ccs_bench::loopback::login::log_in;
#[cfg(feature = "xmpp-rs")]
use ccs_bench::loopback::xmpp_rs;
use ccs_tls::Connect;
use ccs_tokio::{Client, Config, ConnectError, Incoming};
#[cfg(feature = "xmpp-rs")]
use futures_util::StreamExt;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppServer {
    /// The limit: nothing is kept but the TLS connection.
    Raw,
    CcsTokio,
    CcsAsyncStd,
    CcsSmol,
    #[cfg(feature = "xmpp-rs")]
    TokioXmpp,
}

impl AppServer {
    pub const ALL: &[Self] = &[
        Self::Raw,
        Self::CcsTokio,
        Self::CcsAsyncStd,
        Self::CcsSmol,
        #[cfg(feature = "xmpp-rs")]
        Self::TokioXmpp,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::CcsTokio => "ccs-tokio",
            Self::CcsAsyncStd => "ccs-async-std",
            Self::CcsSmol => "ccs-smol",
            #[cfg(feature = "xmpp-rs")]
            Self::TokioXmpp => "tokio-xmpp",
        }
    }

    pub fn be(self, setup: Setup) {
        match self {
            Self::Raw => on_tokio(raw(setup)),
            Self::CcsTokio => on_tokio(async move {
                let connect = async |config| ccs_tokio::connect(config).await;
                ccs(&setup, connect, |task| drop(tokio::spawn(task))).await;
            }),
            Self::CcsAsyncStd => async_std::task::block_on(async move {
                let connect = async |config| ccs_async_std::connect(config).await;
                ccs(&setup, connect, |task| drop(async_std::task::spawn(task))).await;
            }),
            Self::CcsSmol => smol::block_on(async move {
                let connect = async |config| ccs_async_std::smol::connect(config).await;
                ccs(&setup, connect, |task| smol::spawn(task).detach()).await;
            }),
            #[cfg(feature = "xmpp-rs")]
            Self::TokioXmpp => on_tokio(tokio_xmpp(setup)),
        }
    }
}

fn on_tokio(app_server: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    runtime.block_on(app_server);
}

/// Has as many connections as it shall, and keeps them.
async fn all(setup: &Setup, mut one: impl AsyncFnMut(SocketAddr) -> bool) {
    let address = setup.address.expect("of the endpoint");
    let mut reached = 0;
    while reached < setup.connections && one(address).await {
        reached += 1;
        if reached == 1 {
            println!("{reached}");
        }
    }
    println!("{reached}");
    pending().await
}

async fn raw(setup: Setup) {
    let connect = setup.certificate.connect();
    all(&setup, async |address| {
        let Some(mut stream) = raw_login(address, &connect).await else {
            return false;
        };
        tokio::spawn(async move { stream.read_u8().await });
        true
    })
    .await;
}

async fn raw_login(address: SocketAddr, connect: &Connect) -> Option<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let Connect { config, name } = connect.clone();
    let connecting = TlsConnector::from(config).connect(name, stream);
    let mut stream = connecting.await.ok()?;
    log_in(&mut stream).await.ok()?;
    Some(stream)
}

type Connected = Result<(Client, Incoming), ConnectError>;
type Task = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

async fn ccs(
    setup: &Setup,
    mut connect: impl AsyncFnMut(Config) -> Connected,
    mut spawn: impl FnMut(Task),
) {
    let sender = "123456789012".parse().expect("digits");
    let mut config = Config::new("127.0.0.1", sender, "KEY".into());
    config.server_name = Some(HOST.to_owned());
    config.trust = setup.certificate.trust();
    all(setup, async |address| {
        config.port = address.port();
        let Ok((client, mut incoming)) = connect(config.clone()).await else {
            return false;
        };
        spawn(Box::pin(async move {
            let _client = client;
            while incoming.next().await.is_some() {}
        }));
        true
    })
    .await;
}

#[cfg(feature = "xmpp-rs")]
async fn tokio_xmpp(setup: Setup) {
    let connect = setup.certificate.connect();
    all(&setup, async |address| {
        let mut client = xmpp_rs::log_in(address, &connect).await;
        tokio::spawn(async move { while client.next().await.is_some() {} });
        true
    })
    .await;
}
