//! From app servers to devices: acked when it is stored, and given to each device in order.

use ccs_proto::hub::{Acceptance, Gone, Reach};
use ccs_proto::message::{Downstream, NackCode};

use crate::world::{OTHER, Storing, World, seconds};

fn topic() -> Downstream {
    Downstream::to("/topics/news")
}

#[test]
fn a_message_is_acked_and_delivered_when_it_is_stored() {
    let mut world = World::new();
    world.log_in();
    world.storing = Storing::Later;
    world.send(1, "m-1");
    world.advance(seconds(1));
    assert_eq!(world.log(), ["came 1:m-1"]);
    assert!(world.answers().is_empty());
    assert!(world.got.is_empty());
    world.stored();
    assert_eq!(world.answers(), ["m-1 acked"]);
    assert_eq!(world.got, ["phone-1:m-1"]);
    assert_eq!(world.log(), ["delivered phone-1:m-1"]);
    assert!(world.kept.is_empty(), "the record is not needed any more");
}

#[test]
fn a_message_that_cannot_be_stored_is_refused_for_a_while() {
    let mut world = World::new();
    world.log_in();
    world.storing = Storing::Never;
    world.send(1, "m-1");
    assert_eq!(world.answers(), ["m-1 SERVICE_UNAVAILABLE"]);
    assert_eq!(world.hub.kept(), 0);
    world.storing = Storing::AtOnce;
    world.send(1, "m-1");
    assert_eq!(world.answers(), ["m-1 acked"]);
    assert_eq!(world.got, ["phone-1:m-1"]);
}

#[test]
fn what_a_device_that_is_away_does_not_get_is_kept_and_comes_in_order() {
    let mut world = World::new();
    world.log_in();
    world.set_reach("phone-1", Reach::Offline);
    for id in ["a", "b", "c"] {
        world.send(1, id);
    }
    assert_eq!(world.answers(), ["a acked", "b acked", "c acked"]);
    assert!(world.got.is_empty());
    assert_eq!(world.hub.kept(), 3);
    world.set_reach("phone-1", Reach::Online);
    assert_eq!(world.got, ["phone-1:a", "phone-1:b", "phone-1:c"]);
    assert_eq!(world.hub.kept(), 0);
    assert!(world.kept.is_empty());
}

#[test]
fn a_message_to_a_device_that_is_back_comes_after_those_that_waited() {
    let mut world = World::new();
    world.log_in();
    world.set_reach("phone-1", Reach::Offline);
    world.send(1, "a");
    world.reach.clear();
    world.send(1, "b");
    assert_eq!(world.got, ["phone-1:a", "phone-1:b"]);
}

#[test]
fn a_device_that_goes_away_while_a_message_is_stored_gets_it_when_it_is_back() {
    let mut world = World::new();
    world.log_in();
    world.storing = Storing::Later;
    world.send(1, "a");
    world.set_reach("phone-1", Reach::Offline);
    world.stored();
    assert_eq!(world.answers(), ["a acked"]);
    assert!(world.got.is_empty());
    world.set_reach("phone-1", Reach::Online);
    assert_eq!(world.got, ["phone-1:a"]);
}

#[test]
fn what_a_device_gives_back_waits_in_its_old_order_and_keeps_newer_ones_behind() {
    let mut world = World::new();
    world.log_in();
    world.devices_answer = false;
    for id in ["a", "b", "c", "d"] {
        world.send(1, id);
    }
    world.answer("phone-1:a", true);
    for word in ["phone-1:c", "phone-1:b", "phone-1:d"] {
        world.answer(word, false);
    }
    world.reach.insert("phone-1".to_owned(), Reach::Offline);
    world.send(1, "e");
    world.set_reach("phone-1", Reach::Online);
    assert_eq!(
        world.given(),
        ["phone-1:b", "phone-1:c", "phone-1:d", "phone-1:e"]
    );
}

#[test]
fn a_delivery_that_was_answered_before_changes_nothing() {
    let mut world = World::new();
    world.log_in();
    world.devices_answer = false;
    let keyed = Downstream::to("phone-1").collapse_key("k");
    world.send_message(1, "a", keyed);
    let delivery = world.given[0].delivery;
    world.answer("phone-1:a", false);
    world.log();
    world.hub.not_delivered(world.now, delivery);
    world.hub.delivered(world.now, delivery, 1);
    world.drive();
    assert!(world.log().is_empty());
    world.set_reach("phone-1", Reach::Online);
    world.answer("phone-1:a", true);
    assert_eq!(world.log(), ["delivered phone-1:a"]);
    world.hub.not_delivered(world.now, delivery);
    world.drive();
    assert!(world.log().is_empty());
    assert_eq!(world.hub.poll_timeout(), None);
}

#[test]
fn a_topic_reaches_each_subscriber_once_with_one_ack() {
    let mut world = World::new();
    world.log_in();
    world.subscribers = vec!["phone-1", "phone-2", "phone-1", "phone-3"];
    world.set_reach("phone-2", Reach::Offline);
    world.send_message(1, "m", topic());
    assert_eq!(world.answers(), ["m acked"]);
    assert_eq!(world.got, ["phone-1:m", "phone-3:m"]);
    assert_eq!(world.kept.len(), 1, "one record until each of them has it");
    world.set_reach("phone-2", Reach::Online);
    assert_eq!(world.got[2..], ["phone-2:m"]);
    assert!(world.kept.is_empty());
}

#[test]
fn a_topic_without_subscribers_is_acked_and_not_stored() {
    let mut world = World::new();
    world.log_in();
    world.storing = Storing::Never;
    world.send_message(1, "m", topic());
    assert_eq!(world.answers(), ["m acked"]);
}

#[test]
fn a_dry_run_is_acked_and_not_delivered() {
    let mut world = World::new();
    world.log_in();
    world.storing = Storing::Never;
    world.send_message(1, "m", Downstream::to("phone-1").dry_run(true));
    assert_eq!(world.answers(), ["m acked"]);
    assert!(world.got.is_empty());
}

#[test]
fn an_ack_names_the_token_to_use_from_now_on() {
    let mut world = World::new();
    world.log_in();
    world.decides = false;
    world.send(1, "m");
    let device = ("phone-new".into(), Reach::Online);
    let acceptance = Acceptance::new([device]).with_canonical("phone-new".into());
    let arrival = world.arrivals.remove(0).id;
    world.hub.accept(world.now, arrival, acceptance).unwrap();
    world.drive();
    assert_eq!(world.answers(), ["m acked as phone-new"]);
    assert_eq!(world.got, ["phone-new:m"]);
}

#[test]
fn a_message_is_decided_on_once() {
    let mut world = World::new();
    world.log_in();
    world.decides = false;
    world.send(1, "m");
    let id = world.arrivals[0].id;
    let refused = world.hub.refuse(id, NackCode::DeviceUnregistered, "gone");
    assert_eq!(refused, Ok(()));
    let none = Acceptance::default();
    assert_eq!(world.hub.accept(world.now, id, none), Err(Gone));
    world.drive();
    assert_eq!(world.answers(), ["m DEVICE_UNREGISTERED"]);
    world.decides = true;
    world.send(1, "m");
    assert_eq!(world.answers(), ["m acked"], "a refused id may come again");
}

#[test]
fn what_is_passed_over_is_not_answered_and_comes_again_as_new() {
    let mut world = World::new();
    world.log_in();
    world.decides = false;
    world.send(1, "m");
    world.hub.pass_over(world.arrivals.remove(0).id);
    world.advance(seconds(1));
    assert!(world.answers().is_empty());
    world.cut(1);
    world.log_in();
    world.decides = true;
    world.send(2, "m");
    assert_eq!(world.answers(), ["m acked"]);
    assert_eq!(world.got, ["phone-1:m"]);
}

#[test]
fn nothing_happens_with_a_message_whose_connection_ends_before_the_decision() {
    let mut world = World::new();
    world.log_in();
    world.decides = false;
    world.send(1, "m");
    world.cut(1);
    let id = world.arrivals.remove(0).id;
    let device = ("phone-1".into(), Reach::Online);
    let accepted = world.hub.accept(world.now, id, Acceptance::new([device]));
    assert_eq!(accepted, Err(Gone));
    world.drive();
    assert_eq!(world.hub.kept(), 0);
    world.log_in();
    world.send(2, "m");
    world.accept("phone-1");
    assert_eq!(world.answers(), ["m acked"]);
    assert_eq!(world.got, ["phone-1:m"]);
}

#[test]
fn nothing_happens_with_a_message_whose_connection_ends_before_it_is_stored() {
    let mut world = World::new();
    world.log_in();
    world.storing = Storing::Later;
    world.send(1, "m");
    world.cut(1);
    world.log_in();
    world.send(2, "m");
    world.stored();
    assert!(world.got.is_empty());
    assert!(world.answers().is_empty());
    world.stored();
    assert_eq!(world.answers(), ["m acked"]);
    assert_eq!(world.got, ["phone-1:m"], "once");
    assert!(world.kept.is_empty());
}

#[test]
fn devices_of_one_token_are_two_for_two_senders() {
    let mut world = World::new();
    world.log_in();
    world.log_in_as(OTHER);
    world.reach.insert("phone-1".to_owned(), Reach::Offline);
    world.send(1, "m");
    world.send(2, "m");
    world.set_reach("phone-1", Reach::Online);
    assert_eq!(world.got, ["phone-1:m"], "of the usual sender alone");
    assert_eq!(world.hub.kept(), 1);
}
