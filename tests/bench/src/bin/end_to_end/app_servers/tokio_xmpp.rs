//! tokio-xmpp's client, over the same TLS as everybody.

use ccs_bench::corpus::Corpus;
use ccs_bench::jobs::json::{Ack, Owned, Request, owned_data};
use ccs_bench::jobs::xmpp_rs::{body_of, stanza_of};
use ccs_bench::loopback::child::Setup;
use ccs_bench::loopback::numbered::id;
use ccs_bench::loopback::xmpp_rs::log_in;
use ccs_bench::loopback::{Direction, WINDOW};
use futures_util::StreamExt;
use tokio_xmpp::{Client, Event, Stanza};

pub async fn run(setup: Setup) {
    let address = setup.address.expect("of the endpoint");
    let mut client = log_in(address, &setup.certificate.connect()).await;
    match setup.direction {
        Direction::Up => take(&mut client).await,
        Direction::Down => send(&mut client, &setup.corpus()).await,
    }
}

async fn take(client: &mut Client) {
    while let Some(body) = next_body(client).await {
        let message: Owned = serde_json::from_str(&body).expect("JSON");
        let json = serde_json::to_string(&Ack::of(&message)).expect("JSON");
        std::hint::black_box(message);
        if client.send_stanza(stanza_of(json)).await.is_err() {
            return;
        }
    }
}

async fn send(client: &mut Client, corpus: &Corpus) {
    let data = owned_data(corpus);
    let mut under_way = 0;
    let samples = corpus.samples.iter().zip(&data).cycle();
    for (number, (sample, data)) in (0..).zip(samples) {
        if under_way == WINDOW {
            let Some(ack) = next_body(client).await else {
                return;
            };
            let ack: serde_json::Value = serde_json::from_str(&ack).expect("JSON");
            std::hint::black_box(ack);
            under_way -= 1;
        }
        let request = Request {
            to: &sample.from,
            message_id: &id(number),
            data,
        };
        let json = serde_json::to_string(&request).expect("JSON");
        if client.send_stanza(stanza_of(json)).await.is_err() {
            return;
        }
        under_way += 1;
    }
}

async fn next_body(client: &mut Client) -> Option<String> {
    match client.next().await? {
        Event::Stanza(Stanza::Message(message)) => Some(body_of(&message)),
        _ => None,
    }
}
