//! From devices to app servers: what is accepted stays until it is acked or its time is over.

use std::time::Duration;

use ccs_proto::hub::SubmitError;
use ccs_proto::message::{Data, Upstream};
use ccs_tests::pair::SENDER;

use crate::world::{OTHER, Storing, World, seconds};

fn brief(id: &str, time_to_live: u64) -> Upstream {
    Upstream::new("phone-1", id).with_time_to_live(time_to_live)
}

#[test]
fn a_message_is_accepted_and_sent_when_it_is_stored() {
    let mut world = World::new();
    world.log_in();
    world.storing = Storing::Later;
    world.submit("u-1");
    assert!(world.log().is_empty());
    assert!(world.received.is_empty());
    world.stored();
    assert_eq!(world.log(), ["accepted u-1", "sent 1:u-1"]);
    world.ack_all();
    assert_eq!(world.log(), ["acked 1:u-1"]);
    assert_eq!(world.hub.unacked(), 0);
    assert!(world.kept.is_empty(), "the record is not needed any more");
}

#[test]
fn a_message_that_no_connection_takes_now_waits_and_is_told_to() {
    let mut world = World::with(|config| config.limits.upstream_window = 1);
    world.submit("a");
    assert_eq!(world.log(), ["accepted a", "waits a"]);
    world.log_in();
    assert_eq!(world.log(), ["sent 1:a"]);
    world.submit("b");
    assert_eq!(world.log(), ["accepted b", "waits b"]);
}

#[test]
fn a_message_that_cannot_be_stored_comes_back() {
    let mut world = World::new();
    world.log_in();
    world.storing = Storing::Never;
    world.submit("u-1");
    assert_eq!(world.log(), ["not stored u-1"]);
    assert_eq!(world.hub.unacked(), 0);
    assert!(world.received.is_empty());
    world.storing = Storing::AtOnce;
    world.submit("u-1");
    assert_eq!(world.received, ["1:u-1"], "it can be submitted again");
}

#[test]
fn messages_go_to_the_connections_in_turn() {
    let mut world = World::new();
    for _ in 0..3 {
        world.log_in();
    }
    world.submit_all(&["a", "b", "c", "d"]);
    assert_eq!(world.received, ["1:a", "2:b", "3:c", "1:d"]);
}

#[test]
fn a_draining_connection_gets_none_and_may_ack_what_it_has() {
    let mut world = World::new();
    world.log_in();
    world.log_in();
    world.submit("a");
    assert!(world.drain(1));
    assert!(!world.drain(1), "it drains already");
    world.submit_all(&["b", "c"]);
    assert_eq!(world.received, ["1:a", "2:b", "2:c"]);
    world.ack(1, "a");
    assert_eq!(world.hub.unacked(), 2);
}

#[test]
fn a_window_holds_so_many_and_each_ack_lets_one_more_out_in_order() {
    let mut world = World::with(|config| config.limits.upstream_window = 2);
    world.log_in();
    world.submit_all(&["a", "b", "c", "d"]);
    assert_eq!(world.received, ["1:a", "1:b"]);
    assert_eq!(world.hub.waiting(), 2);
    world.ack(1, "b");
    world.ack(1, "a");
    assert_eq!(world.received, ["1:a", "1:b", "1:c", "1:d"]);
}

#[test]
fn no_time_to_live_is_now_or_never() {
    let mut world = World::new();
    world.submit_message(brief("never", 0));
    assert_eq!(world.log(), ["accepted never", "expired never"]);
    assert_eq!(world.hub.unacked(), 0);
    assert!(world.kept.is_empty());
    world.log_in();
    world.submit_message(brief("now", 0));
    assert_eq!(world.log(), ["accepted now", "sent 1:now"]);
}

#[test]
fn a_message_that_waits_expires_when_its_time_is_over() {
    let mut world = World::new();
    world.submit_message(brief("a", 10));
    world.submit_message(brief("b", 11));
    world.advance(seconds(10) - Duration::from_millis(1));
    assert_eq!(world.hub.waiting(), 2);
    world.log();
    world.advance(Duration::from_millis(1));
    assert_eq!(world.log(), ["expired a"]);
    world.log_in();
    assert_eq!(world.received, ["1:b"]);
}

#[test]
fn a_message_waits_for_four_weeks_if_it_does_not_say() {
    let mut world = World::new();
    world.submit("a");
    world.log();
    world.advance(seconds(4 * 7 * 86_400 - 1));
    assert!(world.log().is_empty());
    world.advance(seconds(1));
    assert_eq!(world.log(), ["expired a"]);
}

#[test]
fn so_many_messages_of_a_sender_are_kept_and_no_more() {
    let mut world = World::with(|config| config.upstream_messages = 2);
    world.log_in();
    world.submit_all(&["a", "b"]);
    let sender = SENDER.parse().unwrap();
    let one_more = Upstream::new("phone-1", "c");
    let refused = world.hub.submit(world.now, &sender, one_more);
    assert!(matches!(refused, Err(SubmitError::Full(m)) if m.message_id().as_str() == "c"));
    world.submit_for(OTHER, Upstream::new("phone-1", "c"));
    world.ack(1, "a");
    world.submit("c");
}

#[test]
fn so_many_bytes_of_a_sender_are_kept_and_no_more() {
    let sized = |id: &str, size: usize| {
        Upstream::new("phone-1", id).with_data(Data::new().with("k", "x".repeat(size)))
    };
    let mut world = World::with(|config| config.upstream_bytes = 2_000);
    world.log_in();
    world.submit_message(sized("a", 1_500));
    let sender = SENDER.parse().unwrap();
    let refused = world.hub.submit(world.now, &sender, sized("b", 1_500));
    assert!(matches!(refused, Err(SubmitError::Full(_))));
    world.submit_message(sized("c", 100));
    world.ack(1, "a");
    world.submit_message(sized("b", 1_500));
}

#[test]
fn a_devices_message_of_an_id_that_is_under_way_is_not_taken() {
    let mut world = World::new();
    world.log_in();
    world.submit("a");
    let sender = SENDER.parse().unwrap();
    let again = Upstream::new("phone-1", "a");
    let refused = world.hub.submit(world.now, &sender, again);
    assert!(matches!(refused, Err(SubmitError::UnderWay(_))));
    world.ack(1, "a");
    world.submit("a");
    assert_eq!(world.received, ["1:a", "1:a"], "acked, so it is a new one");
}

#[test]
fn two_devices_may_use_one_id() {
    let mut world = World::new();
    world.log_in();
    world.submit_message(Upstream::new("phone-1", "a"));
    world.submit_message(Upstream::new("phone-2", "a"));
    assert_eq!(world.in_hand(), ["1:a", "1:a"]);
    world.ack(1, "a");
    assert_eq!(world.hub.unacked(), 1);
    world.cut(1);
    world.log_in();
    assert_eq!(world.in_hand(), ["2:a"], "the one without an ack");
    world.ack_all();
    assert_eq!(world.hub.unacked(), 0);
}

#[test]
fn messages_of_one_sender_never_go_to_another() {
    let mut world = World::new();
    world.log_in();
    world.log_in_as(OTHER);
    world.submit_for(OTHER, Upstream::new("phone-1", "a"));
    world.submit_for(SENDER, Upstream::new("phone-1", "a"));
    assert_eq!(world.received, ["2:a", "1:a"]);
    world.cut(2);
    world.cut(1);
    assert_eq!(world.hub.waiting(), 2);
    world.log_in_as(OTHER);
    assert_eq!(world.in_hand(), ["3:a"]);
    world.ack(3, "a");
    world.log_in();
    assert_eq!(world.in_hand(), ["4:a"]);
}

#[test]
fn what_has_had_its_time_is_not_sent_although_nobody_has_looked_since() {
    let mut world = World::with(|config| config.limits.upstream_window = 1);
    world.log_in();
    world.log_in();
    let brief = |id: &str| Upstream::new("phone-1", id).with_time_to_live(5);
    for id in ["a", "b", "c"] {
        world.submit_message(brief(id));
    }
    world.log();
    world.now = world.now + seconds(6);
    world.ack(1, "a");
    assert_eq!(world.log(), ["acked 1:a", "expired c"]);
}
