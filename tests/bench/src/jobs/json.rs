//! JSON alone, as if there were no XML: the floor for every reader and writer that uses serde_json.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::corpus::{Corpus, Sample};
use crate::job::Job;

/// A body with nothing copied, `data` not looked into.
#[derive(Deserialize)]
struct Borrowed<'a> {
    #[serde(borrow)]
    from: Cow<'a, str>,
    #[serde(borrow)]
    message_id: Cow<'a, str>,
    #[serde(borrow)]
    category: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// A body as most programs want it.
#[derive(Deserialize)]
pub struct Owned {
    pub from: String,
    pub message_id: String,
    pub category: Option<String>,
    pub data: HashMap<String, String>,
}

/// What is written for an ack.
#[derive(Serialize)]
pub struct Ack<'a> {
    pub to: &'a str,
    pub message_id: &'a str,
    pub message_type: &'a str,
}

impl<'a> Ack<'a> {
    pub fn of(message: &'a Owned) -> Self {
        Self {
            to: &message.from,
            message_id: &message.message_id,
            message_type: "ack",
        }
    }
}

/// A downstream message, with `data` of its own or as it comes.
#[derive(Serialize)]
pub struct Request<'a, D> {
    pub to: &'a str,
    pub message_id: &'a str,
    pub data: D,
}

/// [`Owned`] data for every message, to send.
pub fn owned_data(corpus: &Corpus) -> Vec<HashMap<String, String>> {
    let data = |sample: &Sample| serde_json::from_str(&sample.data).expect("strings");
    corpus.samples.iter().map(data).collect()
}

/// The bodies lie one behind another, as the stanzas do in their stream: what waits for memory would else flatter whoever is
/// compared with this.
pub fn read_raw(corpus: &Corpus) -> impl Job + use<> {
    let lengths: Vec<usize> = corpus
        .samples
        .iter()
        .map(|sample| sample.body.len())
        .collect();
    let bodies: String = corpus.samples.iter().map(|sample| &*sample.body).collect();
    move || {
        let (mut weight, mut rest) = (0, &*bodies);
        for length in &lengths {
            let (body, after) = rest.split_at(*length);
            rest = after;
            let body: Borrowed<'_> = serde_json::from_str(body).expect("JSON");
            weight += body.from.len() + body.message_id.len() + body.data.get().len();
            weight += body.category.map_or(0, |category| category.len());
        }
        weight
    }
}

pub fn read_owned(corpus: Rc<Corpus>) -> impl Job {
    move || {
        let mut weight = 0;
        for sample in &corpus.samples {
            let body: Owned = serde_json::from_str(&sample.body).expect("JSON");
            weight += body.message_id.len() + std::hint::black_box(body).data.len();
        }
        weight
    }
}

/// To bytes that are no stanza yet.
pub fn write_raw(corpus: Rc<Corpus>) -> impl Job {
    let raw = |sample: &Sample| RawValue::from_string(sample.data.clone()).expect("JSON");
    let data: Vec<Box<RawValue>> = corpus.samples.iter().map(raw).collect();
    let mut out = Vec::new();
    move || {
        let mut written = 0;
        for (sample, data) in corpus.samples.iter().zip(&data) {
            out.clear();
            let request = Request {
                to: &sample.from,
                message_id: &sample.id,
                data,
            };
            serde_json::to_writer(&mut out, &request).expect("JSON");
            written += std::hint::black_box(&out).len();
        }
        written
    }
}

/// An ack's JSON, to bytes that are no stanza yet.
pub fn write_ack(corpus: Rc<Corpus>) -> impl Job {
    let messages = owned(&corpus);
    let mut out = Vec::new();
    move || {
        let mut written = 0;
        for message in &messages {
            out.clear();
            serde_json::to_writer(&mut out, &Ack::of(message)).expect("JSON");
            written += std::hint::black_box(&out).len();
        }
        written
    }
}

pub fn owned(corpus: &Corpus) -> Vec<Owned> {
    let read = |sample: &Sample| serde_json::from_str(&sample.body).expect("JSON");
    corpus.samples.iter().map(read).collect()
}
