//! The core in an event loop of one's own: an endpoint on mio and rustls, any number of connections in one thread.
//!
//! `cargo run -p ccs-proto --example event_loop -- 127.0.0.1:5236 ca.pem` makes a certificate for `localhost`, writes it to
//! `ca.pem`, and accepts every message of whoever knows the key:
//! `CCS_KEY=KEY ccs send --sender 123456789012 --port 5236 --ca ca.pem --to phone-1 --data hello=loop`
// The clock is the embedder's, as it is no business of the core.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use ccs_proto::{ApiKey, ConnectionId, Nonce, ServerConfig, ServerConnection, ServerEvent, Time};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;

const LISTENER: Token = Token(0);

/// Serves until `connections` of them are over.
pub fn serve(
    mut listener: TcpListener,
    tls: &Arc<rustls::ServerConfig>,
    key: &ApiKey,
    connections: usize,
) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let now = || Time::from_origin(started.elapsed());
    let config = Arc::new(ServerConfig::default());
    let mut poll = Poll::new()?;
    let mut ready = Events::with_capacity(256);
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut peers = BTreeMap::new();
    let (mut last, mut over) = (0, 0);
    while over < connections {
        let next = peers.values().filter_map(Peer::deadline).min();
        poll.poll(&mut ready, next.map(|deadline| deadline - now()))?;
        if ready.iter().any(|event| event.token() == LISTENER) {
            while let Some(mut socket) = unless_blocked(listener.accept().map(|(new, _)| new))? {
                last += 1;
                let both = Interest::READABLE | Interest::WRITABLE;
                poll.registry().register(&mut socket, Token(last), both)?;
                peers.insert(last, Peer::new(socket, tls, &config, last, now())?);
            }
        }
        // Readiness is told once, on the edge: whoever got some goes on until he is blocked.
        let told = ready.iter().map(|event| event.token().0);
        let late = peers
            .iter()
            .filter(|(_, peer)| peer.deadline() <= Some(now()));
        let due: Vec<_> = told.chain(late.map(|(token, _)| *token)).collect();
        for token in due {
            let Some(peer) = peers.get_mut(&token) else {
                continue;
            };
            // What goes wrong with one connection is no concern of the others.
            if let Err(error) = peer.turn(now(), key) {
                peer.core.transport_failed(now(), error.to_string());
            }
            if peer.core.is_closed() {
                peers.remove(&token);
                over += 1;
            }
        }
    }
    Ok(())
}

/// One connection: a socket, its TLS, and the core above.
struct Peer {
    socket: TcpStream,
    tls: rustls::ServerConnection,
    core: ServerConnection,
}

impl Peer {
    fn new(
        socket: TcpStream,
        tls: &Arc<rustls::ServerConfig>,
        config: &Arc<ServerConfig>,
        id: usize,
        now: Time,
    ) -> Result<Self, Box<dyn Error>> {
        let mut nonce = [0; 20];
        let random = ring::default_provider().secure_random;
        random.fill(&mut nonce).map_err(|_| "no random numbers")?;
        let id = ConnectionId(u64::try_from(id)?);
        Ok(Self {
            socket,
            tls: rustls::ServerConnection::new(Arc::clone(tls))?,
            core: ServerConnection::new(Arc::clone(config), id, Nonce(nonce), now),
        })
    }

    fn deadline(&self) -> Option<Time> {
        self.core.poll_timeout()
    }

    /// Does what can be done without waiting.
    fn turn(&mut self, now: Time, key: &ApiKey) -> Result<(), Box<dyn Error>> {
        self.core.handle_timeout(now);
        loop {
            let read = self.read(now)?;
            while let Some(event) = self.core.poll_event() {
                self.react(now, event, key)?;
            }
            let wrote = self.write(now)?;
            if !read && !wrote {
                return Ok(());
            }
        }
    }

    fn react(&mut self, now: Time, event: ServerEvent, key: &ApiKey) -> Result<(), Box<dyn Error>> {
        match event {
            ServerEvent::Login(login) if login.key().matches(key) => {
                let _ = self.core.accept(now, login);
            }
            ServerEvent::Login(login) => {
                let _ = self.core.reject(now, login);
            }
            ServerEvent::Downstream { message, token, .. } => {
                println!("{message:?}");
                self.core.ack(token, None)?;
            }
            other => println!("{other:?}"),
        }
        Ok(())
    }

    /// Whether anything was read.
    fn read(&mut self, now: Time) -> Result<bool, Box<dyn Error>> {
        // Not reading is the back-pressure: the peer's socket fills up.
        if !self.core.wants_input() {
            return Ok(false);
        }
        let Some(count) = unless_blocked(self.tls.read_tls(&mut self.socket))? else {
            return Ok(false);
        };
        if count == 0 {
            // The core knows whether something was cut off.
            let _ = self.core.receive_eof(now);
            return Ok(false);
        }
        let mut plain = vec![0; self.tls.process_new_packets()?.plaintext_bytes_to_read()];
        self.tls.reader().read_exact(&mut plain)?;
        // The error shows in the events, and the peer is told.
        let _ = self.core.receive(now, &plain);
        Ok(true)
    }

    /// Whether anything was written.
    fn write(&mut self, now: Time) -> Result<bool, Box<dyn Error>> {
        let mut bytes = BytesMut::new();
        // One write after the other: what TLS cannot get rid of holds the core back.
        if !self.tls.wants_write() && self.core.poll_transmit(now, &mut bytes) {
            self.tls.writer().write_all(&bytes)?;
        }
        let mut wrote = false;
        while self.tls.wants_write() {
            if unless_blocked(self.tls.write_tls(&mut self.socket))?.is_none() {
                return Ok(false);
            }
            wrote = true;
        }
        Ok(wrote)
    }
}

fn unless_blocked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// TLS settings with a new certificate, and that certificate for those who are to believe it.
pub fn identity() -> Result<(Arc<rustls::ServerConfig>, String), Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost", "127.0.0.1"].map(str::to_owned))?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok((Arc::new(config), made.cert.pem()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [address, ca] = args.as_slice() else {
        return Err("usage: event_loop ADDRESS CA_FILE".into());
    };
    let (tls, certificate) = identity()?;
    std::fs::write(ca, certificate)?;
    let address: SocketAddr = address.parse()?;
    serve(
        TcpListener::bind(address)?,
        &tls,
        &ApiKey::from("KEY"),
        usize::MAX,
    )
}
