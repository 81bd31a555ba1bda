//! The xmpp-rs stack: tokio-xmpp's stream, xmpp-parsers' message, the text of its payload, serde_json into owned types.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Runtime;
use tokio_xmpp::Stanza;
use tokio_xmpp::xmlstream::{
    StreamHeader, Timeouts, XmlStream, XmppStreamElement, initiate_stream,
};
use xmpp_parsers::message::Message;
use xmpp_parsers::minidom::Element;

use super::json::{Ack, Owned, Request, owned_data};
use crate::corpus::Corpus;
use crate::job::Job;

const GCM: &str = "google:mobile:data";

type Connection = XmlStream<Socket, XmppStreamElement>;

/// Its timers want a runtime, though nothing is ever waited for.
fn connect(corpus: Rc<Corpus>, chunk: usize) -> (Runtime, Connection) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().expect("a runtime");
    let socket = Socket {
        corpus,
        chunk,
        greeted: 0,
        at: 0,
    };
    let header = StreamHeader::default();
    let stream = initiate_stream(socket, "jabber:client", header, Timeouts::default());
    let stream = runtime.block_on(stream).expect("a header");
    (runtime, stream.skip_features())
}

/// Bytes of upstream messages to owned messages, and to acks if they are asked for.
pub fn reads(corpus: Rc<Corpus>, chunk: usize, ack: bool) -> impl Job {
    let (runtime, mut stream) = connect(Rc::clone(&corpus), chunk);
    move || {
        runtime.block_on(async {
            let mut weight = 0;
            for _ in 0..corpus.samples.len() {
                let element = stream.next().await.expect("it goes on");
                let Ok(XmppStreamElement::Stanza(Stanza::Message(stanza))) = element else {
                    panic!("{element:?}");
                };
                let message: Owned = serde_json::from_str(&body_of(&stanza)).expect("JSON");
                weight += message.message_id.len() + message.data.len();
                if ack {
                    let json = serde_json::to_string(&Ack::of(&message)).expect("JSON");
                    stream.send(&stanza_of(json)).await.expect("it writes");
                }
                std::hint::black_box(message);
            }
            weight
        })
    }
}

pub fn body_of(stanza: &Message) -> String {
    let mut payloads = stanza.payloads.iter();
    let payload = payloads.find(|payload| payload.is("gcm", GCM));
    payload.expect("a body").text()
}

pub fn stanza_of(json: String) -> Stanza {
    let gcm = Element::builder("gcm", GCM).append(json).build();
    Stanza::Message(Message::new(None).with_payloads(vec![gcm]))
}

/// Owned downstream messages to bytes.
pub fn writes(corpus: Rc<Corpus>) -> impl Job {
    let (runtime, mut stream) = connect(Rc::clone(&corpus), 8 * 1024);
    let data = owned_data(&corpus);
    move || {
        runtime.block_on(async {
            for (sample, data) in corpus.samples.iter().zip(&data) {
                let request = Request {
                    to: &sample.from,
                    message_id: &sample.id,
                    data,
                };
                let json = serde_json::to_string(&request).expect("JSON");
                stream.send(&stanza_of(json)).await.expect("it writes");
            }
            corpus.samples.len()
        })
    }
}

/// Says the header once and the corpus for ever, so many bytes at a time; takes what is written, and forgets it.
struct Socket {
    corpus: Rc<Corpus>,
    chunk: usize,
    greeted: usize,
    at: usize,
}

const HEADER: &[u8] = b"<stream:stream xmlns=\"jabber:client\" \
    xmlns:stream=\"http://etherx.jabber.org/streams\" version=\"1.0\">";

impl AsyncBufRead for Socket {
    fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if this.greeted < HEADER.len() {
            return Poll::Ready(Ok(&HEADER[this.greeted..]));
        }
        let stream = &this.corpus.stream;
        if this.at == stream.len() {
            this.at = 0;
        }
        // A read ends where one from the start of the corpus would.
        let end = (this.at / this.chunk + 1) * this.chunk;
        Poll::Ready(Ok(&stream[this.at..end.min(stream.len())]))
    }

    fn consume(self: Pin<&mut Self>, count: usize) {
        let this = self.get_mut();
        if this.greeted < HEADER.len() {
            this.greeted += count;
        } else {
            this.at += count;
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Poll::Ready(all) = self.as_mut().poll_fill_buf(cx)? else {
            return Poll::Pending;
        };
        let count = all.len().min(buffer.remaining());
        buffer.put_slice(&all[..count]);
        self.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(std::hint::black_box(bytes).len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
