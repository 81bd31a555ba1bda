//! The end: what is under way is finished, until the deadline.

use ccs_proto::message::Downstream;
use ccs_proto::session::{Command, SubmitError, Verdict};

use crate::world::{Dial, World, seconds};

#[test]
fn what_is_under_way_is_finished_and_nothing_new_is_taken() {
    let mut world = World::bound();
    world.submit("m-1");
    world.device_sends(1, "phone-1", "u-1");
    world.log();
    let deadline = world.now + seconds(30);
    world.session.shutdown(world.now, deadline);
    world.device_sends(1, "phone-2", "u-2");
    assert_eq!(world.in_hand(), ["u-1#1"], "no new delivery");
    let late = Downstream::to("T");
    let refused = world.session.submit(world.now, late.clone());
    assert_eq!(refused, Err(SubmitError::ShuttingDown(Box::new(late))));
    world.ack("m-1");
    assert!(!world.session.is_ended());
    world.handle("u-1", Verdict::Ack);
    world.advance(seconds(1));
    assert_eq!(world.acks(), ["1:u-1"]);
    assert_eq!(
        world.log(),
        ["acked m-1", "disconnected 1 unknown 0", "Ended"]
    );
    assert!(world.session.is_ended());
    assert_eq!(world.session.poll_timeout(), None);
}

#[test]
fn at_the_deadline_what_is_left_is_given_back_told_apart() {
    let mut world = World::bound_with(|_, client| client.window = 1);
    world.submit("m-1");
    world.submit("m-2");
    world.session.shutdown(world.now, world.now + seconds(30));
    world.advance(seconds(29));
    assert!(!world.session.is_ended());
    world.advance(seconds(1));
    world.drive();
    assert!(world.session.is_ended());
    assert!(world.links.is_empty(), "closed");
    assert_eq!(world.log().last().map(String::as_str), Some("Ended"));
    let left = world.session.finish().messages;
    let left: Vec<_> = left
        .iter()
        .map(|l| (l.message.id().as_str(), l.unknown))
        .collect();
    assert_eq!(left, [("m-1", true), ("m-2", false)]);
}

#[test]
fn a_session_that_is_shut_down_does_not_dial_for_nothing() {
    let mut world = World::new(|_, _| {});
    world.dials.push_back(Dial::Never);
    world.drive();
    world.session.shutdown(world.now, world.now + seconds(30));
    world.drive();
    assert!(world.session.is_ended());
    assert_eq!(world.cancelled.len(), 1);
    world.advance(seconds(100));
    assert_eq!(world.dialled.len(), 1);
}

#[test]
fn what_is_queued_is_still_sent_over_a_new_connection() {
    let mut world = World::bound();
    world.submit("m-1");
    world.cut(1);
    world.session.shutdown(world.now, world.now + seconds(30));
    world.advance(seconds(1));
    assert_eq!(world.unanswered(), ["2:m-1"]);
    world.ack("m-1");
    world.advance(seconds(1));
    assert!(world.session.is_ended());
    assert!(!matches!(
        world.session.poll_command(),
        Some(Command::Dial(_))
    ));
}

#[test]
fn what_no_handler_can_finish_any_more_is_left_and_not_a_dead_letter() {
    let mut world = World::bound();
    world.device_sends(1, "phone-1", "u-1");
    for _ in 1..=4 {
        world.handle("u-1", Verdict::Retry);
        world.advance(seconds(8));
    }
    assert_eq!(world.in_hand(), ["u-1#5"]);
    world.session.shutdown(world.now, world.now + seconds(30));
    world.handle("u-1", Verdict::Retry);
    world.advance(seconds(1));
    assert!(world.session.is_ended(), "nothing is waited for");
    assert!(world.acks().is_empty(), "it comes again");
    assert_eq!(world.session.dead_letters().count(), 0);
}
