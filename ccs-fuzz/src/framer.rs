//! The framer finds the same frames, and the same error after them, however the stream is cut into reads and whatever is known
//! of the tags in it.

use ccs_proto::XmlLimits;
use ccs_proto::internals::{Frame, Framer, Item, Reader, XmlError, bytes_looked_at};

use crate::input::{Input, small_limits};

/// The first byte of a case: how many sizes of reads follow it, whether the limits are small, and whether the stream
/// restarts after its first element. The rest is the stream. The sizes are used again and again; 0 is an empty read.
pub fn run(case: &[u8]) {
    let mut input = Input(case);
    let head = input.byte();
    let sizes: Vec<usize> = (0..head & 7).map(|_| usize::from(input.byte())).collect();
    let limits = if head & 8 == 0 {
        XmlLimits::default()
    } else {
        small_limits()
    };
    let stream = input.0;

    let mut whole = Reading::new(limits, head & 16 != 0, false);
    whole.read(stream);
    let mut split = Reading::new(limits, head & 16 != 0, true);
    for read in cut(stream, &sizes) {
        split.read(read);
    }
    // However small the reads are, what was looked at is not looked at again.
    let looked_at = split.looked_at;
    assert!(looked_at <= 4 * stream.len(), "{looked_at} bytes looked at");
    assert_eq!(
        whole.frames, split.frames,
        "frames depend on the cut {sizes:?}"
    );
    assert_eq!(
        whole.error, split.error,
        "the error depends on the cut {sizes:?}"
    );
    assert_eq!(
        whole.framer.is_mid_element(),
        split.framer.is_mid_element(),
        "the end depends on the cut {sizes:?}"
    );
    whole.check_end();
    split.check_end();
}

/// Cuts by the sizes in turn; without any that move on, byte by byte.
fn cut<'a>(stream: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let sizes = if sizes.iter().any(|&size| size > 0) {
        sizes
    } else {
        &[1]
    };
    let mut reads = Vec::new();
    let mut rest = stream;
    for &size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (read, after) = rest.split_at(size.min(rest.len()));
        reads.push(read);
        rest = after;
    }
    reads
}

#[derive(Debug, PartialEq, Eq)]
enum Found {
    Open(Vec<u8>),
    Element(Vec<u8>),
    Close,
    Space(usize),
    Stray(usize),
}

struct Reading {
    framer: Framer,
    /// Knows no tags, or those of the element before.
    reader: Reader,
    learns: bool,
    /// Bytes, by the framer.
    looked_at: usize,
    limits: XmlLimits,
    restarts: bool,
    frames: Vec<Found>,
    error: Option<XmlError>,
}

impl Reading {
    fn new(limits: XmlLimits, restarts: bool, learns: bool) -> Self {
        Self {
            framer: Framer::new(limits),
            reader: Reader::new(limits),
            learns,
            looked_at: 0,
            limits,
            restarts,
            frames: Vec::new(),
            error: None,
        }
    }

    fn read(&mut self, read: &[u8]) {
        let mut input = read;
        loop {
            let before = input.len();
            let looked_at = bytes_looked_at();
            let tags = self.reader.wrapping();
            let frame = match self.framer.next_known(&mut input, tags) {
                Some((element, _)) => Ok(Some(Frame::Element(element))),
                None => self.framer.next(&mut input),
            };
            self.looked_at += bytes_looked_at() - looked_at;
            let frame = match frame {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    assert!(input.is_empty(), "bytes are left and no frame");
                    break;
                }
                Err(error) => {
                    if let Some(first) = &self.error {
                        assert_eq!(*first, error, "an error is final");
                    }
                    self.error = Some(error);
                    break;
                }
            };
            assert_eq!(self.error, None, "a frame after an error");
            assert!(input.len() < before, "a frame for no bytes");
            let found = match frame {
                Frame::StreamOpen(bytes) => Found::Open(checked(bytes, self.limits)),
                Frame::Element(bytes) => Found::Element(checked(bytes, self.limits)),
                Frame::StreamClose => Found::Close,
                Frame::Space(bytes) => Found::Space(bytes),
                Frame::StrayText(bytes) => Found::Stray(bytes),
            };
            if let (true, Found::Element(element)) = (self.learns, &found) {
                learn(&mut self.reader, element);
            }
            if self.restarts && matches!(found, Found::Element(_)) {
                self.restarts = false;
                self.framer.restart();
            }
            self.push(found);
            self.check_memory();
        }
        self.check_memory();
    }

    /// Runs of text come in as many pieces as the reads hold of them.
    fn push(&mut self, found: Found) {
        match (self.frames.last_mut(), found) {
            (Some(Found::Space(run)), Found::Space(more))
            | (Some(Found::Stray(run)), Found::Stray(more)) => *run += more,
            (_, found) => self.frames.push(found),
        }
    }

    fn check_memory(&self) {
        let held = self.framer.buffered();
        assert!(held <= self.limits.stanza, "{held} bytes held");
        let memory = self.framer.memory();
        assert!(memory <= self.limits.stanza, "{memory} bytes of memory");
    }

    fn check_end(&self) {
        if self.error.is_some() {
            assert_eq!(self.framer.memory(), 0, "memory after an error");
        } else if !self.framer.is_mid_element() {
            assert_eq!(self.framer.buffered(), 0, "bytes of no element");
        }
    }
}

/// Makes known the tags of an element, with any id on the first of them.
pub fn learn(reader: &mut Reader, element: &[u8]) {
    if let Ok(mut cursor) = reader.element(element) {
        let first = cursor.next();
        while let Ok(Some(_)) = cursor.next() {}
        if let Ok(Some(Item::Start(tag))) = first {
            cursor.remember(&tag, "id");
        }
    }
}

fn checked(bytes: &[u8], limits: XmlLimits) -> Vec<u8> {
    assert!(
        bytes.starts_with(b"<") && bytes.ends_with(b">"),
        "half a frame"
    );
    assert!(bytes.len() <= limits.stanza, "a frame over the limit");
    bytes.to_vec()
}
