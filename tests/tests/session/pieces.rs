//! What a session tells does not depend on the pieces in which the bytes of its connections arrive.

use bytes::BytesMut;
use ccs_proto::ConnectionId;
use ccs_proto::message::{NackCode, Upstream};
use ccs_proto::session::Verdict;

use crate::world::World;

/// A copy of what was handled, an ack, a nack that drains, another ack: all read at once, or in pieces of so many bytes.
fn told(piece: usize) -> Vec<String> {
    let mut world = World::bound_with(|_, client| client.window = 3);
    world.device_sends(1, "phone-1", "u-1");
    world.handle("u-1", Verdict::Ack);
    for id in ["m-1", "m-2", "m-3", "m-4"] {
        world.submit(id);
    }
    world.log();
    let copy = Upstream::new("phone-1", "u-1");
    world.server(1).send(copy).unwrap();
    write(&mut world);
    for id in ["m-1", "m-2", "m-3"] {
        let (connection, token) = world.take(id);
        let server = world.server(connection.0);
        match id {
            "m-2" => server
                .nack(token, &NackCode::ConnectionDraining, "")
                .unwrap(),
            _ => server.ack(token, None).unwrap(),
        }
    }
    let bytes = write(&mut world).split();
    for piece in bytes.chunks(piece) {
        world.session.receive(world.now, ConnectionId(1), piece);
    }
    while let Some(event) = world.session.poll_event() {
        world.events.push(event);
    }
    world.log()
}

/// The endpoint writes what it has to say. Gives what the session has not read.
fn write(world: &mut World) -> &mut BytesMut {
    let now = world.now;
    let link = world.links.get_mut(&ConnectionId(1)).unwrap();
    while link.server.poll_transmit(now, &mut link.downwards) {}
    &mut link.downwards
}

#[test]
fn events_come_in_the_order_of_the_stream_in_whatever_pieces_it_arrives() {
    let at_once = told(usize::MAX);
    assert_eq!(
        at_once,
        [
            "duplicate u-1",
            "acked m-1",
            "draining 1",
            "reconnecting 1",
            "acked m-3"
        ]
    );
    for piece in [1, 7, 100, 300] {
        assert_eq!(told(piece), at_once, "pieces of {piece}");
    }
}
