//! Nothing is accepted and nothing is acked before it is stored.

use ccs_proto::message::NackCode;
use ccs_proto::session::{Record, SessionEvent, Verdict};
use std::time::Duration;

use crate::world::{World, seconds};

fn slow() -> World {
    let mut world = World::bound();
    world.stores = false;
    world
}

#[test]
fn a_message_is_accepted_and_sent_when_it_is_stored() {
    let mut world = slow();
    world.submit("m-1");
    world.advance(seconds(10));
    assert_eq!(world.log(), [""; 0]);
    assert!(world.received.is_empty());
    let (id, record) = world.asked.remove(0);
    assert!(matches!(record, Record::Downstream(m) if m.id().as_str() == "m-1"));
    world.session.stored(world.now, id);
    world.drive();
    assert_eq!(world.log(), ["accepted m-1"]);
    assert_eq!(world.unanswered(), ["1:m-1"]);
    world.session.stored(world.now, id);
    world.drive();
    assert_eq!(world.log(), [""; 0], "a second answer says nothing");
}

#[test]
fn what_cannot_be_stored_is_not_accepted_and_comes_back() {
    let mut world = slow();
    world.submit("m-1");
    let (id, _) = world.asked.remove(0);
    world.session.refused(world.now, id);
    world.drive();
    assert!(
        matches!(&world.events[..], [SessionEvent::NotStored { message }] if message.id().as_str() == "m-1")
    );
    world.advance(seconds(100));
    assert!(world.received.is_empty() && world.asked.is_empty());
    assert_eq!(world.session.queued(), 0);
}

#[test]
fn an_upstream_message_is_acked_when_that_it_was_handled_is_stored() {
    let mut world = slow();
    world.device_sends(1, "phone-1", "u-1");
    world.device_sends(1, "phone-1", "u-2");
    world.handle("u-1", Verdict::Ack);
    world.advance(seconds(10));
    assert!(world.acks().is_empty());
    for _ in 0..5 {
        let (id, record) = world.asked.remove(0);
        assert!(matches!(record, Record::Handled(key) if key.message_id() == "u-1"));
        world.session.refused(world.now, id);
        world.advance(seconds(60));
        assert!(world.acks().is_empty());
        assert!(world.in_hand().is_empty(), "handled once, and u-2 waits");
    }
    let (id, _) = world.asked.remove(0);
    world.session.stored(world.now, id);
    world.drive();
    assert_eq!(world.acks(), ["1:u-1"]);
    assert_eq!(world.in_hand(), ["u-2#1"]);
}

#[test]
fn a_dead_letter_is_stored_before_its_ack() {
    let mut world = slow();
    world.device_sends(1, "phone-1", "u-1");
    world.handle("u-1", Verdict::Dead);
    assert!(world.acks().is_empty());
    assert_eq!(world.session.dead_letters().count(), 0);
    let (id, record) = world.asked.remove(0);
    assert!(matches!(record, Record::DeadLetter(_)));
    world.session.stored(world.now, id);
    world.drive();
    assert_eq!(world.acks(), ["1:u-1"]);
    assert_eq!(world.session.dead_letters().count(), 1);
}

#[test]
fn what_is_settled_is_forgotten() {
    let mut world = World::bound();
    world.submit("m-1");
    world.ack("m-1");
    world.submit("m-2");
    world.nack("m-2", &NackCode::InvalidJson);
    assert_eq!(world.forgotten.len(), 2);
}

#[test]
fn a_session_that_starts_again_sends_what_was_not_settled_and_knows_what_was_handled() {
    let mut before = slow();
    before.submit("m-1");
    before.device_sends(1, "phone-1", "u-1");
    before.handle("u-1", Verdict::Ack);
    let records = std::mem::take(&mut before.asked);
    drop(before);

    let mut world = World::new(|config, _| config.id_prefix = "q".to_owned());
    for (_, record) in records {
        world.session.restore(world.now, Duration::ZERO, record);
    }
    world.drive();
    assert_eq!(world.unanswered(), ["1:m-1"]);
    let words = "Message with the same id has been received before";
    world.nack_with("m-1", &NackCode::InvalidJson, words);
    assert_eq!(
        world.outcomes(),
        ["acked m-1"],
        "it may have been sent before"
    );
    world.device_sends(1, "phone-1", "u-1");
    assert!(world.in_hand().is_empty());
    assert_eq!(world.acks(), ["1:u-1"]);
}

#[test]
fn the_age_of_a_restored_message_counts_for_its_time_to_live() {
    let mut before = slow();
    let message = ccs_proto::message::Downstream::to("T").id("m-1");
    let message = message.time_to_live(seconds(60));
    before.session.submit(before.now, message).unwrap();
    before.drive();
    let (_, record) = before.asked.remove(0);
    let mut world = World::new(|_, _| {});
    world.session.restore(world.now, seconds(60), record);
    world.drive();
    assert_eq!(world.outcomes(), ["expired m-1"]);
}
