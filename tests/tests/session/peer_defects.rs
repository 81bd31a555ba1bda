//! Defects of other CCS clients that only show over several connections; those of one are in `tests/peer_defects.rs`.

use ccs_proto::message::NackCode;
use ccs_proto::session::Verdict;

use crate::world::{Dial, World, seconds};

/// kik/go-gcm, google/go-gcm: they stop when a delay exceeds its ceiling, which it never does.
#[test]
fn refusals_for_a_while_have_an_end_that_is_told() {
    let mut world = World::bound();
    world.submit("m-1");
    let mut tries = 0;
    while !world.unanswered().is_empty() {
        tries += 1;
        assert!(tries <= 10, "no end");
        world.nack("m-1", &NackCode::InternalServerError);
        world.advance(seconds(61));
    }
    assert_eq!(tries, 10);
    let outcomes = world.outcomes();
    assert_eq!(outcomes.len(), 1);
    assert!(
        outcomes[0].starts_with("dead m-1: refused 10 times"),
        "{outcomes:?}"
    );
    world.advance(seconds(24 * 3_600));
    assert!(world.unanswered().is_empty() && world.outcomes().is_empty());
}

/// node-xcs, node-gcm-ccs, xmppgcm: what waited for a connection goes out in reverse.
#[test]
fn what_waits_for_a_connection_goes_out_in_order_behind_what_was_in_flight() {
    let mut world = World::bound();
    world.submit("m-1");
    world.submit("m-2");
    world.dials.extend([Dial::Refuse, Dial::Refuse]);
    world.cut(1);
    for id in ["m-3", "m-4", "m-5"] {
        world.submit(id);
    }
    world.advance(seconds(60));
    assert_eq!(
        world.unanswered(),
        ["2:m-1", "2:m-2", "2:m-3", "2:m-4", "2:m-5"]
    );
}

/// fcmxmppserverv2: an action that it does not know throws before the ack, so the message comes again for ever.
#[test]
fn a_poison_message_is_a_dead_letter_in_the_end_however_often_it_comes_again() {
    let mut world = World::bound();
    world.device_sends(1, "phone-1", "poison");
    for (connection, attempt) in (1..).zip(1..=5) {
        assert_eq!(world.in_hand(), [format!("poison#{attempt}")]);
        world.handle("poison", Verdict::Retry);
        if attempt < 5 {
            world.cut(connection);
            world.advance(seconds(120));
            let next = connection + 1;
            world.device_sends(next, "phone-1", "poison");
            world.device_sends(next, "phone-2", &format!("other-{attempt}"));
            world.handle(&format!("other-{attempt}"), Verdict::Ack);
        }
    }
    assert!(world.in_hand().is_empty());
    let letters: Vec<_> = world.session.dead_letters().collect();
    assert_eq!(letters.len(), 1, "it is kept to look at");
    let acks = world.acks();
    assert!(acks.contains(&"5:poison".to_owned()), "{acks:?}");
    assert_eq!(acks.len(), 5, "the others were not held up: {acks:?}");
}

/// node-xcs, node-gcm-ccs, FCMStream, baudev: the notice is dropped, so no other connection is opened. GIMMM: one is, and
/// what came by the old one is acked on it.
#[test]
fn after_a_drain_messages_go_by_another_connection_and_acks_where_they_belong() {
    let mut world = World::bound();
    world.device_sends(1, "phone-1", "u-1");
    world.drain(1);
    world.advance(seconds(2));
    world.submit("m-1");
    assert_eq!(world.unanswered(), ["2:m-1"]);
    world.handle("u-1", Verdict::Ack);
    assert_eq!(world.acks(), ["1:u-1"]);
}
