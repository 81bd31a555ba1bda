//! Deadlines: each is told exactly, asking too early or too late does no harm, and none is left when all is done.

use std::time::Duration;

use ccs_proto::Time;
use ccs_proto::hub::Reach;
use ccs_proto::message::{Downstream, Upstream};
use ccs_tests::pair::SENDER;

use crate::world::{World, seconds};

const MILLISECOND: Duration = Duration::from_millis(1);

fn at(since_start: Duration) -> Option<Time> {
    Some(Time::ZERO + since_start)
}

#[test]
fn a_hub_without_anything_waits_for_nothing() {
    assert_eq!(World::new().hub.poll_timeout(), None);
}

#[test]
fn each_deadline_is_told_as_it_is() {
    let mut world = World::new();
    world.connect_as(SENDER);
    assert_eq!(
        world.hub.poll_timeout(),
        at(Duration::from_millis(250)),
        "greeting"
    );
    world.advance(Duration::from_millis(250));
    assert_eq!(world.hub.poll_timeout(), None);
    world.advance(Duration::from_millis(750));
    world.submit("a");
    assert_eq!(world.hub.poll_timeout(), at(seconds(61)), "send again");
    world.set_reach("phone-1", Reach::Offline);
    let brief = |n| Downstream::to("phone-1").time_to_live(seconds(n));
    world.send_message(1, "m", brief(30));
    assert_eq!(
        world.hub.poll_timeout(),
        at(seconds(31)),
        "time to live of a message to a device"
    );
    world.cut(1);
    world.submit_message(Upstream::new("phone-1", "b").with_time_to_live(20));
    assert_eq!(
        world.hub.poll_timeout(),
        at(seconds(21)),
        "time to live of one from a device"
    );
}

#[test]
fn asking_too_early_changes_nothing() {
    let mut world = World::new();
    world.submit_message(Upstream::new("phone-1", "a").with_time_to_live(10));
    world.log();
    for _ in 0..3 {
        world
            .hub
            .handle_timeout(Time::ZERO + (seconds(10) - MILLISECOND));
        world.drive();
        assert!(world.log().is_empty());
        assert_eq!(world.hub.poll_timeout(), at(seconds(10)));
    }
}

#[test]
fn asking_late_does_all_that_is_due_in_order_and_once() {
    let mut world = World::new();
    for (id, seconds) in [("c", 30), ("a", 10), ("b", 20)] {
        world.submit_message(Upstream::new("phone-1", id).with_time_to_live(seconds));
    }
    world.log();
    let late = Time::ZERO + seconds(1_000);
    world.hub.handle_timeout(late);
    world.hub.handle_timeout(late);
    world.drive();
    assert_eq!(world.log(), ["expired a", "expired b", "expired c"]);
    assert_eq!(world.hub.poll_timeout(), None);
}

#[test]
fn a_late_call_sends_again_once_and_not_for_every_missed_time() {
    let mut world = World::new();
    world.log_in();
    world.submit("a");
    world.log();
    world.now = world.now + seconds(600);
    world.hub.handle_timeout(world.now);
    world.drive();
    assert_eq!(world.log(), ["sent again 1:a"]);
    let next = (world.now + seconds(60)).since_origin();
    assert_eq!(world.hub.poll_timeout(), at(next));
}

#[test]
fn a_clock_that_goes_back_is_taken_to_stand_still() {
    let mut world = World::new();
    world.advance(seconds(100));
    world.hub.handle_timeout(world.now);
    world.now = Time::ZERO;
    world.submit_message(Upstream::new("phone-1", "a").with_time_to_live(10));
    assert_eq!(world.hub.poll_timeout(), at(seconds(110)));
}

#[test]
fn no_time_before_a_message_is_sent_again_does_not_hang() {
    let mut world = World::with(|config| config.send_again_after = Some(Duration::ZERO));
    world.log_in();
    world.submit("a");
    assert_eq!(world.hub.unacked(), 1);
}

#[test]
fn nothing_is_left_to_wait_for_when_all_is_done() {
    let mut world = World::new();
    world.log_in();
    world.log_in();
    world.devices_answer = false;
    world.subscribers = vec!["phone-1", "phone-2"];
    for n in 0..10 {
        world.submit(&format!("u-{n}"));
        let message = Downstream::to("/topics/news").time_to_live(seconds(300));
        world.send_message(1 + n % 2, &format!("m-{n}"), message);
    }
    for n in 0..10 {
        world.answer(&format!("phone-1:m-{n}"), n % 2 == 0);
        world.answer(&format!("phone-2:m-{n}"), true);
    }
    world.advance(seconds(70));
    world.cut(2);
    world.log_in();
    world.ack_all();
    assert!(world.hub.poll_timeout().is_some(), "five wait for phone-1");
    world.devices_answer = true;
    world.set_reach("phone-1", Reach::Online);
    assert_eq!(world.hub.poll_timeout(), None);
    assert_eq!((world.hub.unacked(), world.hub.kept()), (0, 0));
    assert!(world.kept.is_empty());
    assert!(world.faults.is_empty(), "{:?}", world.faults);
}
