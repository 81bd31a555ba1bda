//! This project's endpoint with a hub behind it. Devices take what they get, and say something as long as less than two
//! windows of it wait.

use std::time::Instant;

use ccs_bench::loopback::child::Setup;
use ccs_bench::loopback::{Direction, WINDOW};
use ccs_tokio::proto::hub::{Acceptance, Command, Hub, HubConfig, HubEvent, Reach};
use ccs_tokio::proto::message::{NackCode, Target};
use ccs_tokio::proto::{ConnectionId, Time};
use ccs_tokio::{Arrival, CarriedOut, PeerEvents, Peers, SenderId, ServerEvent};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Devices;
use super::ccs::bind;

pub async fn run(setup: Setup) {
    let mut devices = (setup.direction == Direction::Up).then(|| Devices::new(&setup.corpus()));
    let mut endpoint = bind(&setup).await;
    let sender: SenderId = "123456789012".parse().expect("digits");
    let started = Instant::now();
    let now = || Time::from_origin(started.elapsed());
    let mut hub = Hub::new(HubConfig::default(), now());
    let mut peers = Peers::new();
    let (happened, mut happens) = mpsc::channel(256);
    loop {
        settle(&mut hub, &peers, now());
        if let Some(devices) = &mut devices
            && !peers.is_empty()
        {
            while hub.unacked() < 2 * WINDOW as usize {
                let said = hub.submit(now(), &sender, devices.say());
                said.expect("room");
                settle(&mut hub, &peers, now());
            }
        }
        let due = hub.poll_timeout().map(|due| due - now());
        tokio::select! {
            arrival = endpoint.accept() => {
                if let Arrival::Connected { peer, events, .. } = arrival.expect("a connection") {
                    hub.login(now(), peer.id(), peer.sender());
                    tokio::spawn(forward(peer.id(), events, happened.clone()));
                    peers.insert(peer);
                }
            }
            Some((id, event)) = happens.recv() => match event {
                ServerEvent::Closed(_) => {
                    peers.closed(&mut hub, now(), id);
                }
                event => hub.handle(now(), id, event),
            },
            () = sleep(due.unwrap_or_default()), if due.is_some() => hub.handle_timeout(now()),
        }
    }
}

async fn forward(
    id: ConnectionId,
    mut events: PeerEvents,
    happened: mpsc::Sender<(ConnectionId, ServerEvent)>,
) {
    while let Some(event) = events.next().await {
        if happened.send((id, event)).await.is_err() {
            return;
        }
    }
}

fn settle(hub: &mut Hub, peers: &Peers, now: Time) {
    loop {
        if let Some(command) = hub.poll_command() {
            if let CarriedOut::NotHere(command) = peers.carry_out(hub, command) {
                match *command {
                    Command::Store { id, .. } => hub.stored(now, id),
                    Command::Deliver {
                        delivery, message, ..
                    } => {
                        std::hint::black_box(message);
                        hub.delivered(now, delivery, 1_795_500_000_000);
                    }
                    _ => {}
                }
            }
        } else if let Some(event) = hub.poll_event() {
            let HubEvent::Downstream(arrival) = event else {
                continue;
            };
            let _ = match arrival.message.target() {
                Target::Token(token) => {
                    let phone = Acceptance::new([(token.clone(), Reach::Online)]);
                    hub.accept(now, arrival.id, phone)
                }
                _ => hub.refuse(arrival.id, NackCode::InvalidJson, "only tokens are known"),
            };
        } else {
            return;
        }
    }
}
