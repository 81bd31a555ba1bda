//! App servers that have many connections, each app server in a process of its own. They log in one after another. The
//! first line says that one is there, the second how many came about in the end.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use ccs_bench::loopback::certificate::HOST;
use ccs_bench::loopback::child::Setup;
use ccs_bench::loopback::login::log_in;
use ccs_bench::loopback::program::{Program, on_async_std, on_smol, on_tokio};
use ccs_bench::loopback::raw;
#[cfg(feature = "xmpp-rs")]
use ccs_bench::loopback::xmpp_rs;
use ccs_tls::Connect;
use ccs_tokio::{Client, Config, ConnectError, Incoming};
#[cfg(feature = "xmpp-rs")]
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// The first is what all are compared with: nothing is kept but the TLS connection.
pub const APP_SERVERS: &[Program] = &[
    Program {
        name: "raw",
        raw: "raw",
        run: |setup| on_tokio(nothing_on_top(setup, raw::on_tokio, tokio_task)),
    },
    Program {
        name: "ccs-tokio",
        raw: "raw",
        run: |setup| on_tokio(ccs(setup, ccs_tokio::connect, tokio_task)),
    },
    Program {
        name: "raw async-std",
        raw: "raw async-std",
        run: |setup| on_async_std(nothing_on_top(setup, raw::on_async_io, async_std_task)),
    },
    Program {
        name: "ccs-async-std",
        raw: "raw async-std",
        run: |setup| on_async_std(ccs(setup, ccs_async_std::connect, async_std_task)),
    },
    Program {
        name: "raw smol",
        raw: "raw smol",
        run: |setup| on_smol(nothing_on_top(setup, raw::on_async_io, smol_task)),
    },
    Program {
        name: "ccs-smol",
        raw: "raw smol",
        run: |setup| on_smol(ccs(setup, ccs_async_std::smol::connect, smol_task)),
    },
    #[cfg(feature = "xmpp-rs")]
    Program {
        name: "tokio-xmpp",
        raw: "raw",
        run: |setup| on_tokio(tokio_xmpp(setup)),
    },
];

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

fn tokio_task(task: Task) {
    tokio::spawn(task);
}

fn async_std_task(task: Task) {
    async_std::task::spawn(task);
}

fn smol_task(task: Task) {
    smol::spawn(task).detach();
}

/// Has as many connections as it shall, and keeps them.
async fn all<F: Future<Output = bool>>(connections: usize, one: impl Fn() -> F) {
    let mut reached = 0;
    while reached < connections && one().await {
        reached += 1;
        if reached == 1 {
            println!("{reached}");
        }
    }
    println!("{reached}");
    pending().await
}

async fn nothing_on_top<F, S>(setup: Setup, connect: fn(SocketAddr, Connect) -> F, spawn: fn(Task))
where
    F: Future<Output = io::Result<S>>,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let address = setup.address.expect("of the endpoint");
    let believed = setup.certificate.connect();
    all(setup.connections, || {
        let connecting = connect(address, believed.clone());
        async move {
            let Ok(mut stream) = connecting.await else {
                return false;
            };
            let logged_in = log_in(&mut stream).await;
            spawn(Box::pin(async move { drop(stream.read_u8().await) }));
            logged_in.is_ok()
        }
    })
    .await;
}

async fn ccs<F>(setup: Setup, connect: fn(Config) -> F, spawn: fn(Task))
where
    F: Future<Output = Result<(Client, Incoming), ConnectError>>,
{
    let sender = "123456789012".parse().expect("digits");
    let mut config = Config::new("127.0.0.1", sender, "KEY".into());
    config.port = setup.address.expect("of the endpoint").port();
    config.server_name = Some(HOST.to_owned());
    config.trust = setup.certificate.trust();
    all(setup.connections, || {
        let connecting = connect(config.clone());
        async move {
            let Ok((client, mut incoming)) = connecting.await else {
                return false;
            };
            spawn(Box::pin(async move {
                let _client = client;
                while incoming.next().await.is_some() {}
            }));
            true
        }
    })
    .await;
}

#[cfg(feature = "xmpp-rs")]
async fn tokio_xmpp(setup: Setup) {
    let address = setup.address.expect("of the endpoint");
    let believed = setup.certificate.connect();
    all(setup.connections, || {
        let believed = believed.clone();
        async move {
            let mut client = xmpp_rs::log_in(address, &believed).await;
            tokio::spawn(async move { while client.next().await.is_some() {} });
            true
        }
    })
    .await;
}
