//! The core without a runtime: `std::net`, rustls and one thread that reads.
//!
//! Start `ccs serve`; it prints where its CA certificate and key file are, and its sender id. Then
//! `cargo run -p ccs-proto --example blocking -- CA KEY_FILE SENDER [HOST:PORT]`
//! logs in, sends one message, waits for its answer and ends the stream in order. [`drive`] is all there is to it.
// Clock and thread are the embedder's, as they are no business of the core.
#![allow(clippy::disallowed_methods)]

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use ccs_proto::message::Downstream;
use ccs_proto::{
    ApiKey, ClientConfig, ClientConnection, ClientEvent, ConnectionId, SenderId, Time,
    TransportSecurity,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

/// What the thread that owns the connection waits for.
enum Input {
    /// The application wants something sent.
    Send(Downstream),
    /// Bytes off the socket, still encrypted.
    Bytes(Vec<u8>),
    /// The socket has ended.
    Eof,
}

/// Owns the connection until it is over: events out, bytes out, then one input or the next deadline.
fn drive(
    connection: &mut ClientConnection,
    tls: &mut Tls,
    inputs: &Receiver<Input>,
    mut on_event: impl FnMut(&mut ClientConnection, ClientEvent, Time),
) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let now = || Time::from_origin(started.elapsed());
    let mut bytes = BytesMut::new();
    loop {
        while let Some(event) = connection.poll_event() {
            on_event(connection, event, now());
        }
        while connection.poll_transmit(now(), &mut bytes) {
            tls.write(&bytes.split())?;
        }
        if let Some(end) = connection.end() {
            return Ok(end?);
        }
        let deadline = connection.poll_timeout();
        let patience = deadline.map_or(Duration::MAX, |deadline| deadline - now());
        match inputs.recv_timeout(patience) {
            Ok(Input::Send(message)) => {
                let encoded = message.encode("m-1")?;
                connection.reserve()?.send(encoded)?;
            }
            // What is wrong with them ends the connection, and shows in `end`.
            Ok(Input::Bytes(bytes)) => {
                let _ = connection.receive(now(), &tls.read(&bytes)?);
            }
            Ok(Input::Eof) => {
                let _ = connection.receive_eof(now());
            }
            Err(RecvTimeoutError::Timeout) => connection.handle_timeout(now()),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// One message to `phone-1` and what became of it, told to `out`.
pub fn run(
    address: &str,
    ca: &[u8],
    (sender, key): (SenderId, ApiKey),
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let (mut tls, reader) = Tls::connect(address, ca)?;
    // The bound is the back-pressure: a full channel stops the reading thread, and so the peer.
    let (sending, inputs) = sync_channel(16);
    let reading = sending.clone();
    let reader = thread::spawn(move || read(reader, &reading));

    let mut connection = ClientConnection::new(
        Arc::new(ClientConfig::new(sender, key)),
        ConnectionId(1),
        TransportSecurity::VerifiedTls, // `Tls::connect` knows no other way
        Time::ZERO,
    );
    // Any thread may do this at any time.
    sending.send(Input::Send(
        Downstream::to("phone-1").data("hello", "no runtime"),
    ))?;
    let mut told = Ok(());
    drive(
        &mut connection,
        &mut tls,
        &inputs,
        |connection, event, now| {
            if told.is_ok() {
                told = writeln!(out, "{event:?}");
            }
            if matches!(event, ClientEvent::Answered { .. }) {
                connection.close(now);
            }
        },
    )?;
    told?;
    tls.close();
    // It may be held up at the full channel; nobody takes anything any more.
    drop(inputs);
    let _ = reader.join();
    Ok(())
}

/// The thread that waits for the socket.
fn read(mut socket: TcpStream, inputs: &SyncSender<Input>) {
    loop {
        let mut buffer = vec![0; 16 * 1024];
        let input = match socket.read(&mut buffer) {
            Ok(0) | Err(_) => Input::Eof,
            Ok(count) => {
                buffer.truncate(count);
                Input::Bytes(buffer)
            }
        };
        let over = matches!(input, Input::Eof);
        if inputs.send(input).is_err() || over {
            return;
        }
    }
}

/// rustls above the writing half of a socket.
struct Tls {
    session: rustls::ClientConnection,
    socket: TcpStream,
}

impl Tls {
    /// Connects and verifies; the other half is for the thread that reads.
    fn connect(address: &str, ca: &[u8]) -> Result<(Self, TcpStream), Box<dyn Error>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca)?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (host, _) = address.rsplit_once(':').ok_or("HOST:PORT is expected")?;
        let name = ServerName::try_from(host.to_owned())?;
        let mut session = rustls::ClientConnection::new(Arc::new(config), name)?;
        let mut socket = TcpStream::connect(address)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        let reader = socket.try_clone()?;
        Ok((Self { session, socket }, reader))
    }

    fn write(&mut self, plain: &[u8]) -> io::Result<()> {
        self.session.writer().write_all(plain)?;
        while self.session.wants_write() {
            self.session.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    /// What is in these bytes, as far as whole records go.
    fn read(&mut self, mut encrypted: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        while !encrypted.is_empty() {
            self.session.read_tls(&mut encrypted)?;
            let state = self.session.process_new_packets();
            let count = state.map_err(io::Error::other)?.plaintext_bytes_to_read();
            let start = plain.len();
            plain.resize(start + count, 0);
            self.session.reader().read_exact(&mut plain[start..])?;
        }
        Ok(plain)
    }

    fn close(&mut self) {
        self.session.send_close_notify();
        let _ = self.session.write_tls(&mut self.socket);
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [ca, key_file, sender, address @ ..] = args.as_slice() else {
        return Err("usage: blocking CA KEY_FILE SENDER [HOST:PORT]".into());
    };
    let address = address.first().map_or("localhost:5235", String::as_str);
    let key = ApiKey::from(std::fs::read_to_string(key_file)?.trim());
    let login = (sender.parse()?, key);
    run(address, &std::fs::read(ca)?, login, &mut io::stdout())
}
