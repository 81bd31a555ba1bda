//! When the session dials, and how long it waits before.

use std::time::Duration;

use ccs_proto::StreamCondition;
use ccs_proto::session::SessionEvent;

use crate::world::{Dial, World, seconds};

/// Times between the dials.
fn gaps(world: &World) -> Vec<Duration> {
    let pairs = world.dialled.windows(2);
    pairs.map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn refused_dials_are_repeated_ever_more_seldom_and_never_at_once() {
    let mut world = World::new(|_, _| {});
    world.dials.extend([Dial::Refuse; 100]);
    world.advance(seconds(3_600));
    let gaps = gaps(&world);
    for (failed, gap) in gaps.iter().enumerate() {
        let ceiling = seconds(1 << failed.min(20)).min(seconds(300));
        assert!(*gap <= ceiling, "{gaps:?}");
    }
    assert!((12..60).contains(&gaps.len()), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap > seconds(100)), "{gaps:?}");
    let attempts: Vec<String> = world.log();
    assert_eq!(attempts.first().map(String::as_str), Some("reconnecting 1"));
    assert_eq!(attempts.len(), gaps.len() + 1, "each one is told");
}

#[test]
fn a_bad_certificate_waits_longer() {
    let mut world = World::new(|_, _| {});
    world.dials.extend([Dial::BadCertificate; 100]);
    world.advance(seconds(3_600));
    let gaps = gaps(&world);
    assert!(gaps[0] >= seconds(15) && gaps[0] <= seconds(30), "{gaps:?}");
    assert!(gaps[5..].iter().all(|gap| *gap >= seconds(150)), "{gaps:?}");
}

#[test]
fn a_refused_login_is_loud_and_waits_five_minutes() {
    let mut world = World::new(|_, _| {});
    world.dials.extend([Dial::BadLogin; 3]);
    world.advance(seconds(1_200));
    let gaps = gaps(&world);
    assert_eq!(gaps.len(), 3, "{gaps:?}");
    for gap in gaps {
        assert!(gap >= seconds(300) && gap <= seconds(330), "{gap:?}");
    }
    let log = world.log();
    assert_eq!(
        log.iter().filter(|words| *words == "login failed").count(),
        3
    );
    assert_eq!(log.last().map(String::as_str), Some("connected 4"));
}

#[test]
fn a_dial_without_an_answer_is_given_up() {
    let mut world = World::new(|_, _| {});
    world.dials.push_back(Dial::Never);
    world.advance(seconds(29));
    assert_eq!(world.dialled.len(), 1);
    world.advance(seconds(2));
    assert_eq!(world.cancelled.len(), 1);
    assert_eq!(world.log(), ["reconnecting 1", "connected 1"]);
}

#[test]
fn waits_start_again_from_the_first_after_a_healthy_minute_and_not_before() {
    let mut world = World::new(|_, _| {});
    world.dials.extend([Dial::Refuse; 8]);
    world.advance(seconds(2_000));
    assert_eq!(world.dialled.len(), 9);
    world.log();
    // Not healthy: the row of failures goes on.
    world.dials.clear();
    world.cut(1);
    assert_eq!(
        world.log(),
        ["disconnected 1 unknown 0", "reconnecting 1"],
        "it held long"
    );
    world.advance(seconds(1));
    for (connection, attempt) in [(2, 2), (3, 3), (4, 4)] {
        world.log();
        world.cut(connection);
        let told = format!("reconnecting {attempt}");
        assert_eq!(world.log()[1], told);
        while world.links.is_empty() {
            world.advance(seconds(1));
        }
    }
    world.advance(seconds(61));
    world.log();
    world.cut(5);
    assert_eq!(world.log()[1], "reconnecting 1");
    world.advance(seconds(1));
    assert_eq!(world.log(), ["connected 6"]);
}

#[test]
fn a_healthy_connection_that_stays_does_not_make_failing_dials_faster() {
    let mut world = World::bound();
    world.advance(seconds(120));
    world.dials.extend([Dial::Refuse; 200]);
    world.drain(1);
    world.config.drain_timeout = seconds(3_600);
    world.device_sends(1, "phone-1", "u-1");
    world.advance(seconds(59));
    assert!(!world.links.is_empty(), "the old one is there for its ack");
    assert!(world.dialled.len() < 15, "{:?}", world.dialled);
}

#[test]
fn a_dial_that_failed_beside_a_healthy_connection_is_forgotten() {
    let mut world = World::bound_with(|config, client| {
        config.connections = 2;
        client.window = 1;
    });
    world.advance(seconds(120));
    world.dials.extend([Dial::Refuse; 2]);
    world.submit("m-1");
    world.submit("m-2");
    while !world.dials.is_empty() {
        world.advance(seconds(1));
    }
    world.ack("m-1");
    world.ack("m-2");
    world.advance(seconds(300));
    world.log();
    world.cut(1);
    let told = world.log();
    assert!(told.contains(&"reconnecting 1".to_owned()), "{told:?}");
}

#[test]
fn a_minute_without_a_failure_counts_whatever_the_last_one_waits_for() {
    let mut world = World::new(|config, client| {
        config.connections = 2;
        client.window = 1;
    });
    world.dials.extend([Dial::Refuse; 9]);
    while world.links.is_empty() {
        world.advance(seconds(1));
    }
    world.submit("m-1");
    world.submit("m-2");
    world.log();
    world.cut(2);
    assert_eq!(world.log()[1], "reconnecting 10");
    world.advance(seconds(61));
    assert_eq!(world.links.len(), 1, "the wait is longer than that");
    world.log();
    world.cut(1);
    assert_eq!(world.log()[1], "reconnecting 1");
}

#[test]
fn an_excess_connection_is_tried_again_slower_and_slower() {
    let mut world = World::bound();
    for connection in 1..=10 {
        world.end_with(connection, StreamCondition::PolicyViolation);
        while world.links.is_empty() {
            world.advance(seconds(1));
        }
        world.drive();
    }
    assert!(
        world.now - ccs_proto::Time::ZERO > seconds(120),
        "{:?}",
        world.now
    );
}

#[test]
fn jitter_differs_from_seed_to_seed_and_is_the_same_for_one() {
    let waits = |seed| {
        let mut world = World::new(|config, _| config.seed = seed);
        world.dials.extend([Dial::Refuse; 10]);
        world.advance(seconds(3_600));
        world.dialled
    };
    assert_eq!(waits(7), waits(7));
    assert_ne!(waits(7), waits(8));
}

#[test]
fn a_silent_peer_is_left_and_what_it_had_goes_out_again() {
    let mut world = World::bound();
    world.submit("m-1");
    world.advance(seconds(299));
    assert_eq!(world.unanswered(), ["1:m-1"]);
    world.log();
    world.advance(seconds(3));
    assert_eq!(
        world.unanswered(),
        ["2:m-1"],
        "after five minutes without an answer"
    );
    let ended = |event: &SessionEvent| matches!(event, SessionEvent::Disconnected { .. });
    assert_eq!(world.events.iter().filter(|e| ended(e)).count(), 1);
}
