//! What devices send: acked after it was handled, where it came from, and handled once.

use ccs_proto::message::{Receipt, Upstream};
use ccs_proto::session::{DeadMessage, DeadReason, Session, SessionConfig, Verdict};

use crate::world::{World, seconds};

#[test]
fn a_message_is_acked_after_it_was_handled() {
    let mut world = World::bound();
    world.device_sends(1, "phone-1", "u-1");
    world.advance(seconds(10));
    assert_eq!(world.in_hand(), ["u-1#1"]);
    assert!(world.acks().is_empty());
    world.handle("u-1", Verdict::Ack);
    assert_eq!(world.acks(), ["1:u-1"]);
    assert_eq!(world.session.undone(), 0);
}

#[test]
fn a_receipt_is_handled_and_acked_like_a_message_and_waits_for_no_other() {
    let mut world = World::bound();
    for id in ["m-1", "m-2"] {
        let receipt = Receipt::new(&id.into(), "phone-1", 0);
        world.server(1).send_receipt(receipt).unwrap();
    }
    world.drive();
    assert_eq!(world.in_hand(), ["dr2:m-1#1", "dr2:m-2#1"]);
    world.handle("dr2:m-2", Verdict::Ack);
    assert_eq!(world.acks(), ["1:dr2:m-2"]);
}

#[test]
fn messages_of_a_device_come_in_order_one_at_a_time_and_other_devices_do_not_wait() {
    let mut world = World::bound();
    world.device_sends(1, "phone-1", "a-1");
    world.device_sends(1, "phone-1", "a-2");
    world.device_sends(1, "phone-2", "b-1");
    assert_eq!(world.in_hand(), ["a-1#1", "b-1#1"]);
    world.handle("a-1", Verdict::Retry);
    world.handle("b-1", Verdict::Ack);
    world.device_sends(1, "phone-2", "b-2");
    assert_eq!(world.in_hand(), ["b-2#1"], "a-2 waits for a-1");
    world.advance(seconds(1));
    assert_eq!(world.in_hand(), ["b-2#1", "a-1#2"]);
    world.handle("a-1", Verdict::Ack);
    assert_eq!(world.in_hand(), ["b-2#1", "a-2#1"]);
}

#[test]
fn after_five_tries_a_message_is_a_dead_letter_and_acked() {
    let mut world = World::bound();
    world.device_sends(1, "phone-1", "u-1");
    world.device_sends(1, "phone-1", "u-2");
    for attempt in 1..=4 {
        world.log();
        assert_eq!(world.in_hand(), [format!("u-1#{attempt}")]);
        world.handle("u-1", Verdict::Retry);
        assert_eq!(world.log(), [format!("handler retrying u-1 {attempt}")]);
        assert!(world.in_hand().is_empty(), "after a back-off");
        world.advance(seconds(8));
        assert!(world.acks().is_empty());
    }
    world.handle("u-1", Verdict::Retry);
    assert_eq!(world.acks(), ["1:u-1"]);
    assert_eq!(world.in_hand(), ["u-2#1"]);
    let letter = world.session.dead_letters().next().unwrap();
    assert_eq!(letter.reason, DeadReason::Tries { tries: 5 });
    assert!(
        matches!(&letter.message, DeadMessage::Received(r) if r.message_id().as_str() == "u-1")
    );
}

#[test]
fn a_handler_can_give_a_message_up_at_once() {
    let mut world = World::bound();
    world.device_sends(1, "phone-1", "u-1");
    world.handle("u-1", Verdict::Dead);
    assert_eq!(world.acks(), ["1:u-1"]);
    let letter = world.session.dead_letters().next().unwrap();
    assert_eq!(letter.reason, DeadReason::Handler);
}

#[test]
fn a_copy_of_a_handled_message_is_acked_and_not_handled_again() {
    let mut world = World::bound();
    world.device_sends(1, "phone-1", "u-1");
    let delivery = world.deliveries.remove(0);
    world.cut(1);
    world
        .session
        .handled(world.now, delivery.token, Verdict::Ack)
        .unwrap();
    world.advance(seconds(1));
    assert!(
        world.acks().is_empty(),
        "not acked by another connection than its own"
    );
    world.device_sends(2, "phone-1", "u-1");
    assert!(world.in_hand().is_empty());
    assert_eq!(world.acks(), ["2:u-1"]);
    world.device_sends(2, "phone-2", "u-1");
    assert_eq!(
        world.in_hand(),
        ["u-1#1"],
        "the id of another device is another message"
    );
}

#[test]
fn a_copy_that_comes_while_the_first_is_handled_joins_it_and_is_acked_on_the_newest() {
    let mut world = World::bound();
    world.device_sends(1, "phone-1", "u-1");
    world.cut(1);
    world.advance(seconds(1));
    world.device_sends(2, "phone-1", "u-1");
    assert_eq!(world.in_hand(), ["u-1#1"], "one handler");
    world.handle("u-1", Verdict::Ack);
    assert_eq!(world.acks(), ["2:u-1"]);
}

#[test]
fn a_copy_on_the_same_connection_is_acked_once() {
    let mut world = World::bound();
    let upstream = "<message><gcm xmlns=\"google:mobile:data\">{\"from\":\"phone-1\",\
        \"message_id\":\"u-1\",\"data\":{}}</gcm></message>";
    let now = world.now;
    world.device_sends(1, "phone-1", "u-1");
    world
        .session
        .receive(now, ccs_proto::ConnectionId(1), upstream.as_bytes());
    world.drive();
    assert_eq!(world.in_hand(), ["u-1#1"]);
    world.handle("u-1", Verdict::Ack);
    assert_eq!(world.acks(), ["1:u-1"]);
    world.log();
    world.advance(seconds(300));
    assert!(!world.log().iter().any(|words| words.starts_with("overdue")));
}

#[test]
fn tries_count_on_over_reconnects() {
    let mut world = World::bound();
    world.device_sends(1, "phone-1", "u-1");
    for connection in 1..=4 {
        world.handle("u-1", Verdict::Retry);
        world.cut(connection);
        while world.links.is_empty() {
            world.advance(seconds(1));
        }
        world.drive();
        world.device_sends(connection + 1, "phone-1", "u-1");
        world.advance(seconds(10));
    }
    assert_eq!(world.in_hand(), ["u-1#5"]);
    world.handle("u-1", Verdict::Retry);
    assert_eq!(world.acks(), ["5:u-1"]);
}

#[test]
fn what_is_remembered_is_bounded_and_what_is_forgotten_is_told() {
    let mut world = World::bound_with(|config, _| config.remembered_messages = 2);
    for id in ["u-1", "u-2", "u-3"] {
        world.device_sends(1, "phone-1", id);
        world.handle(id, Verdict::Ack);
    }
    assert_eq!(world.session.remembered(), 2);
    assert_eq!(world.forgotten.len(), 1);
}

#[test]
fn a_handler_that_does_not_keep_up_stops_reading_and_answers_still_come() {
    let mut world = World::bound_with(|config, _| config.upstream_messages = 3);
    for n in 0..10 {
        world.device_sends(1, &format!("phone-{n}"), "u");
    }
    assert_eq!(world.session.undone(), 3);
    world.submit("m-1");
    world.ack("m-1");
    assert_eq!(world.outcomes(), ["acked m-1"]);
    for n in 0..10 {
        assert_eq!(world.in_hand().len(), 3.min(10 - n));
        world.handle("u", Verdict::Ack);
    }
    assert_eq!(world.acks().len(), 10);
}

#[test]
fn a_token_of_another_session_comes_back() {
    let mut world = World::bound();
    world.device_sends(1, "phone-1", "u-1");
    let token = world.deliveries.remove(0).token;
    let client = std::sync::Arc::new(ccs_tests::pair::client_config());
    let mut other = Session::new(SessionConfig::new(client, "q", 2), world.now);
    let token = other.handled(world.now, token, Verdict::Ack).unwrap_err();
    world
        .session
        .handled(world.now, token, Verdict::Ack)
        .unwrap();
    world.drive();
    assert_eq!(world.acks(), ["1:u-1"]);
}

#[test]
fn a_whole_window_of_upstream_messages_in_any_order_of_handling() {
    let mut world = World::bound();
    for n in 0..100 {
        let message = Upstream::new(format!("phone-{n}"), format!("u-{n}"));
        world.server(1).send(message).unwrap();
    }
    world.drive();
    for n in (0..100).rev() {
        world.handle(&format!("u-{n}"), Verdict::Ack);
    }
    assert_eq!(world.acks().len(), 100);
    assert_eq!(world.acks()[0], "1:u-99");
}

/// Found by the simulator (seed 3204): of two copies on two connections only the later one was acked, and where that
/// had come late by a connection that was already gone at the endpoint, none was.
#[test]
fn each_copy_is_acked_on_the_connection_by_which_it_came() {
    let mut world = World::bound();
    world.device_sends(1, "phone-1", "u-1");
    world.drain(1);
    world.advance(seconds(1));
    world.device_sends(2, "phone-1", "u-1");
    assert_eq!(world.in_hand(), ["u-1#1"], "the copy joins the first one");
    world.handle("u-1", Verdict::Ack);
    assert_eq!(world.acks(), ["1:u-1", "2:u-1"]);
}
