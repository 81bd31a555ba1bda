//! What anyone would write in an afternoon: quick-xml over a buffered reader, serde_json into owned types, `format!`.

use std::collections::HashMap;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::Event;

use super::json::{Ack, Owned, Request, owned, owned_data};
use crate::corpus::Corpus;
use crate::job::Job;

/// Bytes of upstream messages to owned messages, and to acks if they are asked for.
pub fn reads(corpus: Rc<Corpus>, chunk: usize, ack: bool) -> impl Job {
    move || {
        let socket = BufReader::with_capacity(chunk, Socket(&corpus.stream));
        let mut reader = Reader::from_reader(socket);
        let (mut buffer, mut weight) = (Vec::new(), 0);
        while let Some(body) = next_body(&mut reader, &mut buffer) {
            let message: Owned = serde_json::from_str(&body).expect("JSON");
            weight += message.message_id.len() + message.data.len();
            if ack {
                weight += std::hint::black_box(ack_stanza(&message)).len();
            }
            std::hint::black_box(message);
        }
        weight
    }
}

fn next_body(reader: &mut Reader<BufReader<Socket<'_>>>, buffer: &mut Vec<u8>) -> Option<String> {
    let mut bodies = Bodies::default();
    loop {
        buffer.clear();
        match bodies.take(reader.read_event_into(buffer).expect("XML")) {
            Ok(None) => {}
            Ok(body) => return body,
            Err(Ended) => return None,
        }
    }
}

/// What there is of the body of a stanza.
#[derive(Default)]
pub struct Bodies(Option<String>);

/// There is no more.
pub struct Ended;

impl Bodies {
    /// A body, if this is the end of one.
    pub fn take(&mut self, event: Event<'_>) -> Result<Option<String>, Ended> {
        match event {
            Event::Start(tag) if tag.name().as_ref() == "gcm" => self.0 = Some(String::new()),
            Event::Text(text) => {
                if let Some(body) = &mut self.0 {
                    body.push_str(&text);
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(body) = &mut self.0 {
                    match reference.resolve_char_ref().expect("a character") {
                        Some(character) => body.push(character),
                        None => {
                            let known = resolve_predefined_entity(&reference);
                            body.push_str(known.expect("one of the five"));
                        }
                    }
                }
            }
            Event::End(tag) if tag.name().as_ref() == "gcm" => return Ok(self.0.take()),
            Event::Eof => return Err(Ended),
            _ => {}
        }
        Ok(None)
    }
}

pub fn ack_stanza(message: &Owned) -> String {
    stanza(&serde_json::to_string(&Ack::of(message)).expect("JSON"))
}

pub fn stanza(json: &str) -> String {
    let text = escape(json);
    format!("<message><gcm xmlns=\"google:mobile:data\">{text}</gcm></message>")
}

pub fn acks(corpus: Rc<Corpus>) -> impl Job {
    let messages = owned(&corpus);
    move || {
        let acks = messages.iter().map(ack_stanza);
        acks.map(|ack| std::hint::black_box(ack).len()).sum()
    }
}

/// Owned downstream messages to bytes.
pub fn writes(corpus: Rc<Corpus>) -> impl Job {
    let data: Vec<HashMap<String, String>> = owned_data(&corpus);
    move || {
        let mut written = 0;
        for (sample, data) in corpus.samples.iter().zip(&data) {
            let request = Request {
                to: &sample.from,
                message_id: &sample.id,
                data,
            };
            let json = serde_json::to_string(&request).expect("JSON");
            written += std::hint::black_box(stanza(&json)).len();
        }
        written
    }
}

/// Gives as much as is asked for, which is the buffer's size.
struct Socket<'a>(&'a [u8]);

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}
