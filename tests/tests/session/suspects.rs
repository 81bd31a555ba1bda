//! A message that ends every stream: it is found out, and the others are delivered.

use ccs_proto::StreamCondition;

use crate::world::{World, seconds};

/// Ends the stream whenever the endpoint has the killer, and acks everything else.
fn play(world: &mut World, killer: &str) {
    for _ in 0..100 {
        while world.links.is_empty() {
            world.advance(seconds(1));
        }
        world.advance(seconds(1));
        let guilty = world.received.iter().find(|(_, id, _)| id == killer);
        match guilty.map(|(connection, _, _)| connection.0) {
            Some(connection) => world.end_with(connection, StreamCondition::InvalidXml),
            None => match world.received.first().map(|(_, id, _)| id.clone()) {
                Some(id) => world.ack(&id),
                None if world.session.queued() == 0 => return,
                None => {}
            },
        }
    }
    panic!("{:?} are still there", world.session.queued());
}

#[test]
fn the_guilty_message_is_found_out_and_the_rest_is_delivered() {
    let mut world = World::bound();
    for id in ["a", "b", "killer", "c", "d"] {
        world.submit(id);
    }
    play(&mut world, "killer");
    let mut outcomes = world.outcomes();
    outcomes.sort();
    assert_eq!(outcomes[..4], ["acked a", "acked b", "acked c", "acked d"]);
    assert!(outcomes[4].starts_with("dead killer: 3 streams ended with it in flight"));
    assert_eq!(outcomes.len(), 5);
    assert_eq!(world.dialled.len(), 4, "three deaths");
}

#[test]
fn suspects_go_out_alone_before_anything_else() {
    let mut world = World::bound();
    for id in ["a", "b"] {
        world.submit(id);
    }
    world.end_with(1, StreamCondition::InvalidXml);
    world.submit("c");
    world.advance(seconds(1));
    assert_eq!(world.unanswered(), ["2:a"]);
    world.ack("a");
    assert_eq!(world.unanswered(), ["2:b"]);
    world.ack("b");
    assert_eq!(world.unanswered(), ["2:c"]);
}

#[test]
fn a_cut_or_a_restart_blames_no_message() {
    let mut world = World::bound();
    world.submit("a");
    world.submit("b");
    for (connection, cut) in [(1, true), (2, false), (3, true), (4, false), (5, false)] {
        if cut {
            world.cut(connection);
        } else {
            world.end_with(connection, StreamCondition::SystemShutdown);
        }
        while world.received.len() < 2 {
            world.advance(seconds(1));
        }
        let both = ["a", "b"].map(|id| format!("{}:{id}", connection + 1));
        assert_eq!(world.unanswered(), both, "together");
    }
    world.ack_all();
    assert_eq!(world.outcomes(), ["acked a", "acked b"]);
}

#[test]
fn a_message_with_which_every_connection_is_lost_does_not_hold_up_the_others_for_ever() {
    let mut world = World::bound_with(|_, client| client.window = 2);
    for id in ["killer", "a", "b", "c"] {
        world.submit(id);
    }
    let mut acked = Vec::new();
    let mut losses = 0;
    while world.session.queued() > 0 {
        if let Some((connection, ..)) = world.received.iter().find(|(_, id, _)| id == "killer") {
            let connection = connection.0;
            world.cut(connection);
            losses += 1;
        } else if let Some((_, id, _)) = world.received.first() {
            let id = id.clone();
            world.ack(&id);
        }
        world.advance(seconds(1));
        let outcomes = world.outcomes();
        if acked.len() < 3 && !outcomes.is_empty() {
            assert!(losses <= 5, "{losses} losses");
        }
        acked.extend(outcomes);
    }
    acked.sort();
    assert_eq!(acked[..3], ["acked a", "acked b", "acked c"]);
    assert_eq!(
        acked[3],
        "dead killer: 13 connections were lost with it in flight"
    );
}

#[test]
fn a_connection_too_many_costs_no_more_than_one_message_its_turn() {
    let mut world = World::bound_with(|config, client| {
        config.connections = 2;
        client.window = 3;
    });
    for n in 1..=9 {
        world.submit(&format!("m-{n}"));
    }
    world.end_with(2, StreamCondition::PolicyViolation);
    for id in ["m-1", "m-2", "m-3"] {
        world.ack(id);
    }
    assert_eq!(world.unanswered(), ["1:m-4"], "alone");
    world.ack("m-4");
    assert_eq!(world.unanswered(), ["1:m-5", "1:m-6", "1:m-7"]);
}
