//! Receipts: by the connection that the message came by, else by another, else by the next (`docs/protocol.md` §8).

use ccs_proto::ConnectionId;
use ccs_proto::hub::Reach;
use ccs_proto::message::{Downstream, Receipt};
use ccs_tests::pair::SENDER;

use crate::world::{OTHER, World, seconds};

fn confirmed() -> Downstream {
    Downstream::to("phone-1").receipt_requested(true)
}

/// A world with such a message on its way to its device by way of connection 1.
fn on_its_way() -> World {
    let mut world = World::new();
    world.log_in();
    world.log_in();
    world.devices_answer = false;
    world.send_message(1, "m", confirmed());
    world.log();
    world
}

#[test]
fn a_receipt_comes_when_the_device_has_the_message_and_it_was_asked_for() {
    let mut world = on_its_way();
    assert!(world.received.is_empty());
    world.answer("phone-1:m", true);
    assert_eq!(world.received, ["1:dr2:m"]);
    assert_eq!(world.log(), ["delivered phone-1:m", "receipt 1:m"]);
    world.send(1, "other");
    world.answer("phone-1:other", true);
    assert_eq!(world.received.len(), 1);
}

#[test]
fn a_message_that_is_not_delivered_has_no_receipt() {
    let mut world = World::new();
    world.log_in();
    world.set_reach("phone-1", Reach::Offline);
    let brief = confirmed().time_to_live(std::time::Duration::ZERO);
    world.send_message(1, "m", brief);
    assert!(world.received.is_empty());
}

#[test]
fn a_connection_that_drains_still_gets_its_receipt() {
    let mut world = on_its_way();
    world.drain(1);
    world.answer("phone-1:m", true);
    assert_eq!(world.received, ["1:dr2:m"]);
}

#[test]
fn without_its_connection_a_receipt_goes_to_another_that_does_not_drain() {
    let mut world = on_its_way();
    world.log_in();
    world.log_in_as(OTHER);
    world.cut(1);
    world.drain(2);
    world.answer("phone-1:m", true);
    assert_eq!(world.received, ["3:dr2:m"]);
}

#[test]
fn without_any_connection_a_receipt_waits_for_the_next_login_and_its_greeting() {
    let mut world = on_its_way();
    world.cut(1);
    world.cut(2);
    world.answer("phone-1:m", true);
    world.log_in_as(OTHER);
    world.connect_as(SENDER);
    assert!(world.received.is_empty());
    world.advance(std::time::Duration::from_millis(250));
    assert_eq!(world.received, ["4:dr2:m"]);
    world.cut(4);
    world.log_in();
    assert_eq!(world.received.len(), 1, "it was sent");
}

#[test]
fn so_many_receipts_wait_and_the_oldest_goes_first() {
    let mut world = World::with(|config| config.receipts = 2);
    world.log_in();
    world.devices_answer = false;
    for id in ["a", "b", "c"] {
        world.send_message(1, id, confirmed());
    }
    world.cut(1);
    for word in ["phone-1:a", "phone-1:b", "phone-1:c"] {
        world.answer(word, true);
    }
    world.log_in();
    assert_eq!(world.received, ["2:dr2:b", "2:dr2:c"]);
}

#[test]
fn all_receipts_that_waited_arrive_and_be_they_more_than_a_window() {
    let mut world = World::new();
    world.log_in();
    world.devices_answer = false;
    for n in 0..250 {
        world.send_message(1, &format!("m-{n}"), confirmed());
    }
    world.cut(1);
    for n in 0..250 {
        world.answer(&format!("phone-1:m-{n}"), true);
    }
    world.log_in();
    assert_eq!(world.received.len(), 250);
    world.ack_all();
    assert!(world.faults.is_empty(), "{:?}", world.faults);
}

#[test]
fn a_message_to_many_devices_has_one_receipt() {
    let mut world = World::new();
    world.log_in();
    world.subscribers = vec!["phone-1", "phone-2", "phone-3"];
    world.set_reach("phone-1", Reach::Offline);
    let message = Downstream::to("/topics/news").receipt_requested(true);
    world.send_message(1, "m", message);
    world.set_reach("phone-1", Reach::Online);
    assert_eq!(world.got.len(), 3);
    assert_eq!(world.received, ["1:dr2:m"]);
}

#[test]
fn a_receipt_that_meets_the_end_of_its_connection_goes_by_another_one() {
    let mut world = on_its_way();
    world.log_in_as(OTHER);
    // The hub hears of the end later than the command comes.
    let ended = world.links.remove(&1);
    world.answer("phone-1:m", true);
    assert!(world.received.is_empty());
    world.links.extend(ended.map(|link| (1, link)));
    world.cut(1);
    assert_eq!(world.received, ["2:dr2:m"]);
}

#[test]
fn a_receipt_that_meets_the_end_of_the_only_connection_waits_for_the_next() {
    let mut world = World::new();
    world.log_in();
    world.devices_answer = false;
    world.send_message(1, "m", confirmed());
    let ended = world.links.remove(&1);
    world.answer("phone-1:m", true);
    world.links.extend(ended.map(|link| (1, link)));
    world.cut(1);
    world.log_in();
    assert_eq!(world.received, ["2:dr2:m"]);
}

#[test]
fn a_receipt_that_its_connection_does_not_take_goes_out_a_second_later() {
    let mut world = World::new();
    let connection = ConnectionId(world.log_in());
    let receipt = Receipt::new(&"m".into(), "phone-1", 1);
    let sender = SENDER.parse().unwrap();
    world.hub.receipt_failed(&sender, connection, receipt);
    world.advance(seconds(1));
    assert_eq!(world.received, ["1:dr2:m"]);
    assert_eq!(world.hub.poll_timeout(), None);
}
