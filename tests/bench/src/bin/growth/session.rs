//! What an operation of a session costs with so many messages in its queue, and a message from a device with so many that
//! are remembered.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::BytesMut;
use ccs_bench::corpus::{Corpus, MESSAGES, Quotes, Size, stanza};
use ccs_bench::job::{Case, Job, measure};
use ccs_bench::login::{NOW, client_config};
use ccs_proto::message::{Downstream, MessageId};
use ccs_proto::session::{Command, Session, SessionConfig, SessionEvent, Verdict};
use ccs_proto::{
    ConnectionId, Nonce, ServerConfig, ServerConnection, ServerEvent, TransportSecurity,
};

use super::{Curve, Growth};

const QUEUED: [usize; 6] = [1, 10, 100, 1_000, 10_000, 100_000];
/// Operations in a run: a window.
const BATCH: usize = 100;
const READ: usize = 8 * 1024;
const CONNECTION: ConnectionId = ConnectionId(1);

const OPERATIONS: [&str; 4] = ["submit and store", "cancel", "send and settle", "deadline"];
const DELIVER: &str = "read, deliver, store, ack";

pub fn grow(rounds: usize) -> Vec<Growth> {
    vec![
        Growth {
            key: "session",
            title: "an operation of a session",
            x: "messages queued",
            y: "ns an operation",
            curves: operations(rounds),
        },
        Growth {
            key: "session-upstream",
            title: "a message of a device through a session",
            x: "messages remembered",
            y: "ns a message",
            curves: deliveries(rounds),
        },
    ]
}

fn deliveries(rounds: usize) -> Vec<Curve> {
    let case = |remembered| Case {
        label: (DELIVER, remembered),
        messages: BATCH,
        job: Box::new(Deliveries::remembering(remembered)) as Box<dyn Job>,
    };
    curves(&[DELIVER], QUEUED.map(case).into(), rounds)
}

fn operations(rounds: usize) -> Vec<Curve> {
    let mut cases = Vec::new();
    for queued in QUEUED {
        for operation in OPERATIONS {
            let work = Work::new(queued);
            let job: Box<dyn Job> = match operation {
                "submit and store" => Box::new(Submits(work)),
                "cancel" => Box::new(Cancels(work)),
                "send and settle" => Box::new(Settles::new(work)),
                _ => Box::new(move || deadlines(&work)),
            };
            cases.push(Case {
                label: (operation, queued),
                messages: BATCH,
                job,
            });
        }
    }
    curves(&OPERATIONS, cases, rounds)
}

fn curves(names: &[&str], cases: Vec<Case<(&str, usize)>>, rounds: usize) -> Vec<Curve> {
    // A run is short, so there can be many.
    let measured = measure(cases, rounds * 10);
    let curve = |name: &&str| Curve {
        name: (*name).to_owned(),
        points: measured
            .iter()
            .filter(|one| one.label.0 == *name)
            .map(|one| (one.label.1, one.ns))
            .collect(),
    };
    names.iter().map(curve).collect()
}

/// A session with a queue of its own.
struct Work {
    session: Session,
    next: usize,
    queued: VecDeque<MessageId>,
}

impl Work {
    fn new(queued: usize) -> Self {
        let mut work = Self::with(|config| {
            config.queue_messages = queued + 2 * BATCH;
            config.queue_bytes = usize::MAX;
        });
        work.submit(queued);
        work
    }

    fn with(change: impl FnOnce(&mut SessionConfig)) -> Self {
        let mut config = SessionConfig::new(Arc::new(client_config()), "m", 1);
        change(&mut config);
        let mut work = Self {
            session: Session::new(config, NOW),
            next: 0,
            queued: VecDeque::new(),
        };
        work.connect();
        work
    }

    fn submit(&mut self, count: usize) {
        for _ in 0..count {
            let id = MessageId::from(format!("d-{}", self.next));
            self.next += 1;
            let message = Downstream::to("DEVICE")
                .id(id.clone())
                .data("hello", "world");
            self.session.submit(NOW, message).expect("room");
            self.queued.push_back(id);
            self.obey();
            while self.session.poll_event().is_some() {}
        }
    }

    /// What is to be kept is kept at once.
    fn obey(&mut self) -> Option<Command> {
        while let Some(command) = self.session.poll_command() {
            match command {
                Command::Store { id, .. } => self.session.stored(NOW, id),
                Command::Forget(_) => {}
                other => return Some(other),
            }
        }
        None
    }

    fn connect(&mut self) {
        let Some(Command::Dial(dial)) = self.obey() else {
            panic!("it dials first");
        };
        let security = TransportSecurity::VerifiedTls;
        let dialled = self.session.dialled(NOW, dial, CONNECTION, security);
        dialled.expect("wanted");
        let config = Arc::new(ServerConfig::default());
        let mut server = ServerConnection::new(config, ConnectionId(2), Nonce([7; 20]), NOW);
        let mut bytes = BytesMut::new();
        while !self.session.is_bound(CONNECTION) {
            while self.session.poll_transmit(NOW, CONNECTION, &mut bytes) {}
            server.receive(NOW, &bytes.split()).expect("in order");
            while let Some(event) = server.poll_event() {
                if let ServerEvent::Login(request) = event {
                    server.accept(NOW, request).expect("its own");
                }
            }
            while server.poll_transmit(NOW, &mut bytes) {}
            self.session.receive(NOW, CONNECTION, &bytes.split());
        }
        while self.session.poll_event().is_some() {}
    }
}

struct Submits(Work);

impl Job for Submits {
    fn run(&mut self) -> usize {
        self.0.submit(BATCH);
        self.0.session.queued()
    }

    fn tidy(&mut self) {
        for id in self.0.queued.drain(self.0.queued.len() - BATCH..) {
            self.0.session.cancel(NOW, &id).expect("not sent");
        }
        self.0.obey();
    }
}

struct Cancels(Work);

impl Job for Cancels {
    fn run(&mut self) -> usize {
        // Those in the middle of the queue, of which a list would have to look for each.
        let from = self.0.queued.len().saturating_sub(BATCH) / 2;
        let to = (from + BATCH).min(self.0.queued.len());
        let mut cancelled = 0;
        for id in self.0.queued.range(from..to) {
            cancelled += usize::from(self.0.session.cancel(NOW, id).is_some());
        }
        self.0.queued.drain(from..to);
        cancelled
    }

    fn tidy(&mut self) {
        self.0.obey();
        self.0.submit(BATCH);
    }
}

/// A window goes out, and its answers come.
struct Settles {
    work: Work,
    answers: String,
    out: BytesMut,
}

impl Settles {
    fn new(work: Work) -> Self {
        let mut job = Self {
            work,
            answers: String::new(),
            out: BytesMut::new(),
        };
        job.tidy();
        job
    }
}

impl Job for Settles {
    fn run(&mut self) -> usize {
        let session = &mut self.work.session;
        while session.poll_transmit(NOW, CONNECTION, &mut self.out) {}
        let written = self.out.len();
        self.out.clear();
        session.receive(NOW, CONNECTION, self.answers.as_bytes());
        let mut settled = 0;
        while let Some(event) = session.poll_event() {
            settled += usize::from(matches!(event, SessionEvent::Settled { .. }));
        }
        assert_eq!(settled, BATCH);
        self.work.obey();
        written
    }

    fn tidy(&mut self) {
        self.work.submit(BATCH);
        self.answers.clear();
        for id in self.work.queued.drain(..BATCH) {
            let _ = write!(
                self.answers,
                "<message><gcm xmlns=\"google:mobile:data\">{{\"message_type\":\"ack\",\
                 \"from\":\"DEVICE\",\"message_id\":\"{id}\"}}</gcm></message>"
            );
        }
    }
}

/// A window of messages of devices comes, and each is handled: the oldest that are remembered go.
struct Deliveries {
    work: Work,
    corpus: Corpus,
    stream: Vec<u8>,
    out: BytesMut,
}

impl Deliveries {
    fn remembering(messages: usize) -> Self {
        let mut job = Self {
            work: Work::with(|config| {
                config.remembered_messages = messages;
                config.remembered_bytes = usize::MAX;
            }),
            corpus: Corpus::new(Size(1_000), Quotes::Raw),
            stream: Vec::new(),
            out: BytesMut::new(),
        };
        job.tidy();
        for _ in 0..messages / BATCH {
            job.run();
            job.tidy();
        }
        job
    }
}

impl Job for Deliveries {
    fn run(&mut self) -> usize {
        let mut written = 0;
        for read in self.stream.chunks(READ) {
            self.work.session.receive(NOW, CONNECTION, read);
            while let Some(delivery) = self.work.session.poll_delivery() {
                let handled = self.work.session.handled(NOW, delivery.token, Verdict::Ack);
                handled.expect("its own");
                self.work.obey();
            }
            let session = &mut self.work.session;
            while session.poll_transmit(NOW, CONNECTION, &mut self.out) {}
            written += self.out.len();
            self.out.clear();
        }
        written
    }

    /// An id that came before is known, so each has its own.
    fn tidy(&mut self) {
        self.stream.clear();
        for _ in 0..BATCH {
            let sample = &self.corpus.samples[self.work.next % MESSAGES];
            let id = format!("u-{:012}", self.work.next);
            self.work.next += 1;
            let body = sample.body.replace(&sample.id, &id);
            self.stream.extend(stanza(&body, Quotes::Raw).into_bytes());
        }
    }
}

/// Asked for after everything that happens.
fn deadlines(work: &Work) -> usize {
    let asked = (0..BATCH).map(|_| std::hint::black_box(&work.session).poll_timeout());
    asked.flatten().count()
}
