//! Draining: another connection takes over at once, and the old one finishes what it has.

use ccs_proto::message::NackCode;
use ccs_proto::session::Verdict;

use crate::world::{Dial, World, seconds};

/// A world whose only connection has held for long, so that a drain is no failure.
fn healthy() -> World {
    let mut world = World::bound();
    world.advance(seconds(61));
    world.config.drain_timeout = seconds(3_600);
    world
}

#[test]
fn another_connection_takes_over_and_the_old_one_finishes() {
    for in_flight in [0, 1, 99, 100] {
        let mut world = healthy();
        for n in 0..in_flight {
            world.submit(&format!("m-{n}"));
        }
        world.device_sends(1, "phone-1", "u-1");
        world.log();
        world.drain(1);
        assert_eq!(world.log(), ["draining 1", "reconnecting 0"]);
        world.submit("new");
        world.advance(seconds(1));
        assert_eq!(world.dialled.len(), 2, "at most one more");
        assert!(world.unanswered().contains(&"2:new".to_owned()));
        world.handle("u-1", Verdict::Ack);
        assert_eq!(world.acks(), ["1:u-1"], "acked where it came from");
        world.log();
        world.ack_all();
        assert_eq!(world.outcomes().len(), in_flight + 1);
        world.advance(seconds(5));
        assert_eq!(world.links.len(), 1, "the endpoint closed the old one");
        assert_eq!(world.dialled.len(), 2);
    }
}

#[test]
fn what_was_not_sent_goes_by_the_new_connection() {
    let mut world = World::bound_with(|_, client| client.window = 1);
    world.submit("m-1");
    world.submit("m-2");
    world.drain(1);
    world.advance(seconds(1));
    assert_eq!(world.unanswered(), ["1:m-1", "2:m-2"]);
}

#[test]
fn a_draining_nack_drains_and_costs_no_attempt() {
    let mut world = World::bound_with(|config, _| config.attempts = 1);
    world.submit("m-1");
    world.log();
    world.nack("m-1", &NackCode::ConnectionDraining);
    assert_eq!(world.log(), ["draining 1", "reconnecting 1"]);
    world.advance(seconds(1));
    assert_eq!(world.unanswered(), ["2:m-1"]);
    world.ack("m-1");
    assert_eq!(world.outcomes(), ["acked m-1"]);
}

#[test]
fn what_is_in_flight_when_the_endpoint_closes_is_sent_again() {
    let mut world = healthy();
    world.submit("m-1");
    world.drain(1);
    world.advance(seconds(1));
    assert_eq!(world.unanswered(), ["1:m-1"], "its answer may still come");
    let now = world.now;
    world.server(1).close(now);
    world.log();
    world.drive();
    assert_eq!(world.log(), ["disconnected 1 unknown 1"]);
    assert_eq!(world.unanswered(), ["2:m-1"]);
    assert_eq!(world.dialled.len(), 2);
}

#[test]
fn a_chain_of_drains_loses_nothing_and_slows_down() {
    let mut world = healthy();
    let mut drained = 0;
    for connection in 1..=5 {
        world.submit(&format!("m-{connection}"));
        world.drain(connection);
        drained += 1;
        while !world
            .links
            .contains_key(&ccs_proto::ConnectionId(connection + 1))
        {
            world.advance(seconds(1));
        }
        world.drive();
    }
    assert_eq!(drained, 5);
    assert!(world.links.len() <= 6, "bounded, {}", world.links.len());
    let unanswered = world.unanswered();
    assert_eq!(unanswered.len(), 5, "{unanswered:?}");
    world.ack_all();
    assert_eq!(world.outcomes().len(), 5);
    assert_eq!(world.session.queued(), 0);
}

#[test]
fn connections_that_drain_for_ever_are_bounded() {
    let mut world = World::bound_with(|config, _| config.draining_connections = 2);
    world.config.drain_timeout = seconds(36_000);
    for connection in 1..=6 {
        world.device_sends(connection, "phone-1", &format!("u-{connection}"));
        world.drain(connection);
        while !world
            .links
            .contains_key(&ccs_proto::ConnectionId(connection + 1))
        {
            world.advance(seconds(1));
        }
        world.advance(seconds(40));
    }
    assert!(world.links.len() <= 3, "{}", world.links.len());
}

#[test]
fn a_drain_with_refused_dials_goes_on_acking_on_the_old_connection() {
    let mut world = healthy();
    world.dials.extend([Dial::Refuse; 3]);
    world.device_sends(1, "phone-1", "u-1");
    world.drain(1);
    world.submit("m-1");
    world.advance(seconds(2));
    world.handle("u-1", Verdict::Ack);
    assert_eq!(world.acks(), ["1:u-1"]);
    world.advance(seconds(30));
    assert_eq!(world.dialled.len(), 5);
    assert_eq!(world.unanswered(), ["2:m-1"]);
}

#[test]
fn an_endpoint_that_never_closes_is_left_after_the_guard_time() {
    let mut world = healthy();
    world.config.drain_timeout = seconds(36_000);
    world.device_sends(1, "phone-1", "u-1");
    let control = "<message><data:gcm xmlns:data=\"google:mobile:data\">\
        {\"message_type\":\"control\",\"control_type\":\"CONNECTION_DRAINING\"}</data:gcm></message>";
    let now = world.now;
    world
        .session
        .receive(now, ccs_proto::ConnectionId(1), control.as_bytes());
    world.advance(seconds(899));
    assert_eq!(world.links.len(), 2);
    world.advance(seconds(1));
    assert_eq!(world.links.len(), 1);
    assert_eq!(world.dialled.len(), 2);
}
