//! What anyone would write in an afternoon: quick-xml over a buffered reader, serde_json into owned types, `format!` and
//! one write a message.

use std::collections::HashMap;
use std::sync::Arc;

use ccs_bench::corpus::Corpus;
use ccs_bench::jobs::json::{Owned, Request, owned_data};
use ccs_bench::jobs::naive::{Bodies, Ended, ack_stanza, stanza};
use ccs_bench::loopback::child::Setup;
use ccs_bench::loopback::login::log_in;
use ccs_bench::loopback::numbered::id;
use ccs_bench::loopback::raw::on_tokio;
use ccs_bench::loopback::{Direction, WINDOW};
use quick_xml::Reader;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf, split};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::client::TlsStream;

pub async fn run(setup: Setup) {
    let address = setup.address.expect("of the endpoint");
    let stream = on_tokio(address, setup.certificate.connect()).await;
    let mut stream = stream.expect("TLS");
    let begun = log_in(&mut stream).await.expect("a login");
    let (read, write) = split(stream);
    match setup.direction {
        Direction::Up => take(begun, read, write).await,
        Direction::Down => {
            let window = Arc::new(Semaphore::new(WINDOW as usize));
            let acks = tokio::spawn(acks(begun, read, Arc::clone(&window)));
            let corpus = setup.corpus();
            tokio::select! {
                () = send(&corpus, write, &window) => {}
                _ = acks => {}
            }
        }
    }
}

struct Bodyful<R> {
    reader: Reader<R>,
    buffer: Vec<u8>,
    bodies: Bodies,
}

type Connection = ReadHalf<TlsStream<TcpStream>>;

impl<R: tokio::io::AsyncBufRead + Unpin> Bodyful<R> {
    fn new(reader: R) -> Self {
        Self {
            reader: Reader::from_reader(reader),
            buffer: Vec::new(),
            bodies: Bodies::default(),
        }
    }

    async fn next(&mut self) -> Option<String> {
        loop {
            self.buffer.clear();
            let event = self.reader.read_event_into_async(&mut self.buffer).await;
            match self.bodies.take(event.ok()?) {
                Ok(Some(body)) => return Some(body),
                Ok(None) => {}
                Err(Ended) => return None,
            }
        }
    }
}

async fn take(begun: Vec<u8>, read: Connection, mut write: impl AsyncWrite + Unpin) {
    let mut stanzas = Bodyful::new(BufReader::new(begun.chain(read)));
    while let Some(body) = stanzas.next().await {
        let message: Owned = serde_json::from_str(&body).expect("JSON");
        let ack = ack_stanza(&message);
        std::hint::black_box(message);
        if write.write_all(ack.as_bytes()).await.is_err() || write.flush().await.is_err() {
            return;
        }
    }
}

async fn send(corpus: &Corpus, mut write: impl AsyncWrite + Unpin, window: &Semaphore) {
    let data: Vec<HashMap<String, String>> = owned_data(corpus);
    let samples = corpus.samples.iter().zip(&data).cycle();
    for (number, (sample, data)) in (0..).zip(samples) {
        window.acquire().await.expect("open").forget();
        let request = Request {
            to: &sample.from,
            message_id: &id(number),
            data,
        };
        let json = serde_json::to_string(&request).expect("JSON");
        let stanza = stanza(&json);
        if write.write_all(stanza.as_bytes()).await.is_err() || write.flush().await.is_err() {
            return;
        }
    }
}

#[derive(Deserialize)]
struct OwnedAck {
    from: String,
    message_id: String,
    message_type: String,
}

async fn acks(begun: Vec<u8>, read: Connection, window: Arc<Semaphore>) {
    let mut stanzas = Bodyful::new(BufReader::new(begun.chain(read)));
    while let Some(body) = stanzas.next().await {
        let ack: OwnedAck = serde_json::from_str(&body).expect("JSON");
        std::hint::black_box((ack.from, ack.message_id, ack.message_type));
        window.add_permits(1);
    }
}
