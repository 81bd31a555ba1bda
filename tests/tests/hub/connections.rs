//! Connections of a sender: how many there may be, their windows, and draining (`docs/protocol.md` §12 #11, #12, #25, #47).

use ccs_proto::hub::SenderLimits;
use ccs_proto::message::Upstream;
use ccs_proto::{ConnectionError, StreamCondition};
use ccs_tests::pair::SENDER;

use crate::world::{OTHER, World, seconds};

fn limits(connections: usize, window: usize, upstream_window: usize) -> SenderLimits {
    SenderLimits {
        connections,
        window,
        upstream_window,
    }
}

/// A world in which the usual sender has these limits.
fn limited(limits: SenderLimits) -> World {
    let mut world = World::new();
    world.hub.set_limits(&SENDER.parse().unwrap(), limits);
    world
}

#[test]
fn one_connection_too_many_is_ended_and_gets_nothing() {
    let mut world = limited(limits(1, 100, 100));
    world.log_in();
    world.connect_as(SENDER);
    assert_eq!(world.log(), ["too many 2"]);
    assert!(world.ended.iter().any(|(connection, end)| *connection == 2
        && matches!(end, Err(ConnectionError::StreamError { condition, .. })
            if *condition == StreamCondition::PolicyViolation)));
    world.advance(seconds(10));
    world.submit("a");
    assert_eq!(world.received, ["1:a"]);
    world.log_in_as(OTHER);
    assert!(world.links.contains_key(&3), "others are not limited by it");
}

#[test]
fn a_connection_that_ends_makes_room_for_another() {
    let mut world = limited(limits(1, 100, 100));
    world.log_in();
    world.cut(1);
    world.log_in();
    world.submit("a");
    assert_eq!(world.received, ["2:a"]);
}

#[test]
fn a_connection_that_drains_may_be_replaced_before_it_ends() {
    let mut world = limited(limits(1, 100, 100));
    world.log_in();
    world.submit("a");
    assert!(world.drain(1));
    world.log_in();
    assert!(world.links.contains_key(&1), "its message is not acked");
    world.submit("b");
    assert_eq!(world.received, ["1:a", "2:b"]);
}

#[test]
fn what_comes_by_one_connection_too_many_is_not_answered() {
    let mut world = limited(limits(1, 100, 100));
    world.log_in();
    let second = world.dial_as(SENDER);
    // Written before the client knows that its login is one too many.
    while !world.link(second).client.is_bound() {
        assert!(world.carry(second));
    }
    world.send(second, "m");
    assert!(world.answers().is_empty());
    assert!(world.got.is_empty());
}

#[test]
fn a_sender_has_windows_of_its_own() {
    let mut world = limited(limits(10, 3, 2));
    world.decides = false;
    world.log_in();
    for n in 0..6 {
        world.send(1, &format!("m-{n}"));
    }
    assert_eq!(
        world.arrivals.len(),
        4,
        "three, and the read that went beyond"
    );
    for id in ["a", "b", "c"] {
        world.submit(id);
    }
    assert_eq!(world.received, ["1:a", "1:b"]);
    let other = world.log_in_as(OTHER);
    for id in ["a", "b", "c"] {
        world.submit_for(OTHER, Upstream::new("phone-1", id));
    }
    let of_other = |word: &&String| word.starts_with(&format!("{other}:"));
    assert_eq!(world.received.iter().filter(of_other).count(), 3);
}

#[test]
fn the_hubs_windows_count_whatever_the_connections_settings_say() {
    let mut world = World::with(|config| config.limits = limits(10, 5, 5));
    world.server.window = 1;
    world.server.upstream_window = 1;
    world.decides = false;
    world.log_in();
    for n in 0..5 {
        world.send(1, &format!("m-{n}"));
    }
    assert_eq!(world.arrivals.len(), 5);
    world.submit_all(&["a", "b", "c"]);
    assert_eq!(world.received.len(), 3);
}

#[test]
fn new_limits_count_for_new_connections() {
    for (before, after) in [(1, 2), (2, 1)] {
        let mut world = limited(limits(10, 100, before));
        world.log_in();
        let sender = SENDER.parse().unwrap();
        world.hub.set_limits(&sender, limits(10, 100, after));
        world.submit_all(&["a", "b", "c"]);
        assert_eq!(world.received.len(), before);
        world.cut(1);
        world.received.clear();
        world.log_in();
        assert_eq!(world.received.len(), after);
    }
}

#[test]
fn a_drain_of_all_drains_who_logs_in_later_too() {
    let mut world = World::new();
    world.log_in();
    world.log_in_as(OTHER);
    world.submit("a");
    world.log();
    world.drain_all();
    assert_eq!(world.log(), ["draining 1", "draining 2"]);
    world.connect_as(SENDER);
    assert_eq!(world.log(), ["draining 3"]);
    assert!(world.link(3).client.is_draining());
    world.submit("b");
    world.advance(seconds(10));
    assert_eq!(world.received, ["1:a"]);
    assert_eq!(
        world.links.keys().collect::<Vec<_>>(),
        [&1],
        "the others are done"
    );
    world.ack(1, "a");
    world.advance(seconds(10));
    assert!(world.links.is_empty());
    assert_eq!(world.hub.waiting(), 1);
}

#[test]
fn a_drain_before_the_greeting_is_over_keeps_everything_back() {
    let mut world = World::new();
    world.submit("a");
    let connection = world.connect_as(SENDER);
    world.drain(connection);
    world.advance(seconds(5));
    assert!(world.received.is_empty());
    world.log_in();
    assert_eq!(world.received, ["2:a"]);
}

#[test]
fn there_is_nothing_to_drain_at_a_connection_that_is_not_there() {
    let mut world = World::new();
    assert!(!world.drain(7));
}
