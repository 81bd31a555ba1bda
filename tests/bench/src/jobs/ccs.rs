//! This project's core.

use std::ops::Range;
use std::rc::Rc;
use std::vec::IntoIter;

use bytes::BytesMut;
use ccs_proto::message::{Data, Downstream, MessageId};
use ccs_proto::{AckToken, ClientConnection, ClientEvent, ServerConnection, ServerEvent};

use crate::corpus::{Corpus, Sample, WINDOW};
use crate::job::Job;
use crate::login::{NOW, client_config, pair};

/// Bytes of upstream messages to typed events, a window at a time: no endpoint sends more before it has acks. Those come in
/// between.
pub struct Events {
    corpus: Rc<Corpus>,
    chunk: usize,
    client: ClientConnection,
    tokens: Vec<AckToken>,
    out: BytesMut,
    windows: Windows,
    window: Range<usize>,
}

impl Events {
    pub fn new(corpus: Rc<Corpus>, chunk: usize) -> Self {
        let mut windows = Windows::of(&corpus);
        Self {
            client: pair(client_config()).0,
            tokens: Vec::with_capacity(WINDOW),
            out: BytesMut::new(),
            window: windows.next(),
            windows,
            corpus,
            chunk,
        }
    }
}

impl Job for Events {
    fn run(&mut self) -> usize {
        let mut weight = 0;
        let stanzas = self.corpus.stanzas(self.window.clone());
        for read in stanzas.chunks(self.chunk) {
            self.client.receive(NOW, read).expect("in order");
            while let Some(event) = self.client.poll_event() {
                let ClientEvent::Upstream { message, token } = event else {
                    panic!("{event:?}");
                };
                weight += message.body().len();
                self.tokens.push(token);
            }
        }
        assert_eq!(self.tokens.len(), WINDOW);
        weight
    }

    fn tidy(&mut self) {
        for token in self.tokens.drain(..) {
            self.client.ack(token).expect("its own");
        }
        while self.client.poll_transmit(NOW, &mut self.out) {
            self.out.clear();
        }
        self.window = self.windows.next();
    }
}

/// Acks to bytes, a window at a time; the messages come in between.
pub struct AckBytes {
    corpus: Rc<Corpus>,
    chunk: usize,
    client: ClientConnection,
    tokens: Vec<AckToken>,
    out: BytesMut,
    windows: Windows,
}

impl AckBytes {
    pub fn new(corpus: Rc<Corpus>, chunk: usize) -> Self {
        let mut job = Self {
            windows: Windows::of(&corpus),
            client: pair(client_config()).0,
            tokens: Vec::with_capacity(WINDOW),
            out: BytesMut::new(),
            corpus,
            chunk,
        };
        job.tidy();
        job
    }
}

impl Job for AckBytes {
    fn run(&mut self) -> usize {
        for token in self.tokens.drain(..) {
            self.client.ack(token).expect("its own");
        }
        let mut written = 0;
        while self.client.poll_transmit(NOW, &mut self.out) {
            written += self.out.len();
            self.out.clear();
        }
        written
    }

    fn tidy(&mut self) {
        let stanzas = self.corpus.stanzas(self.windows.next());
        for read in stanzas.chunks(self.chunk) {
            self.client.receive(NOW, read).expect("in order");
            while let Some(event) = self.client.poll_event() {
                let ClientEvent::Upstream { token, .. } = event else {
                    panic!("{event:?}");
                };
                self.tokens.push(token);
            }
        }
        assert_eq!(self.tokens.len(), WINDOW);
    }
}

/// Bytes of upstream messages to typed events to bytes of acks, written after each read.
pub struct Acks {
    corpus: Rc<Corpus>,
    chunk: usize,
    client: ClientConnection,
    out: BytesMut,
}

impl Acks {
    pub fn new(corpus: Rc<Corpus>, chunk: usize) -> Self {
        Self {
            client: pair(client_config()).0,
            out: BytesMut::new(),
            corpus,
            chunk,
        }
    }
}

impl Job for Acks {
    fn run(&mut self) -> usize {
        let mut written = 0;
        for read in self.corpus.stream.chunks(self.chunk) {
            self.client.receive(NOW, read).expect("in order");
            while let Some(event) = self.client.poll_event() {
                let ClientEvent::Upstream { message, token } = event else {
                    panic!("{event:?}");
                };
                std::hint::black_box(message);
                self.client.ack(token).expect("its own");
            }
            while self.client.poll_transmit(NOW, &mut self.out) {
                written += self.out.len();
                self.out.clear();
            }
        }
        written
    }
}

/// Typed downstream messages to bytes, as they go into a connection's buffer.
pub struct Writes {
    messages: Vec<(Downstream, MessageId)>,
    /// Those that are written next: writing one uses it up.
    ready: IntoIter<(Downstream, MessageId)>,
    out: BytesMut,
}

impl Writes {
    pub fn new(corpus: &Corpus) -> Self {
        let messages = messages(&corpus.samples, 0);
        Self {
            ready: messages.clone().into_iter(),
            messages,
            out: BytesMut::new(),
        }
    }
}

impl Job for Writes {
    fn run(&mut self) -> usize {
        let mut written = 0;
        for (message, id) in self.ready.by_ref() {
            self.out.clear();
            let message = message.encode(id).expect("valid");
            message.push_stanza(&mut self.out);
            written += std::hint::black_box(&self.out).len();
        }
        written
    }

    fn tidy(&mut self) {
        self.ready = self.messages.clone().into_iter();
    }
}

/// The same through a connection, which keeps them for their answers: a window at a time, and the acks come in between.
pub struct Sends {
    messages: Vec<(Downstream, MessageId)>,
    /// Those that are sent next: sending one uses it up.
    ready: IntoIter<(Downstream, MessageId)>,
    client: ClientConnection,
    out: BytesMut,
    windows: Windows,
    window: Range<usize>,
}

impl Sends {
    pub fn new(corpus: &Corpus) -> Self {
        let mut windows = Windows::of(corpus);
        let messages = messages(&corpus.samples, 0);
        Self {
            ready: messages.clone().into_iter(),
            messages,
            client: pair(client_config()).0,
            out: BytesMut::new(),
            window: windows.next(),
            windows,
        }
    }
}

/// An endpoint knows an id that comes again, so each run has its own.
fn messages(samples: &[Sample], run: usize) -> Vec<(Downstream, MessageId)> {
    let message = |sample: &Sample| {
        let data = Data::from_json(&sample.data).expect("an object");
        let message = Downstream::to(sample.from.as_str()).with_data(data);
        let id = MessageId::from(format!("{run}-{}", sample.id));
        (message, id)
    };
    samples.iter().map(message).collect()
}

impl Job for Sends {
    fn run(&mut self) -> usize {
        let mut written = 0;
        for _ in 0..WINDOW / 10 {
            for (message, id) in self.ready.by_ref().take(10) {
                let message = message.encode(id).expect("valid");
                let permit = self.client.reserve().expect("a place");
                permit.send(message).expect("a new id");
            }
            while self.client.poll_transmit(NOW, &mut self.out) {
                written += std::hint::black_box(&self.out).len();
                self.out.clear();
            }
        }
        written
    }

    fn tidy(&mut self) {
        for (message, id) in &self.messages[self.window.clone()] {
            let ack = ack(message.target().as_str(), id.as_str());
            self.client.receive(NOW, ack.as_bytes()).expect("in order");
        }
        while self.client.poll_event().is_some() {}
        self.window = self.windows.next();
        if self.ready.len() == 0 {
            self.ready = self.messages.clone().into_iter();
        }
    }
}

/// As an endpoint sends it.
fn ack(from: &str, id: &str) -> String {
    format!(
        "<message><data:gcm xmlns:data=\"google:mobile:data\">\
         {{\"message_type\":\"ack\",\"from\":\"{from}\",\"message_id\":\"{id}\"}}</data:gcm></message>"
    )
}

/// As many messages as are in flight at once, round and round the corpus.
struct Windows {
    next: usize,
    messages: usize,
}

impl Windows {
    fn of(corpus: &Corpus) -> Self {
        assert!(corpus.samples.len().is_multiple_of(WINDOW));
        Self {
            next: 0,
            messages: corpus.samples.len(),
        }
    }

    fn next(&mut self) -> Range<usize> {
        let start = self.next;
        self.next = (start + WINDOW) % self.messages;
        start..start + WINDOW
    }
}

/// What an endpoint does with a read: an ack for each message.
fn answer(server: &mut ServerConnection, read: &[u8], out: &mut BytesMut) {
    server.receive(NOW, read).expect("in order");
    while let Some(event) = server.poll_event() {
        let ServerEvent::Downstream { message, token, .. } = event else {
            panic!("{event:?}");
        };
        std::hint::black_box(message);
        server.ack(token, None).expect("its own");
    }
    while server.poll_transmit(NOW, out) {}
}

/// The endpoint's side: bytes of downstream messages to typed events to bytes of acks.
pub struct Answers {
    corpus: Rc<Corpus>,
    chunk: usize,
    client: ClientConnection,
    server: ServerConnection,
    stream: BytesMut,
    out: BytesMut,
    acks: Vec<u8>,
    run: usize,
}

impl Answers {
    pub fn new(corpus: Rc<Corpus>, chunk: usize) -> Self {
        let mut config = client_config();
        config.window = corpus.samples.len();
        let (client, server) = pair(config);
        let mut job = Self {
            client,
            server,
            stream: BytesMut::new(),
            out: BytesMut::new(),
            acks: Vec::new(),
            run: 0,
            corpus,
            chunk,
        };
        job.tidy();
        job
    }
}

impl Job for Answers {
    fn run(&mut self) -> usize {
        for read in self.stream.chunks(self.chunk) {
            answer(&mut self.server, read, &mut self.out);
            self.acks.extend_from_slice(&self.out);
            self.out.clear();
        }
        self.acks.len()
    }

    fn tidy(&mut self) {
        self.client.receive(NOW, &self.acks).expect("in order");
        while self.client.poll_event().is_some() {}
        self.acks.clear();
        self.stream.clear();
        self.run += 1;
        for (message, id) in messages(&self.corpus.samples, self.run) {
            let message = message.encode(id).expect("valid");
            let permit = self.client.reserve().expect("a place");
            permit.send(message).expect("a new id");
        }
        while self.client.poll_transmit(NOW, &mut self.stream) {}
    }
}
