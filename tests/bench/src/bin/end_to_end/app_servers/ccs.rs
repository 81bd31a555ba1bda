//! This project on its three runtimes. The program is the same; only who connects and who runs it differs.

use std::collections::VecDeque;

use ccs_bench::corpus::Corpus;
use ccs_bench::loopback::certificate::HOST;
use ccs_bench::loopback::child::Setup;
use ccs_bench::loopback::numbered::id;
use ccs_bench::loopback::{Direction, WINDOW};
use ccs_tokio::{Client, Config, Data, Downstream, Event, Incoming};

pub async fn on_tokio(setup: Setup) {
    let connected = ccs_tokio::connect(config(&setup)).await;
    run(connected.expect("a connection"), &setup).await;
}

pub async fn on_async_std(setup: Setup) {
    let connected = ccs_async_std::connect(config(&setup)).await;
    run(connected.expect("a connection"), &setup).await;
}

pub async fn on_smol(setup: Setup) {
    let connected = ccs_async_std::smol::connect(config(&setup)).await;
    run(connected.expect("a connection"), &setup).await;
}

fn config(setup: &Setup) -> Config {
    let sender = "123456789012".parse().expect("digits");
    let address = setup.address.expect("of the endpoint");
    let mut config = Config::new(address.ip().to_string(), sender, "KEY".into());
    config.port = address.port();
    config.server_name = Some(HOST.to_owned());
    config.trust = setup.certificate.trust();
    config
}

async fn run((client, incoming): (Client, Incoming), setup: &Setup) {
    match setup.direction {
        Direction::Up => take(incoming).await,
        Direction::Down => send(client, setup.corpus()).await,
    }
}

async fn take(mut incoming: Incoming) {
    while let Some(event) = incoming.next().await {
        if let Event::Upstream(message) = event {
            std::hint::black_box((message.from(), message.message_id(), message.data()));
            if message.ack().is_err() {
                return;
            }
        }
    }
}

async fn send(client: Client, corpus: Corpus) {
    let parts = corpus.samples.into_iter().map(|sample| {
        let data = Data::from_json(&sample.data).expect("an object");
        (sample.from, data)
    });
    let parts: Vec<_> = parts.collect();
    let mut answers = VecDeque::new();
    for (number, (to, data)) in (0..).zip(parts.iter().cycle()) {
        let message = Downstream::to(to.clone()).id(id(number));
        let Ok(permit) = client.reserve().await else {
            return;
        };
        let Ok(answer) = permit.send(message.with_data(data.clone())) else {
            return;
        };
        answers.push_back(answer);
        if answers.len() as u64 == WINDOW
            && let Some(first) = answers.pop_front()
            && first.await.is_err()
        {
            return;
        }
    }
}
