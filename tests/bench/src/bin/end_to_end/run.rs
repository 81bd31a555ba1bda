//! One run: a peer is started, meets the other side over TLS, and is measured.

use std::io;
use std::path::Path;
use std::time::Duration;

use ccs_bench::corpus::Corpus;
use ccs_bench::loopback::Direction;
use ccs_bench::loopback::certificate::Certificate;
use ccs_bench::loopback::child::{Peer, Setup};
use ccs_bench::loopback::counting::End;
use ccs_bench::loopback::login;
use ccs_bench::loopback::measure::{Load, Measured, measure};
use ccs_bench::loopback::program::Program;
use ccs_tls::Connect;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// How long a peer may take to connect and log in.
const PATIENCE: Duration = Duration::from_secs(20);

/// What all runs share.
pub struct Bench {
    pub size: usize,
    corpus: Corpus,
    certificate: Certificate,
    runtime: Runtime,
}

impl Bench {
    pub fn new(size: usize, corpus: Corpus) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread();
        Self {
            size,
            corpus,
            certificate: Certificate::make(),
            runtime: { runtime }.enable_all().build().expect("a runtime"),
        }
    }

    /// An app server, with this side as its endpoint.
    pub fn app_server(
        &self,
        app_server: &Program,
        direction: Direction,
        load: Load,
    ) -> io::Result<Measured> {
        self.runtime.block_on(async {
            let (listener, setup) = self.listen(direction).await?;
            let peer = Peer::start(app_server.name, &setup)?;
            let ends = (End::Endpoint, direction);
            self.serve(&listener, ends, load, peer.id()).await
        })
    }

    /// System calls of an app server, from its start to its end, for so many messages after the login.
    pub fn system_calls(
        &self,
        app_server: &Program,
        direction: Direction,
        messages: u64,
        counts: &Path,
    ) -> io::Result<u64> {
        self.runtime.block_on(async {
            let (listener, setup) = self.listen(direction).await?;
            let peer = Peer::start_traced(app_server.name, &setup, counts)?;
            let load = Load::Messages(messages);
            let ends = (End::Endpoint, direction);
            self.serve(&listener, ends, load, peer.id()).await?;
            peer.wait()
        })?;
        total(&std::fs::read_to_string(counts)?)
    }

    /// An endpoint, with this side as its app server.
    pub fn endpoint(&self, endpoint: &Program, direction: Direction) -> io::Result<Measured> {
        let setup = self.setup(direction);
        let mut peer = Peer::start(endpoint.name, &setup)?;
        let address = peer.line()?;
        self.runtime.block_on(async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let Connect { config, name } = self.certificate.connect();
            let mut stream = TlsConnector::from(config).connect(name, stream).await?;
            let begun = timeout(PATIENCE, login::log_in(&mut stream)).await??;
            let ends = (End::AppServer, direction);
            measure(
                &mut stream,
                ends,
                &self.corpus,
                Load::Full,
                &begun,
                peer.id(),
            )
            .await
        })
    }

    fn setup(&self, direction: Direction) -> Setup {
        Setup {
            address: None,
            certificate: self.certificate.clone(),
            direction,
            size: self.size,
            connections: 1,
        }
    }

    async fn listen(&self, direction: Direction) -> io::Result<(TcpListener, Setup)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut setup = self.setup(direction);
        setup.address = Some(listener.local_addr()?);
        Ok((listener, setup))
    }

    async fn serve(
        &self,
        listener: &TcpListener,
        ends: (End, Direction),
        load: Load,
        pid: u32,
    ) -> io::Result<Measured> {
        let logging_in = async {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let acceptor = TlsAcceptor::from(self.certificate.identity().accept());
            let mut stream = acceptor.accept(stream).await?;
            login::accept(&mut stream).await?;
            io::Result::Ok(stream)
        };
        let mut stream = timeout(PATIENCE, logging_in).await??;
        measure(&mut stream, ends, &self.corpus, load, &[], pid).await
    }
}

/// The calls in a summary of strace: the number before the last column that may be empty, in the line `total`.
fn total(summary: &str) -> io::Result<u64> {
    let line = summary
        .lines()
        .rfind(|line| line.trim_end().ends_with(" total"));
    // Percent, seconds, microseconds a call, calls, errors if there are any.
    let calls = line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    calls.ok_or_else(|| io::Error::other("strace has counted nothing"))
}
