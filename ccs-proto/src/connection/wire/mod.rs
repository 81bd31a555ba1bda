//! One byte stream both ways: elements in, elements out, and how the stream ends.

mod ending;

use std::collections::VecDeque;

use bytes::BytesMut;
use memchr::memmem;
use zeroize::Zeroize;

use super::{Minute, TRANSMIT_BYTES};
use crate::config::Limits;
use crate::error::ConnectionError;
use crate::ledger::ConnectionId;
use crate::tap::{Direction, Tap};
use crate::time::Time;
use crate::xml::Reader;
use crate::xml::{Frame, Framer};
use crate::xmpp::stream::{CLOSE, Header};
use crate::xmpp::{self, Stanza, StreamCondition};
use ending::End;

/// One thing read off the stream.
#[derive(Debug)]
pub(crate) enum Received {
    Open(Header),
    Stanza(Stanza),
    Close,
    /// Text between elements that is more than white space.
    StrayText(usize),
}

pub(crate) struct Wire {
    id: ConnectionId,
    tap: Option<Tap>,
    framer: Framer,
    reader: Reader,
    limits: Limits,
    /// White space since the last element.
    space: Minute,
    /// Since when an element has begun and not ended, as far as it was read for.
    stanza_since: Option<Time>,
    /// Nothing is read, so neither silence nor an element without an end is the peer's.
    deaf: bool,
    /// What ill-formed XML is answered with in this role.
    ill_formed: StreamCondition,
    /// Elements that never wait for the window: handshake, iq, acks. Each is one entry until the stream is bound.
    elements: VecDeque<Element>,
    /// Afterwards all in one.
    batch: BytesMut,
    bound: bool,
    /// What the peer says before it is logged in is not shown: it may be a secret in the wrong place.
    hides_input: bool,
    /// The last moment that the caller told.
    now: Time,
    pub(crate) last_received: Time,
    pub(crate) last_sent: Time,
    end: End,
}

/// One write of the handshake. It may be the login, of which nothing is left behind.
struct Element(BytesMut);

impl Drop for Element {
    fn drop(&mut self) {
        self.0.as_mut().zeroize();
    }
}

impl Wire {
    pub(crate) fn new(
        id: ConnectionId,
        limits: Limits,
        tap: Option<Tap>,
        ill_formed: StreamCondition,
        now: Time,
    ) -> Self {
        Self {
            id,
            tap,
            framer: Framer::new(limits.xml),
            reader: Reader::new(limits.xml),
            limits,
            space: Minute::new(now),
            stanza_since: None,
            deaf: false,
            ill_formed,
            elements: VecDeque::new(),
            batch: BytesMut::new(),
            bound: false,
            hides_input: false,
            now,
            last_received: now,
            last_sent: now,
            end: End::default(),
        }
    }

    /// The caller's clock, told at the start of each call.
    pub(crate) fn tick(&mut self, now: Time) {
        self.now = now;
    }

    #[cfg(feature = "driver")]
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// The next thing in `input`, which is advanced past it. `None` when the input is used up.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Received>, ConnectionError> {
        loop {
            let known = self.framer.next_known(input, self.reader.wrapping());
            let frame = match known {
                Some((element, _)) => Frame::Element(element),
                None => match self.framer.next(input) {
                    Ok(Some(frame)) => frame,
                    Ok(None) => {
                        self.reader.release(self.framer.is_mid_element());
                        let since = self.stanza_since.unwrap_or(self.now);
                        self.stanza_since = self.framer.is_mid_element().then_some(since);
                        return Ok(None);
                    }
                    Err(error) => {
                        return Err(ConnectionError::xml(&error, self.ill_formed.clone()));
                    }
                },
            };
            self.stanza_since = None;
            match frame {
                // A client is known that ends each stanza with a line feed, so an element makes white space good again.
                Frame::Element(_) => self.space = Minute::new(self.now),
                Frame::Space(bytes) => {
                    let limit = self.limits.xml.white_space;
                    if !self.space.allows(self.now, bytes, limit) {
                        return Err(ConnectionError::policy(format!(
                            "more than {limit} bytes of white space between stanzas within a minute"
                        )));
                    }
                    continue;
                }
                _ => {}
            }
            let reader = &mut self.reader;
            let show = |stanza: &[u8]| {
                if let Some(tap) = &self.tap {
                    tap.show(self.id, Direction::In, stanza);
                }
            };
            let read = match frame {
                Frame::Space(_) => continue,
                Frame::StrayText(bytes) => Ok(Received::StrayText(bytes)),
                Frame::StreamClose => {
                    show(CLOSE);
                    Ok(Received::Close)
                }
                Frame::StreamOpen(header) => {
                    show(header);
                    match reader.open(header) {
                        Ok(tag) => {
                            let content = reader.content_namespace();
                            return match Header::read(&tag, content) {
                                Some(header) => Ok(Some(Received::Open(header))),
                                None => Err(wrong_header(tag.name)),
                            };
                        }
                        Err(error) => Err(error),
                    }
                }
                Frame::Element(element) => {
                    let read = match known {
                        Some((_, known)) => xmpp::read_known(reader, known),
                        None => xmpp::read(reader, element),
                    };
                    match &read {
                        Ok(Stanza::Auth(auth)) => show(auth.redacted().as_bytes()),
                        Ok(_) if self.tap.is_some() && (self.hides_input || is_login(element)) => {
                            show(format!("[{} bytes, not shown]", element.len()).as_bytes());
                        }
                        Ok(_) => show(element),
                        // Not shown: where the secrets are is not known. The error says what is wrong.
                        Err(_) => {}
                    }
                    read.map(Received::Stanza)
                }
            };
            // It was read: a login would stay here for as long as it is being decided.
            self.framer.release();
            return read
                .map(Some)
                .map_err(|error| ConnectionError::xml(&error, self.ill_formed.clone()));
        }
    }

    /// Told whether more is read from here on.
    pub(crate) fn set_listening(&mut self, listening: bool) {
        if self.deaf {
            self.stanza_since = self.stanza_since.map(|_| self.now);
        }
        self.deaf = !listening;
    }

    pub(crate) fn is_deaf(&self) -> bool {
        self.deaf
    }

    /// When an element that has begun must have ended.
    pub(crate) fn stanza_deadline(&self) -> Option<Time> {
        let since = self
            .stanza_since
            .filter(|_| !self.deaf && !self.is_ending())?;
        Some(since + self.limits.stanza_time)
    }

    /// Why the connection ends if that is over.
    pub(crate) fn stanza_overdue(&self) -> ConnectionError {
        let seconds = self.limits.stanza_time.as_secs_f32();
        ConnectionError::policy(format!("a stanza that was not whole within {seconds} s"))
    }

    /// A new stream header comes next, as after the login.
    pub(crate) fn restart(&mut self) {
        self.framer.restart();
    }

    /// Shows the tap nothing of what the peer says, but headers and how much else, until `false` is told.
    pub(crate) fn hide_input(&mut self, hides: bool) {
        self.hides_input = hides;
    }

    /// From here on elements are batched into one write. Until then each goes alone, since a client is known that
    /// takes one read for one element (`docs/protocol.md` §12 #31).
    pub(crate) fn set_bound(&mut self) {
        self.bound = true;
    }

    /// Writes one element that does not wait for anything. After our end of the stream there is nowhere to write it.
    pub(crate) fn push(&mut self, write: impl FnOnce(&mut BytesMut)) {
        if self.has_sent_end() {
            return;
        }
        if self.bound {
            let before = self.batch.len();
            write(&mut self.batch);
            self.show(self.batch.get(before..).unwrap_or_default());
        } else {
            let mut element = BytesMut::new();
            write(&mut element);
            self.show(&element);
            self.elements.push_back(Element(element));
        }
    }

    /// Writes the login, of which the tap is shown what `write` gives.
    pub(crate) fn push_secret(&mut self, write: impl FnOnce(&mut BytesMut) -> String) {
        let mut element = BytesMut::new();
        let shown = write(&mut element);
        self.show(shown.as_bytes());
        self.elements.push_back(Element(element));
    }

    /// Shows the tap something that goes out.
    pub(crate) fn show(&self, stanza: &[u8]) {
        if let Some(tap) = &self.tap {
            tap.show(self.id, Direction::Out, stanza);
        }
    }

    /// Answers of our own wait to be written; before they are, reading on would only make more.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.batch.len() >= TRANSMIT_BYTES
    }

    /// Handshake and other elements, before the stream is bound: one a call.
    pub(crate) fn transmit_element(&mut self, out: &mut BytesMut) -> bool {
        match self.elements.pop_front() {
            Some(element) => {
                out.extend_from_slice(&element.0);
                true
            }
            None => false,
        }
    }

    /// Acks and iq answers.
    pub(crate) fn transmit_batch(&mut self, out: &mut BytesMut) {
        if out.is_empty() && !self.batch.is_empty() {
            // The buffers change hands, and nothing is copied.
            std::mem::swap(out, &mut self.batch);
        } else {
            out.extend_from_slice(&self.batch);
            self.batch.clear();
        }
    }
}

/// Whether an element may carry a secret although it is no login where a login belongs: XEP-0078's, or SASL's again.
fn is_login(element: &[u8]) -> bool {
    let holds = |name: &[u8]| memmem::find(element, name).is_some();
    !holds(b"<mechanism")
        && (holds(b"urn:ietf:params:xml:ns:xmpp-sasl") || holds(b"jabber:iq:auth"))
}

fn wrong_header(name: &str) -> ConnectionError {
    ConnectionError::protocol(
        StreamCondition::InvalidNamespace,
        format!("<{name}> opens no stream of jabber:client"),
    )
}
