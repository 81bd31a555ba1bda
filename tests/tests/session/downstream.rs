//! Messages to devices: retries by code, unknown outcomes, times to live, bounds.

use std::time::Duration;

use ccs_proto::message::{Downstream, MessageId, NackCode};
use ccs_proto::session::{DeadMessage, SessionEvent, SubmitError};

use crate::world::{Dial, World, seconds};

const DUPLICATE: &str = "Message with the same id has been received before";

#[test]
fn an_acked_message_is_settled_once_and_its_id_is_free_again() {
    let mut world = World::bound();
    world.submit("m-1");
    assert_eq!(world.log(), ["accepted m-1"]);
    world.ack("m-1");
    assert_eq!(world.log(), ["acked m-1"]);
    assert_eq!(world.session.queued(), 0);
    world.submit("m-2");
    assert_eq!(world.unanswered(), ["1:m-2"]);
}

#[test]
fn a_message_without_an_id_gets_one_of_its_own() {
    let mut world = World::bound();
    let mut submit = || {
        world
            .session
            .submit(world.now, Downstream::to("T"))
            .unwrap()
    };
    assert_eq!([submit().as_str(), submit().as_str()], ["p-1", "p-2"]);
}

#[test]
fn what_is_refused_for_good_is_not_sent_again() {
    for code in [
        NackCode::InvalidJson,
        NackCode::BadRegistration,
        NackCode::DeviceUnregistered,
        NackCode::SenderIdMismatch,
        NackCode::BadAck,
        NackCode::InvalidApnsCredential,
        NackCode::InvalidTtl,
        NackCode::JsonTypeError,
    ] {
        let mut world = World::bound();
        world.submit("m-1");
        world.nack("m-1", &code);
        let log = world.log();
        let refused = format!("refused m-1: message m-1 was refused: {code}");
        assert_eq!(log.last(), Some(&refused));
        let gone = log.contains(&format!("delete phone-1 {code}"));
        assert_eq!(gone, code.is_token_dead(), "{code}");
        world.advance(seconds(3_600));
        assert!(world.received.is_empty(), "{code}");
        assert_eq!(world.session.queued(), 0);
    }
}

#[test]
fn what_is_refused_for_a_while_goes_out_again_with_its_id_and_dies_in_the_end() {
    for code in [
        NackCode::ServiceUnavailable,
        NackCode::InternalServerError,
        NackCode::Other("SOMETHING_NEW".into()),
    ] {
        let mut world = World::bound();
        world.submit("m-1");
        let mut waits = Vec::new();
        for attempt in 1..10 {
            let since = world.now;
            world.nack("m-1", &code);
            assert_eq!(
                world.log().last(),
                Some(&format!("retrying m-1 {attempt} {code}"))
            );
            while world.received.is_empty() {
                world.advance(Duration::from_millis(10));
            }
            waits.push(world.now - since);
            assert_eq!(world.unanswered(), ["1:m-1"]);
        }
        for (failed, wait) in waits.iter().enumerate() {
            let ceiling = seconds(1 << failed).min(seconds(60)) + Duration::from_millis(10);
            assert!(*wait <= ceiling, "{waits:?}");
        }
        assert!(waits.iter().any(|wait| *wait > seconds(3)), "{waits:?}");
        world.nack("m-1", &code);
        let dead = format!("dead m-1: refused 10 times, the last time with {code}");
        assert_eq!(world.log(), ["dead letter", &dead]);
        let letter = world.session.dead_letters().next().unwrap();
        assert!(matches!(&letter.message, DeadMessage::Downstream(m) if m.id().as_str() == "m-1"));
        world.advance(seconds(3_600));
        assert!(world.received.is_empty());
    }
}

#[test]
fn a_message_that_waits_does_not_hold_up_the_others() {
    let mut world = World::bound_with(|config, _| config.seed = 3);
    world.submit("m-1");
    world.nack("m-1", &NackCode::ServiceUnavailable);
    world.submit("m-2");
    assert_eq!(world.unanswered(), ["1:m-2"]);
}

#[test]
fn a_retry_stays_on_its_connection_while_there_are_others() {
    let mut world = World::bound_with(|config, client| {
        config.connections = 2;
        client.window = 1;
    });
    world.submit("m-1");
    world.submit("m-2");
    assert_eq!(world.unanswered(), ["1:m-1", "2:m-2"]);
    world.nack("m-1", &NackCode::ServiceUnavailable);
    world.ack("m-2");
    world.submit("m-3");
    assert_eq!(world.unanswered(), ["1:m-3"]);
    world.advance(seconds(2));
    assert_eq!(
        world.unanswered(),
        ["1:m-3"],
        "the other one is free, and not taken"
    );
    world.ack("m-3");
    assert_eq!(world.unanswered(), ["1:m-1"]);
}

#[test]
fn a_target_that_gets_too_much_is_slowed_and_no_other() {
    for code in [
        NackCode::DeviceMessageRateExceeded,
        NackCode::TopicsMessageRateExceeded,
        NackCode::QuotaExceeded,
    ] {
        let mut world = World::bound();
        world.submit_to("busy", "b-1");
        world.nack("b-1", &code);
        world.submit_to("busy", "b-2");
        world.submit_to("calm", "c-1");
        assert_eq!(world.unanswered(), ["1:c-1"], "{code}");
        world.advance(seconds(29));
        assert_eq!(world.unanswered(), ["1:c-1"], "half a minute at least");
        world.advance(seconds(31));
        assert_eq!(
            world.unanswered(),
            ["1:c-1", "1:b-1"],
            "one goes as a probe"
        );
        world.ack("b-1");
        world.advance(seconds(60));
        assert_eq!(world.unanswered(), ["1:c-1", "1:b-2"]);
    }
}

#[test]
fn what_was_in_flight_on_a_lost_connection_goes_out_again_before_newer_messages() {
    let mut world = World::bound_with(|_, client| client.window = 2);
    for id in ["m-1", "m-2", "m-3"] {
        world.submit(id);
    }
    assert_eq!(world.unanswered(), ["1:m-1", "1:m-2"]);
    world.log();
    world.cut(1);
    world.submit("m-4");
    assert_eq!(
        world.log(),
        ["disconnected 1 unknown 2", "reconnecting 1", "accepted m-4"]
    );
    world.advance(seconds(1));
    assert_eq!(world.unanswered(), ["2:m-1", "2:m-2"]);
    world.ack_all();
    let mut outcomes = world.outcomes();
    outcomes.sort();
    assert_eq!(
        outcomes,
        ["acked m-1", "acked m-2", "acked m-3", "acked m-4"]
    );
}

#[test]
fn a_repeated_id_means_acked_if_the_outcome_was_unknown_and_only_then() {
    let mut world = World::bound();
    world.submit("m-1");
    world.nack_with("m-1", &NackCode::InvalidJson, DUPLICATE);
    assert!(world.outcomes()[0].starts_with("refused m-1"));
    world.submit("m-2");
    world.cut(1);
    world.advance(seconds(1));
    world.nack_with("m-2", &NackCode::InvalidJson, DUPLICATE);
    assert_eq!(world.outcomes(), ["acked m-2"]);
}

#[test]
fn a_time_to_live_that_ran_out_is_told_and_nothing_is_sent() {
    let mut world = World::bound();
    let message = |id: &str| Downstream::to("T").id(id).time_to_live(seconds(30));
    world.session.submit(world.now, message("m-1")).unwrap();
    world.drive();
    world.dials.extend([Dial::Refuse; 40]);
    world.cut(1);
    world.session.submit(world.now, message("m-2")).unwrap();
    world.advance(seconds(29));
    assert_eq!(world.outcomes(), [""; 0]);
    world.advance(seconds(1));
    assert_eq!(world.outcomes(), ["expired m-1", "expired m-2"]);
    world.dials.clear();
    world.advance(seconds(3_600));
    assert!(world.received.is_empty());
}

#[test]
fn now_or_never_is_sent_while_connected_and_else_expires_at_once() {
    let mut world = World::bound();
    let message = |id: &str| {
        let message = Downstream::to("T").id(id);
        message.time_to_live(Duration::ZERO)
    };
    world.session.submit(world.now, message("m-1")).unwrap();
    world.drive();
    world.ack("m-1");
    assert_eq!(world.outcomes(), ["acked m-1"]);
    world.dials.extend([Dial::Refuse; 5]);
    world.cut(1);
    world.session.submit(world.now, message("m-2")).unwrap();
    world.advance(seconds(1));
    assert_eq!(world.outcomes(), ["expired m-2"]);
}

#[test]
fn a_message_is_given_up_after_the_time_that_the_settings_give_it() {
    let mut world = World::bound_with(|config, _| config.give_up_after = Some(seconds(20)));
    world.submit("m-1");
    world.submit("m-2");
    for _ in 0..20 {
        if world.unanswered().contains(&"1:m-1".to_owned()) {
            world.nack("m-1", &NackCode::ServiceUnavailable);
        }
        world.advance(seconds(1));
    }
    let dead = "dead m-1: not settled in time, and refused with SERVICE_UNAVAILABLE";
    assert_eq!(world.outcomes(), [dead]);
    world.ack("m-2");
    assert_eq!(world.outcomes(), ["acked m-2"], "an answer still counts");
}

#[test]
fn a_canonical_token_is_told() {
    let mut world = World::bound();
    world.submit_to("old", "m-1");
    let (connection, _, token) = world.received.remove(0);
    let server = world.server(connection.0);
    server.ack(token, Some(&"new".into())).unwrap();
    world.log();
    world.drive();
    assert_eq!(world.log(), ["replace old by new", "acked m-1 as new"]);
}

#[test]
fn at_its_bound_a_message_comes_back_and_room_is_told_once() {
    let mut world = World::bound_with(|config, _| config.queue_messages = 2);
    world.submit("m-1");
    world.submit("m-2");
    let third = Downstream::to("T").id("m-3");
    for _ in 0..2 {
        assert_eq!(
            world.session.submit(world.now, third.clone()),
            Err(SubmitError::Full(Box::new(third.clone())))
        );
    }
    world.drive();
    world.log();
    world.ack("m-1");
    assert_eq!(world.log(), ["acked m-1", "Room"]);
    world.session.submit(world.now, third).unwrap();
    let again = Downstream::to("T").id("m-2");
    world.drive();
    world.ack("m-3");
    assert_eq!(
        world.session.submit(world.now, again.clone()),
        Err(SubmitError::Duplicate(Box::new(again)))
    );
}

#[test]
fn the_queue_is_bounded_in_bytes() {
    let mut world = World::bound_with(|config, _| config.queue_bytes = 300);
    world.submit("m-1");
    world.submit("m-2");
    let more = Downstream::to("T");
    let refused = world.session.submit(world.now, more.clone());
    assert!(matches!(refused, Err(SubmitError::Full(_))));
    world.ack_all();
    world.session.submit(world.now, more).unwrap();
}

#[test]
fn nothing_more_is_accepted_or_read_while_nobody_takes_events() {
    let mut world = World::bound_with(|config, client| {
        config.events = 5;
        client.inbox_messages = 5;
    });
    for n in 0..20 {
        world.submit(&format!("m-{n}"));
    }
    world.log();
    world.events_are_taken = false;
    world.ack_all();
    assert!(
        world.session.queued() >= 10,
        "answers wait in the connection"
    );
    let more = Downstream::to("T");
    let refused = world.session.submit(world.now, more);
    assert!(matches!(refused, Err(SubmitError::Full(_))));
    world.events_are_taken = true;
    world.drive();
    assert_eq!(world.outcomes().len(), 20);
    assert_eq!(world.session.queued(), 0);
}

#[test]
fn the_window_of_all_connections_being_full_is_told_and_so_is_its_end() {
    let mut world = World::bound_with(|_, client| client.window = 1);
    world.submit("m-1");
    world.submit("m-2");
    assert_eq!(
        world.log(),
        ["accepted m-1", "accepted m-2", "WindowStalled"]
    );
    world.submit("m-3");
    world.ack("m-1");
    assert_eq!(world.log(), ["accepted m-3", "acked m-1"], "m-3 waits");
    world.ack("m-2");
    assert_eq!(world.log(), ["acked m-2", "WindowResumed"]);
}

#[test]
fn the_window_is_kept_and_a_full_one_opens_another_connection_up_to_the_ceiling() {
    let mut world = World::bound_with(|config, _| config.connections = 2);
    for n in 0..250 {
        world.submit(&format!("m-{n}"));
    }
    assert_eq!(world.received.len(), 101, "the second one is on trial");
    world.ack("m-100");
    assert_eq!(world.unanswered().len(), 200);
    let on = |at: &str| {
        world
            .unanswered()
            .iter()
            .filter(|id| id.starts_with(at))
            .count()
    };
    assert_eq!((on("1:"), on("2:")), (100, 100));
    assert_eq!(world.dialled.len(), 2);
    world.ack_all();
    assert_eq!(world.session.queued(), 0);
}

#[test]
fn an_id_that_is_made_is_no_other_messages() {
    let mut world = World::bound_with(|config, _| config.id_prefix = "m".to_owned());
    world.submit("m-1");
    world.submit("m-3");
    let made = [(); 2].map(|()| {
        world
            .session
            .submit(world.now, Downstream::to("T"))
            .unwrap()
    });
    assert_eq!(made, ["m-2", "m-4"].map(MessageId::from));
    world.drive();
    world.ack_all();
    assert_eq!(world.session.queued(), 0);
}

#[test]
fn a_message_can_be_taken_back_until_the_endpoint_may_have_it() {
    let mut world = World::bound_with(|_, client| client.window = 1);
    world.submit("m-1");
    world.submit("m-2");
    assert_eq!(world.session.cancel(world.now, &"m-1".into()), None);
    let taken = world.session.cancel(world.now, &"m-2".into()).unwrap();
    assert_eq!(taken.message_id(), Some(&"m-2".into()));
    world.ack("m-1");
    assert!(world.received.is_empty());
    assert_eq!(world.outcomes(), ["acked m-1"]);
    let waits = |event: &SessionEvent| matches!(event, SessionEvent::Settled { .. });
    assert!(!world.events.iter().any(waits));
}

#[test]
fn a_login_that_is_valid_no_more_is_loud_and_tried_again_seldom() {
    let mut world = World::bound();
    world.submit("m-1");
    world.submit("m-2");
    world.log();
    world.nack("m-1", &NackCode::AuthenticationFailed);
    let log = world.log();
    assert!(log.contains(&"login failed".to_owned()), "{log:?}");
    assert!(log.contains(&"retrying m-1 1 AUTHENTICATION_FAILED".to_owned()));
    world.ack("m-2");
    world.advance(seconds(299));
    assert_eq!(world.dialled.len(), 1);
    world.advance(seconds(31));
    assert_eq!(world.unanswered(), ["2:m-1"]);
}

/// Found by the simulator (seed 643): the refusal of the second try said nothing of the first one.
#[test]
fn a_refused_copy_leaves_it_unknown_what_became_of_the_first_try() {
    let mut world = World::bound();
    world.submit("m-1");
    world.cut(1);
    world.advance(seconds(2));
    world.nack("m-1", &NackCode::ServiceUnavailable);
    world.advance(seconds(2));
    assert_eq!(world.unanswered(), ["2:m-1"], "the third try");
    let words = "Message with the same id has been received before";
    world.nack_with("m-1", &NackCode::InvalidJson, words);
    assert_eq!(world.outcomes(), ["acked m-1"]);
}
