//! What a connection writes is a legal stream, whatever it was given.

use ccs_proto::XmlLimits;
use ccs_proto::internals::{Frame, Framer, Ns, Reader};

use crate::events::{Event, walk};

/// Reads along with a connection's peer.
pub struct Output {
    framer: Framer,
    reader: Reader,
    pub written: Vec<u8>,
    logged_in: bool,
    closed: bool,
}

impl Output {
    pub fn new() -> Self {
        // A stanza error repeats a whole stanza with every character as a reference.
        let limits = XmlLimits {
            stanza: 1 << 20,
            attribute_value: 1 << 20,
            ..XmlLimits::default()
        };
        Self {
            framer: Framer::new(limits),
            reader: Reader::new(limits),
            written: Vec::new(),
            logged_in: false,
            closed: false,
        }
    }

    /// Takes what was written, in whole stanzas.
    pub fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        let shown = bytes.escape_ascii();
        // After a login that failed the stream goes on as it was.
        if self.logged_in && bytes.starts_with(b"<stream:stream ") {
            self.framer.restart();
        }
        loop {
            let frame = match self.framer.next(&mut rest) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => panic!("wrote {shown}: {error}"),
            };
            assert!(!self.closed, "wrote after the end of the stream: {shown}");
            match frame {
                Frame::StreamOpen(tag) => {
                    let opened = self
                        .reader
                        .open(tag)
                        .map(|tag| tag.is(Ns::Streams, "stream"));
                    assert_eq!(opened, Ok(true), "wrote {shown}");
                }
                Frame::Element(element) => match walk(&mut self.reader, element) {
                    Ok(events) => self.logged_in |= is_login(&events),
                    Err(error) => panic!("wrote {shown}: {error}"),
                },
                Frame::StreamClose => self.closed = true,
                Frame::Space(_) => {}
                Frame::StrayText(_) => panic!("wrote text between stanzas: {shown}"),
            }
        }
        assert!(
            !self.framer.is_mid_element(),
            "wrote half a stanza: {shown}"
        );
        self.written.extend_from_slice(bytes);
    }
}

/// The last element of a stream before its second header.
fn is_login(events: &[Event]) -> bool {
    let Some(Event::Start(start)) = events.first() else {
        return false;
    };
    start.ns == Ns::Sasl && matches!(start.name.as_str(), "auth" | "success")
}
