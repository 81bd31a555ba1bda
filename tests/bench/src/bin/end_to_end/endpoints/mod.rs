//! Endpoints that are measured, each in a process of its own. All do the same: take each message and ack it; or have
//! devices say something whenever the window has a place.

mod ccs;
mod hub;
mod raw;

use std::net::SocketAddr;

use ccs_bench::corpus::Corpus;
use ccs_bench::loopback::child::Setup;
use ccs_bench::loopback::numbered::id;
use ccs_tokio::{Data, Upstream};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// The limit.
    Raw,
    /// The connections alone.
    CcsTokio,
    /// With a hub behind them, which keeps and routes.
    CcsHub,
}

impl Endpoint {
    pub const ALL: [Self; 3] = [Self::Raw, Self::CcsTokio, Self::CcsHub];

    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw endpoint",
            Self::CcsTokio => "ccs-tokio endpoint",
            Self::CcsHub => "ccs-tokio endpoint and hub",
        }
    }

    /// Is one, until it is ended. Its first line says where it listens.
    pub fn be(self, setup: Setup) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().expect("a runtime");
        match self {
            Self::Raw => runtime.block_on(raw::run(setup)),
            Self::CcsTokio => runtime.block_on(ccs::run(setup)),
            Self::CcsHub => runtime.block_on(hub::run(setup)),
        }
    }
}

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
