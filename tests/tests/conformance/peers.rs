//! A hub, and the connections that do what it asks for.

use std::time::Duration;

use ccs_proto::driver::{CarriedOut, Peers};
use ccs_proto::hub::{Acceptance, Command, Hub, HubConfig, HubEvent, Reach};
use ccs_proto::{SenderId, ServerEvent, Time};

use crate::ends::{SENDER, client_config, downstream_event, message, pair, received, upstream};
use crate::link::Link;
use crate::runtime::Run;

const NOW: Time = Time::ZERO;

fn hub() -> Hub {
    let mut config = HubConfig::default();
    config.greeting = Duration::ZERO;
    Hub::new(config, NOW)
}

/// Does all that the hub asks for, with a store that keeps nothing and devices that take everything. Says how much of it
/// came too late, and how much was delivered.
fn carry_out(hub: &mut Hub, peers: &Peers) -> (usize, usize) {
    let (mut late, mut delivered) = (0, 0);
    while let Some(command) = hub.poll_command() {
        match peers.carry_out(hub, command) {
            CarriedOut::Done => {}
            CarriedOut::TooLate => late += 1,
            CarriedOut::NotHere(command) => match *command {
                Command::Store { id, .. } => hub.stored(NOW, id),
                Command::Deliver { delivery, .. } => {
                    delivered += 1;
                    hub.delivered(NOW, delivery, 1);
                }
                _ => {}
            },
        }
    }
    (late, delivered)
}

/// Accepts what came.
fn accept(hub: &mut Hub) {
    while let Some(event) = hub.poll_event() {
        if let HubEvent::Downstream(arrival) = event {
            let device = ("phone-1".into(), Reach::Online);
            let acceptance = Acceptance::new([device]);
            hub.accept(NOW, arrival.id, acceptance)
                .expect("it is there");
        }
    }
}

pub async fn a_hub_answers_and_sends_by_its_connections<R: Run, L: Link<R>>() {
    let (client, mut incoming, peer, mut events) = pair::<R, L>(client_config()).await;
    let (mut hub, mut peers) = (hub(), Peers::new());
    let (id, sender) = (peer.id(), peer.sender().clone());
    peers.insert(peer);
    hub.login(NOW, id, &sender);
    let answer = client.try_send(message(1)).expect("a place");
    hub.handle(NOW, id, downstream_event(&mut events).await);
    accept(&mut hub);
    assert_eq!(carry_out(&mut hub, &peers), (0, 1));
    answer.await.expect("acked");
    hub.submit(NOW, &sender, upstream(1)).expect("room");
    assert_eq!(carry_out(&mut hub, &peers), (0, 0));
    received(&mut incoming).await.ack().expect("open");
    while hub.unacked() > 0 {
        let event = events.next().await.expect("the ack");
        hub.handle(NOW, id, event);
    }
    assert!(hub.drain(NOW, id));
    carry_out(&mut hub, &peers);
    while !matches!(events.next().await, Some(ServerEvent::Closed(Ok(())))) {}
    assert!(peers.closed(&mut hub, NOW, id).is_some() && peers.is_empty());
}

pub async fn an_ack_that_comes_too_late_is_given_on_the_next_connection<R: Run, L: Link<R>>() {
    let (client, _incoming, peer, mut events) = pair::<R, L>(client_config()).await;
    let (mut hub, mut peers) = (hub(), Peers::new());
    let sender: SenderId = SENDER.parse().expect("digits");
    let first = peer.id();
    peers.insert(peer.clone());
    hub.login(NOW, first, &sender);
    let _unknown = client.try_send(message(1)).expect("a place");
    hub.handle(NOW, first, downstream_event(&mut events).await);
    accept(&mut hub);
    peer.cut();
    while !matches!(events.next().await, Some(ServerEvent::Closed(_))) {}
    assert_eq!(carry_out(&mut hub, &peers), (1, 1), "the ack");
    peers.closed(&mut hub, NOW, first);

    let (client, _incoming, peer, mut events) = pair::<R, L>(client_config()).await;
    let second = peer.id();
    peers.insert(peer);
    hub.login(NOW, second, &sender);
    let answer = client.try_send(message(1)).expect("a place");
    hub.handle(NOW, second, downstream_event(&mut events).await);
    assert_eq!(carry_out(&mut hub, &peers), (0, 0), "not delivered again");
    answer.await.expect("acked");
}
