//! A session of which every input is taken down, to be given to another one with the received bytes in other pieces: how
//! the network cuts a stream must make no difference (`docs/protocol.md` §1, a stream has no records).

use std::collections::BTreeMap;
use std::ops::Deref;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ccs_proto::message::{Downstream, MessageId};
use ccs_proto::session::{
    Command, Delivery, DeliveryToken, DialFailure, DialId, NotWanted, Record, Session,
    SessionConfig, SessionEvent, SessionFinished, StoreId, SubmitError, Verdict,
};
use ccs_proto::{ConnectionId, Time, TransportSecurity};

use crate::sim::dice::Dice;

/// What it says when it leaves a connection because of an answer: it is not let in any more (`docs/protocol.md` §6).
const LEAVES: &str = "Some(LoginFailed";
const TLS: TransportSecurity = TransportSecurity::VerifiedTls;

/// One call that changes a session, or takes something out of it.
#[derive(Debug, Clone)]
enum Input {
    Restore(Duration, Record),
    Submit(Downstream),
    Cancel(MessageId),
    Shutdown,
    Dialled(DialId, ConnectionId),
    DialFailed(DialId, DialFailure),
    Received(ConnectionId, Bytes),
    Eof(ConnectionId),
    Failed(ConnectionId, String),
    Stored(StoreId, bool),
    /// The token in words, as it can be spent once only.
    Handled(String, Verdict),
    Timeout,
    Transmit(ConnectionId),
    Event,
    Command,
    Delivery,
}

#[derive(Debug)]
struct Tape {
    config: SessionConfig,
    start: Time,
    inputs: Vec<(Time, Input)>,
    /// The events and deliveries that came out, in words. Not what was written: an ack does not go out any more where the
    /// end of the stream came by the same piece as the message.
    outputs: Vec<String>,
}

#[derive(Debug)]
pub(in crate::sim) struct Recorder {
    session: Session,
    now: Time,
    tape: Option<Tape>,
}

impl Deref for Recorder {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Recorder {
    pub(super) fn new(config: SessionConfig, now: Time, record: bool) -> Self {
        let tape = record.then(|| {
            let mut config = config.clone();
            let mut client = (*config.client).clone();
            // The first session is looked at, no other.
            client.tap = None;
            config.client = client.into();
            Tape {
                config,
                start: now,
                inputs: Vec::new(),
                outputs: Vec::new(),
            }
        });
        let session = Session::new(config, now);
        Self { session, now, tape }
    }

    fn put(&mut self, now: Time, input: impl FnOnce() -> Input) {
        self.now = now;
        if let Some(tape) = &mut self.tape {
            tape.inputs.push((now, input()));
        }
    }

    /// Something came out that was asked for in this way.
    fn took(&mut self, how: Input, words: impl FnOnce() -> String) {
        if let Some(tape) = &mut self.tape {
            tape.inputs.push((self.now, how));
            tape.outputs.push(words());
        }
    }

    pub(super) fn restore(&mut self, now: Time, age: Duration, record: Record) {
        self.put(now, || Input::Restore(age, record.clone()));
        self.session.restore(now, age, record);
    }

    pub(super) fn submit(
        &mut self,
        now: Time,
        message: Downstream,
    ) -> Result<MessageId, SubmitError> {
        self.put(now, || Input::Submit(message.clone()));
        self.session.submit(now, message)
    }

    pub(super) fn cancel(&mut self, now: Time, id: &MessageId) -> Option<Downstream> {
        self.put(now, || Input::Cancel(id.clone()));
        self.session.cancel(now, id)
    }

    pub(super) fn shutdown(&mut self, now: Time, deadline: Time) {
        self.put(now, || Input::Shutdown);
        self.session.shutdown(now, deadline);
    }

    pub(super) fn dialled(
        &mut self,
        now: Time,
        dial: DialId,
        id: ConnectionId,
    ) -> Result<(), NotWanted> {
        self.put(now, || Input::Dialled(dial, id));
        self.session.dialled(now, dial, id, TLS)
    }

    pub(super) fn dial_failed(&mut self, now: Time, dial: DialId, failure: DialFailure) {
        self.put(now, || Input::DialFailed(dial, failure.clone()));
        self.session.dial_failed(now, dial, failure);
    }

    pub(super) fn receive(&mut self, now: Time, id: ConnectionId, bytes: &[u8]) {
        self.put(now, || Input::Received(id, Bytes::copy_from_slice(bytes)));
        self.session.receive(now, id, bytes);
    }

    pub(super) fn receive_eof(&mut self, now: Time, id: ConnectionId) {
        self.put(now, || Input::Eof(id));
        self.session.receive_eof(now, id);
    }

    pub(super) fn transport_failed(&mut self, now: Time, id: ConnectionId, what: &str) {
        self.put(now, || Input::Failed(id, what.to_owned()));
        self.session.transport_failed(now, id, what);
    }

    pub(super) fn stored(&mut self, now: Time, id: StoreId, kept: bool) {
        self.put(now, || Input::Stored(id, kept));
        if kept {
            self.session.stored(now, id);
        } else {
            self.session.refused(now, id);
        }
    }

    pub(super) fn handled(&mut self, now: Time, token: DeliveryToken, verdict: Verdict) {
        self.put(now, || Input::Handled(format!("{token:?}"), verdict));
        let _ = self.session.handled(now, token, verdict);
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        self.put(now, || Input::Timeout);
        self.session.handle_timeout(now);
    }

    pub(super) fn poll_transmit(
        &mut self,
        now: Time,
        id: ConnectionId,
        out: &mut BytesMut,
    ) -> bool {
        let any = self.session.poll_transmit(now, id, out);
        self.put(now, || Input::Transmit(id));
        any
    }

    pub(super) fn poll_event(&mut self) -> Option<SessionEvent> {
        let event = self.session.poll_event()?;
        self.took(Input::Event, || format!("Some({event:?})"));
        Some(event)
    }

    pub(super) fn poll_command(&mut self) -> Option<Command> {
        let command = self.session.poll_command()?;
        let now = self.now;
        self.put(now, || Input::Command);
        Some(command)
    }

    pub(super) fn poll_delivery(&mut self) -> Option<Delivery> {
        let delivery = self.session.poll_delivery()?;
        self.took(Input::Delivery, || format!("Some({delivery:?})"));
        Some(delivery)
    }

    /// The session, and the first difference that other pieces of its bytes make, if it was recorded.
    pub(super) fn finish(self, dice: &mut Dice) -> (SessionFinished, Option<Replayed>) {
        let replayed = self.tape.map(|tape| {
            let bytewise = tape.difference(|_| 1);
            let mut any = |left| 1 + dice.index(left);
            Replayed {
                difference: bytewise.or_else(|| tape.difference(&mut any)),
            }
        });
        (self.session.finish(), replayed)
    }
}

/// What came of a recorded session in other pieces.
pub(super) struct Replayed {
    pub(super) difference: Option<String>,
}

impl Tape {
    /// Gives all to another session, the received bytes in pieces of as many as `piece` says of those that are left; says
    /// what comes out first that did not before.
    ///
    /// Ends where the session leaves a connection by itself: what it has read by then is told, what is behind is not.
    fn difference(&self, mut piece: impl FnMut(usize) -> usize) -> Option<String> {
        let mut session = Session::new(self.config.clone(), self.start);
        let mut tokens: BTreeMap<String, DeliveryToken> = BTreeMap::new();
        let mut expected = self.outputs.iter();
        for (now, input) in &self.inputs {
            let output = match input.clone() {
                Input::Shutdown => return None,
                Input::Received(id, mut bytes) => {
                    while !bytes.is_empty() {
                        let next = bytes.split_to(piece(bytes.len()));
                        session.receive(*now, id, &next);
                    }
                    None
                }
                Input::Handled(words, verdict) => {
                    let Some(token) = tokens.remove(&words) else {
                        return Some(format!("{words} is no delivery"));
                    };
                    let _ = session.handled(*now, token, verdict);
                    None
                }
                Input::Delivery => {
                    let delivery = session.poll_delivery();
                    let words = format!("{delivery:?}");
                    if let Some(delivery) = delivery {
                        tokens.insert(format!("{:?}", delivery.token), delivery.token);
                    }
                    Some(words)
                }
                other => apply(&mut session, *now, other),
            };
            let Some(output) = output else {
                continue;
            };
            let before = expected.next()?;
            if before.starts_with(LEAVES) {
                return None;
            }
            if *before != output {
                let at = now.since_origin().as_secs_f64();
                return Some(format!("at {at:.3} s {before} became {output}"));
            }
        }
        None
    }
}

/// The calls that are the same whatever the pieces; what came out, if something was asked for.
fn apply(session: &mut Session, now: Time, input: Input) -> Option<String> {
    match input {
        Input::Restore(age, record) => session.restore(now, age, record),
        Input::Submit(message) => drop(session.submit(now, message)),
        Input::Cancel(id) => drop(session.cancel(now, &id)),
        Input::Dialled(dial, id) => drop(session.dialled(now, dial, id, TLS)),
        Input::DialFailed(dial, failure) => session.dial_failed(now, dial, failure),
        Input::Eof(id) => session.receive_eof(now, id),
        Input::Failed(id, what) => session.transport_failed(now, id, what),
        Input::Stored(id, true) => session.stored(now, id),
        Input::Stored(id, false) => session.refused(now, id),
        Input::Timeout => session.handle_timeout(now),
        Input::Transmit(id) => {
            let mut out = BytesMut::new();
            let _ = session.poll_transmit(now, id, &mut out);
        }
        Input::Event => return Some(format!("{:?}", session.poll_event())),
        Input::Command => drop(session.poll_command()),
        Input::Received(..) | Input::Handled(..) | Input::Delivery | Input::Shutdown => {}
    }
    None
}
