//! A hub that takes over what the one before it had stored.

use std::time::Duration;

use ccs_proto::hub::{Device, Reach};
use ccs_proto::message::{Downstream, Upstream};
use ccs_tests::pair::SENDER;

use crate::world::{OTHER, Storing, World, seconds};

#[test]
fn what_devices_sent_and_nobody_acked_goes_out_again_in_order() {
    let mut world = World::new();
    world.log_in();
    world.submit_all(&["a", "b", "c"]);
    world.ack(1, "b");
    world.submit_for(OTHER, Upstream::new("phone-1", "d"));
    world.crash();
    world.submit("e");
    world.received.clear();
    world.log_in();
    assert_eq!(world.received, ["2:a", "2:c", "2:e"]);
    world.log_in_as(OTHER);
    assert_eq!(world.in_hand().last().unwrap(), "3:d");
    world.ack_all();
    assert_eq!(world.hub.unacked(), 0);
    assert!(world.kept.is_empty());
}

#[test]
fn an_id_that_was_used_again_is_that_of_the_newer_message() {
    let mut world = World::new();
    world.log_in();
    world.submit("a");
    let acked = world.kept.clone();
    world.ack(1, "a");
    world.submit("a");
    // The store was asked to forget the first one, and had not come to it.
    world.kept.extend(acked);
    world.crash();
    world.received.clear();
    world.log_in();
    assert_eq!(world.received, ["2:a"]);
    world.ack_all();
    assert_eq!(world.hub.unacked(), 0);
    assert!(world.kept.is_empty());
}

#[test]
fn what_waited_for_a_device_waits_on_and_comes_in_order() {
    let mut world = World::new();
    world.log_in();
    world.set_reach("phone-1", Reach::Offline);
    for id in ["a", "b"] {
        world.send(1, id);
    }
    world.crash();
    assert_eq!(world.hub.kept(), 2);
    world.log_in();
    world.send(2, "c");
    assert!(world.got.is_empty());
    world.set_reach("phone-1", Reach::Online);
    assert_eq!(world.got, ["phone-1:a", "phone-1:b", "phone-1:c"]);
    assert!(world.kept.is_empty());
}

#[test]
fn what_was_on_its_way_to_a_device_comes_again() {
    let mut world = World::new();
    world.log_in();
    world.devices_answer = false;
    world.send_message(1, "a", Downstream::to("phone-1").receipt_requested(true));
    world.crash();
    world.set_reach("phone-1", Reach::Online);
    world.answer("phone-1:a", true);
    world.log_in();
    assert_eq!(
        world.received,
        ["2:dr2:a"],
        "its receipt goes to the next connection"
    );
}

#[test]
fn a_message_that_is_sent_again_after_a_restart_is_known_while_it_is_kept() {
    let mut world = World::new();
    world.log_in();
    world.set_reach("phone-1", Reach::Offline);
    world.send(1, "a");
    world.crash();
    world.answers();
    world.log_in();
    world.send(2, "a");
    assert_eq!(world.answers(), ["a acked"]);
    assert_eq!(world.hub.kept(), 1);
}

#[test]
fn another_message_of_a_restored_id_is_a_new_one() {
    let mut world = World::new();
    world.log_in();
    world.set_reach("phone-1", Reach::Offline);
    world.send(1, "a");
    world.crash();
    world.log_in();
    world.send_message(2, "a", Downstream::to("phone-2"));
    assert_eq!(world.got, ["phone-2:a"]);
}

#[test]
fn what_was_stored_and_not_acked_is_delivered_once_too() {
    let mut world = World::new();
    world.log_in();
    world.storing = Storing::Later;
    world.send(1, "a");
    world.crash();
    world.log_in();
    world.send(2, "a");
    assert_eq!(world.answers(), ["a acked"]);
    world.set_reach("phone-1", Reach::Online);
    assert_eq!(world.got, ["phone-1:a"]);
}

#[test]
fn times_to_live_go_on_over_a_restart() {
    let mut world = World::new();
    world.log_in();
    world.set_reach("phone-1", Reach::Offline);
    world.submit_message(Upstream::new("phone-1", "up").with_time_to_live(10));
    let brief = Downstream::to("phone-1").time_to_live(seconds(10));
    world.send_message(1, "down", brief);
    world.advance(seconds(6));
    world.crash();
    world.log();
    world.advance(seconds(4) - Duration::from_millis(251));
    assert!(world.log().is_empty());
    world.advance(seconds(1));
    assert_eq!(world.log(), ["expired up", "expired phone-1:down"]);
    assert!(world.kept.is_empty());
    assert_eq!(world.hub.poll_timeout(), None);
}

#[test]
fn what_expired_while_nobody_ran_is_told_and_forgotten() {
    let mut world = World::new();
    world.set_reach("phone-1", Reach::Offline);
    world.log_in();
    world.drain(1);
    world.submit_message(Upstream::new("phone-1", "up").with_time_to_live(10));
    world.log_in();
    let brief = Downstream::to("phone-1").time_to_live(seconds(10));
    world.cut(1);
    world.send_message(2, "down", brief);
    world.now = world.now + seconds(60);
    world.crash();
    let log = world.log();
    assert!(log.contains(&"expired up".to_owned()), "{log:?}");
    assert!(log.contains(&"expired phone-1:down".to_owned()), "{log:?}");
    assert!(world.kept.is_empty());
}

#[test]
fn new_records_never_take_the_name_of_one_that_was_restored() {
    let mut world = World::new();
    world.log_in();
    world.set_reach("phone-1", Reach::Offline);
    world.subscribers = vec!["phone-1", "phone-2", "phone-3"];
    for device in ["phone-2", "phone-3"] {
        world.set_reach(device, Reach::Offline);
    }
    world.send_message(1, "all", Downstream::to("/topics/news"));
    world.submit("u-1");
    for _ in 0..3 {
        world.crash();
        let before: Vec<_> = world.kept.keys().copied().collect();
        let connection = world.log_in();
        let id = format!("m-{connection}");
        world.send(connection, &id);
        world.submit(&format!("u-{connection}"));
        let new = world.kept.keys().filter(|id| !before.contains(id));
        assert_eq!(new.count(), 2);
        let last = before.last().unwrap();
        assert!(world.kept.keys().rev().take(2).all(|id| id > last));
    }
    let sender: ccs_proto::SenderId = SENDER.parse().unwrap();
    for token in ["phone-1", "phone-2", "phone-3"] {
        let device = Device::new(sender.clone(), token.into());
        world.hub.reach(world.now, &device, Reach::Online);
    }
    world.drive();
    let words = ["phone-1:all", "phone-1:m-2", "phone-1:m-3", "phone-1:m-4"];
    assert_eq!(world.got[..4], words);
    assert_eq!(world.got[4..], ["phone-2:all", "phone-3:all"]);
}

#[test]
fn what_a_newer_one_of_its_key_replaced_does_not_come_back() {
    let mut world = World::new();
    world.log_in();
    world.set_reach("phone-1", Reach::Offline);
    for id in ["a", "b"] {
        world.send_message(1, id, Downstream::to("phone-1").collapse_key("k"));
    }
    world.crash();
    world.set_reach("phone-1", Reach::Online);
    assert_eq!(world.got, ["phone-1:b"]);
}
