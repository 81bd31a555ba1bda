//! Endpoints that are measured, each in a process of its own. All do the same: take each message and ack it; or have
//! devices say something whenever the window has a place.

mod ccs;
mod hub;
mod raw;

use std::net::SocketAddr;

use ccs_bench::corpus::Corpus;
use ccs_bench::loopback::numbered::id;
use ccs_bench::loopback::program::{Program, on_tokio};
use ccs_tokio::{Data, Upstream};

/// The first is what all are compared with.
pub const ENDPOINTS: &[Program] = &[
    Program {
        name: "raw endpoint",
        raw: "raw endpoint",
        run: |setup| on_tokio(raw::run(setup)),
    },
    // The connections alone.
    Program {
        name: "ccs-tokio endpoint",
        raw: "raw endpoint",
        run: |setup| on_tokio(ccs::run(setup)),
    },
    // With a hub behind them, which keeps and routes.
    Program {
        name: "ccs-tokio endpoint and hub",
        raw: "raw endpoint",
        run: |setup| on_tokio(hub::run(setup)),
    },
];

/// Where an endpoint listens is its first line.
fn listening_on(address: SocketAddr) {
    println!("{address}");
}

/// What devices say, one message after another.
struct Devices {
    parts: Vec<(String, Data)>,
    said: u64,
}

impl Devices {
    fn new(corpus: &Corpus) -> Self {
        let parts = corpus.samples.iter().map(|sample| {
            let data = Data::from_json(&sample.data).expect("an object");
            (sample.from.clone(), data)
        });
        Self {
            parts: parts.collect(),
            said: 0,
        }
    }

    fn say(&mut self) -> Upstream {
        let number = self.said;
        self.said += 1;
        let (from, data) = &self.parts[number as usize % self.parts.len()];
        Upstream::new(from.clone(), id(number))
            .with_category("com.example.yourapp")
            .with_data(data.clone())
    }
}
