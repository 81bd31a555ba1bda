//! What was sent to an app server and not acked goes out again.

use std::time::Duration;

use ccs_proto::message::Upstream;
use ccs_tests::pair::SENDER;

use crate::world::{World, seconds};

fn brief(id: &str, time_to_live: u64) -> Upstream {
    Upstream::new("phone-1", id).with_time_to_live(time_to_live)
}

#[test]
fn what_a_lost_connection_leaves_goes_out_at_once_on_another_before_newer_ones() {
    let mut world = World::with(|config| config.limits.upstream_window = 3);
    world.log_in();
    world.submit_all(&["a", "b", "c"]);
    world.ack(1, "b");
    world.log_in();
    world.submit_all(&["d", "e", "f", "g", "h"]);
    world.received.clear();
    let on_one: Vec<_> = world
        .in_hand()
        .iter()
        .filter(|w| w.starts_with("1:"))
        .cloned()
        .collect();
    assert_eq!(on_one, ["1:a", "1:c", "1:e"]);
    world.cut(1);
    assert!(world.received.is_empty(), "the other has d, f and g");
    world.ack_all();
    assert_eq!(world.received, ["2:a", "2:c", "2:e", "2:h"]);
}

#[test]
fn what_a_lost_connection_leaves_waits_for_the_next_login_and_its_greeting() {
    let mut world = World::new();
    world.log_in();
    world.submit_all(&["a", "b"]);
    world.cut(1);
    world.submit("c");
    assert_eq!(world.hub.waiting(), 3);
    world.connect_as(SENDER);
    world.advance(Duration::from_millis(249));
    assert_eq!(world.received, ["1:a", "1:b"], "nothing yet");
    world.advance(Duration::from_millis(1));
    assert_eq!(world.received[2..], ["2:a", "2:b", "2:c"]);
    world.ack_all();
    assert_eq!(world.hub.unacked(), 0);
}

#[test]
fn a_message_without_an_ack_goes_out_on_another_connection_after_a_while() {
    let mut world = World::new();
    world.log_in();
    world.log_in();
    world.submit("a");
    world.advance(seconds(60) - Duration::from_millis(1));
    assert_eq!(world.received, ["1:a"]);
    world.log();
    world.advance(Duration::from_millis(1));
    assert_eq!(world.received, ["1:a", "2:a"]);
    assert_eq!(world.log(), ["sent again 2:a"]);
    world.ack(2, "a");
    assert_eq!(world.log(), ["acked 2:a"]);
    world.ack(1, "a");
    assert!(world.log().is_empty(), "it is acked once");
    assert_eq!(world.hub.unacked(), 0);
    assert!(world.faults.is_empty());
}

#[test]
fn the_place_of_a_message_that_was_acked_elsewhere_is_free_when_it_is_acked_here_too() {
    let mut world = World::with(|config| config.limits.upstream_window = 1);
    world.log_in();
    world.log_in();
    world.submit("a");
    world.advance(seconds(60));
    world.ack(2, "a");
    world.submit_all(&["b", "c"]);
    assert_eq!(world.in_hand(), ["1:a", "2:b"], "the window of 1 is full");
    world.ack(1, "a");
    assert_eq!(world.in_hand(), ["2:b", "1:c"]);
}

#[test]
fn without_another_connection_it_goes_out_once_more_on_its_own() {
    let mut world = World::new();
    world.log_in();
    world.submit("a");
    world.log();
    world.advance(seconds(120));
    assert_eq!(world.received, ["1:a", "1:a", "1:a"]);
    assert_eq!(world.log(), ["sent again 1:a", "sent again 1:a"]);
    world.ack_all();
    assert_eq!(world.log(), ["acked 1:a"]);
    assert!(world.faults.is_empty(), "each copy may be acked");
    world.advance(seconds(120));
    assert_eq!(world.received.len(), 3);
}

#[test]
fn a_connection_that_drains_gets_no_copy_but_the_next_one_does() {
    let mut world = World::new();
    world.server.drain_timeout = seconds(300);
    world.log_in();
    world.submit("a");
    world.drain(1);
    world.advance(seconds(90));
    assert_eq!(world.received, ["1:a"]);
    world.log_in();
    world.advance(seconds(60));
    assert_eq!(world.received, ["1:a", "2:a"]);
}

#[test]
fn without_a_time_to_send_again_only_the_end_of_the_connection_counts() {
    let mut world = World::with(|config| config.send_again_after = None);
    world.log_in();
    world.log_in();
    world.submit("a");
    world.advance(seconds(3_600));
    assert_eq!(world.received, ["1:a"]);
    world.cut(1);
    assert_eq!(world.received, ["1:a", "2:a"]);
}

#[test]
fn a_message_in_flight_does_not_expire_and_is_not_sent_again_after_its_time() {
    let mut world = World::new();
    world.log_in();
    world.submit_message(brief("a", 10));
    world.log();
    world.advance(seconds(300));
    assert_eq!(world.received, ["1:a"]);
    assert!(world.log().is_empty());
    world.ack(1, "a");
    assert_eq!(world.log(), ["acked 1:a"]);
}

#[test]
fn a_message_in_flight_after_its_time_is_over_with_its_connection() {
    let mut world = World::new();
    world.log_in();
    world.submit_message(brief("a", 10));
    world.advance(seconds(11));
    world.log();
    world.cut(1);
    assert_eq!(world.log(), ["expired a"]);
    assert_eq!(world.hub.unacked(), 0);
}

#[test]
fn an_id_that_is_used_again_does_not_go_where_the_one_before_it_is_still_un_acked() {
    let mut world = World::new();
    world.log_in();
    world.log_in();
    world.submit("a");
    world.advance(seconds(60));
    world.ack(2, "a");
    world.submit_all(&["a", "b"]);
    assert_eq!(world.in_hand(), ["1:a", "2:a", "1:b"]);
    world.ack(1, "a");
    assert_eq!(world.hub.unacked(), 2, "an ack of the old one");
    world.ack_all();
    assert_eq!(world.hub.unacked(), 0);
}
