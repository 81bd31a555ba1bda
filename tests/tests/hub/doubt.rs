//! Messages that are sent again, since the ack of the first may be lost (`docs/protocol.md` §12 #48).

use ccs_proto::hub::Reach;
use ccs_proto::message::Downstream;

use crate::link::Wire;
use crate::world::{OTHER, Storing, World, seconds};

/// A world in which `m` was accepted and delivered, and its ack was lost with connection 1.
fn ack_lost() -> World {
    let mut world = World::new();
    world.log_in();
    world.lose_downwards(1);
    world.send(1, "m");
    world.cut(1);
    assert_eq!(world.got, ["phone-1:m"]);
    assert!(world.answers().is_empty());
    world.log();
    world
}

#[test]
fn a_message_whose_ack_was_lost_is_acked_again_and_not_delivered_twice() {
    let mut world = ack_lost();
    world.log_in();
    world.send(2, "m");
    assert_eq!(world.log(), ["came again 2:m"]);
    assert_eq!(world.answers(), ["m acked"]);
    assert_eq!(world.got, ["phone-1:m"]);
}

#[test]
fn its_second_ack_may_be_lost_too() {
    let mut world = ack_lost();
    world.log_in();
    world.lose_downwards(2);
    world.send(2, "m");
    world.cut(2);
    world.log_in();
    world.send(3, "m");
    assert_eq!(world.answers(), ["m acked"]);
    assert_eq!(world.got, ["phone-1:m"]);
}

#[test]
fn it_is_known_once() {
    let mut world = ack_lost();
    world.log_in();
    world.send(2, "m");
    world.log_in();
    world.send(3, "m");
    assert_eq!(world.got, ["phone-1:m", "phone-1:m"]);
}

#[test]
fn another_message_of_its_id_is_delivered_and_the_first_is_still_known() {
    let mut world = ack_lost();
    let anew = world.log_in();
    let other = Downstream::to("phone-1").data("n", "2");
    world.send_message(anew, "m", other);
    assert_eq!(world.answers(), ["m acked"]);
    assert_eq!(world.got, ["phone-1:m", "phone-1:m"]);
    let connection = world.log_in();
    world.send(connection, "m");
    assert_eq!(world.answers(), ["m acked"]);
    assert_eq!(world.got.len(), 2);
}

#[test]
fn another_sender_may_use_its_id() {
    let mut world = ack_lost();
    world.log_in_as(OTHER);
    world.send(2, "m");
    assert_eq!(world.got, ["phone-1:m", "999/phone-1:m"]);
}

#[test]
fn what_comes_may_have_crossed_the_ack() {
    let mut world = World::new();
    world.log_in();
    world.lose_downwards(1);
    for id in ["1", "2"] {
        world.send(1, id);
    }
    world.cut(1);
    world.log_in();
    for id in ["1", "2"] {
        world.send(2, id);
    }
    assert_eq!(world.got, ["phone-1:1", "phone-1:2"]);
    assert_eq!(world.answers(), ["1 acked", "2 acked"]);
}

#[test]
fn an_id_is_a_new_message_if_the_app_server_was_heard_a_minute_after_its_ack() {
    let mut world = World::new();
    world.log_in();
    world.send(1, "1");
    world.advance(seconds(60));
    world.send(1, "2");
    world.cut(1);
    world.log_in();
    for id in ["1", "2"] {
        world.send(2, id);
    }
    assert_eq!(world.got, ["phone-1:1", "phone-1:2", "phone-1:1"]);
    assert_eq!(world.answers().len(), 4);
}

#[test]
fn an_id_is_a_new_message_while_its_connection_seems_to_live() {
    let mut world = World::new();
    world.log_in();
    world.send(1, "m");
    world.link(1).wire = Wire::Dead;
    world.log_in();
    world.send(2, "m");
    assert_eq!(world.answers(), ["m acked", "m acked"]);
    assert_eq!(world.got, ["phone-1:m", "phone-1:m"]);
}

#[test]
fn an_id_again_on_its_own_connection_is_refused_there() {
    let mut world = ack_lost();
    world.log_in();
    world.send(2, "m");
    world.answers();
    world.send(2, "m");
    assert_eq!(world.answers(), ["m INVALID_JSON"]);
    assert_eq!(world.got, ["phone-1:m"]);
}

#[test]
fn an_ack_that_comes_too_late_counts_as_lost() {
    let mut world = World::new();
    world.log_in();
    world.decides = false;
    world.send(1, "m");
    // The stream ends with an ack on its way from the hub: the connection takes it no more.
    world.storing = Storing::Later;
    world.accept("phone-1");
    let now = world.now;
    world.link(1).server.transport_failed(now, "reset by peer");
    world.stored();
    assert_eq!(world.got, ["phone-1:m"]);
    world.log_in();
    world.send(2, "m");
    assert_eq!(world.answers(), ["m acked"]);
    assert_eq!(world.got, ["phone-1:m"]);
}

#[test]
fn a_message_that_waits_for_its_device_is_not_kept_twice() {
    let mut world = World::new();
    world.log_in();
    world.set_reach("phone-1", Reach::Offline);
    world.lose_downwards(1);
    world.send(1, "m");
    world.cut(1);
    world.log_in();
    world.send(2, "m");
    assert_eq!(world.answers(), ["m acked"]);
    assert_eq!(world.hub.kept(), 1);
}

#[test]
fn a_refused_message_is_never_in_doubt() {
    let mut world = World::new();
    world.log_in();
    world.storing = Storing::Never;
    world.lose_downwards(1);
    world.send(1, "m");
    world.cut(1);
    world.storing = Storing::AtOnce;
    world.log_in();
    world.send(2, "m");
    assert_eq!(world.got, ["phone-1:m"]);
}

#[test]
fn so_many_ids_are_remembered_and_the_oldest_goes_first() {
    let mut world = World::with(|config| config.remembered_ids = 2);
    for id in ["a", "b"] {
        world.connect_and_lose(id);
    }
    // Known, and in doubt anew: the newest by now.
    world.connect_and_lose("a");
    world.connect_and_lose("c");
    assert_eq!(world.got, ["phone-1:a", "phone-1:b", "phone-1:c"]);
    let last = world.log_in();
    for id in ["a", "c", "b"] {
        world.send(last, id);
    }
    assert_eq!(world.got[3..], ["phone-1:b"]);
    world.advance(seconds(1));
    assert_eq!(world.answers(), ["a acked", "c acked", "b acked"]);
}

impl World {
    /// Sends a message on a connection of its own, of which the ack is lost.
    fn connect_and_lose(&mut self, id: &str) {
        let connection = self.log_in();
        self.lose_downwards(connection);
        self.send(connection, id);
        self.cut(connection);
    }
}
