//! What waits for a device: for how long, how much, and what goes when it is too much (`docs/protocol.md` §3.2, §3.4).

use std::time::Duration;

use ccs_proto::hub::Reach;
use ccs_proto::message::Downstream;

use crate::world::{World, seconds};

fn message() -> Downstream {
    Downstream::to("phone-1")
}

fn keyed(key: &str) -> Downstream {
    message().collapse_key(key)
}

/// A world with one connection, whose usual device is away.
fn away(mut world: World) -> World {
    world.log_in();
    world.set_reach("phone-1", Reach::Offline);
    world
}

/// What the device gets when it comes back.
fn gets(mut world: World) -> Vec<String> {
    world.set_reach("phone-1", Reach::Online);
    world.got
}

#[test]
fn an_idle_device_gets_all_but_what_is_to_wait_until_it_is_active() {
    let mut world = away(World::new());
    let later = || message().delay_while_idle(true);
    world.send_message(1, "a", later());
    world.send_message(1, "b", message());
    world.set_reach("phone-1", Reach::Idle);
    assert_eq!(world.got, ["phone-1:b"]);
    world.send_message(1, "c", later());
    world.send_message(1, "d", message());
    assert_eq!(world.got, ["phone-1:b", "phone-1:d"]);
    world.set_reach("phone-1", Reach::Online);
    assert_eq!(world.got[2..], ["phone-1:a", "phone-1:c"]);
    world.send_message(1, "e", later());
    assert_eq!(world.got[4..], ["phone-1:e"]);
}

#[test]
fn no_time_to_live_is_now_or_never() {
    let mut world = away(World::new());
    let brief = || message().time_to_live(Duration::ZERO);
    world.send_message(1, "never", brief());
    assert_eq!(world.answers(), ["never acked"]);
    assert_eq!(world.log(), ["came 1:never", "expired phone-1:never"]);
    assert!(world.kept.is_empty());
    world.set_reach("phone-1", Reach::Online);
    world.send_message(1, "now", brief());
    assert_eq!(world.got, ["phone-1:now"]);
}

#[test]
fn a_message_waits_for_its_time_to_live_and_no_longer() {
    let mut world = away(World::new());
    world.send_message(1, "a", message().time_to_live(seconds(10)));
    world.send_message(1, "b", message().time_to_live(seconds(20)));
    world.advance(seconds(10) - Duration::from_millis(1));
    assert_eq!(world.hub.kept(), 2);
    world.log();
    world.advance(Duration::from_millis(1));
    assert_eq!(world.log(), ["expired phone-1:a"]);
    assert_eq!(world.kept.len(), 1);
    assert_eq!(gets(world), ["phone-1:b"]);
}

#[test]
fn a_message_waits_for_four_weeks_if_it_does_not_say() {
    let mut world = away(World::new());
    world.send(1, "a");
    world.cut(1);
    world.log();
    world.advance(seconds(4 * 7 * 86_400 - 1));
    assert!(world.log().is_empty());
    world.advance(seconds(1));
    assert_eq!(world.log(), ["expired phone-1:a"]);
}

#[test]
fn what_has_had_its_time_is_not_delivered_although_nobody_has_looked_since() {
    for by_message in [false, true] {
        let mut world = away(World::new());
        world.send_message(1, "a", message().time_to_live(seconds(10)));
        world.decides = false;
        world.send(1, "b");
        world.now = world.now + seconds(10);
        if by_message {
            world.reach.clear();
            world.accept("phone-1");
            assert_eq!(world.got, ["phone-1:b"]);
        } else {
            world.set_reach("phone-1", Reach::Online);
            assert!(world.got.is_empty());
        }
        assert!(world.log().contains(&"expired phone-1:a".to_owned()));
    }
}

#[test]
fn a_message_on_its_way_does_not_expire_but_given_back_it_does() {
    let mut world = World::new();
    world.log_in();
    world.devices_answer = false;
    for id in ["a", "b"] {
        world.send_message(1, id, message().time_to_live(seconds(10)));
    }
    world.log();
    world.advance(seconds(20));
    assert!(world.log().is_empty());
    world.answer("phone-1:a", true);
    world.answer("phone-1:b", false);
    assert_eq!(world.log(), ["delivered phone-1:a", "expired phone-1:b"]);
    assert_eq!(world.hub.kept(), 0);
}

#[test]
fn the_last_message_of_a_collapse_key_wins() {
    let mut world = away(World::new());
    world.send_message(1, "a", keyed("score"));
    world.send_message(1, "b", keyed("news"));
    world.send_message(1, "c", message());
    world.log();
    world.send_message(1, "d", keyed("score"));
    assert_eq!(
        world.log(),
        ["came 1:d", "collapsed phone-1:a", "kept phone-1:d"]
    );
    assert_eq!(world.kept.len(), 3);
    assert_eq!(gets(world), ["phone-1:b", "phone-1:c", "phone-1:d"]);
}

#[test]
fn a_device_that_is_there_gets_every_message_of_a_key() {
    let mut world = World::new();
    world.log_in();
    world.send_message(1, "a", keyed("score"));
    world.send_message(1, "b", keyed("score"));
    assert_eq!(world.got, ["phone-1:a", "phone-1:b"]);
}

#[test]
fn the_last_of_a_key_wins_whenever_the_first_is_given_back() {
    for newer_first in [false, true] {
        let mut world = World::new();
        world.log_in();
        world.devices_answer = false;
        world.send_message(1, "a", keyed("score"));
        world.send_message(1, "b", keyed("score"));
        let mut words = ["phone-1:a", "phone-1:b"];
        if newer_first {
            words.reverse();
        }
        for word in words {
            world.answer(word, false);
        }
        world.set_reach("phone-1", Reach::Online);
        assert_eq!(world.given(), ["phone-1:b"], "newer first: {newer_first}");
    }
}

#[test]
fn four_keys_wait_and_the_oldest_makes_room_for_a_fifth() {
    let mut world = away(World::new());
    for key in ["a", "b", "c", "d"] {
        world.send_message(1, key, keyed(key));
    }
    world.log();
    world.send_message(1, "e", keyed("e"));
    assert_eq!(
        world.log(),
        [
            "came 1:e",
            "too many collapse keys phone-1:a",
            "kept phone-1:e"
        ]
    );
    assert_eq!(
        gets(world),
        ["phone-1:b", "phone-1:c", "phone-1:d", "phone-1:e"]
    );
}

#[test]
fn a_message_that_is_given_back_takes_no_newer_keys_place() {
    let mut world = World::new();
    world.log_in();
    world.devices_answer = false;
    world.send_message(1, "a", keyed("a"));
    world.reach.insert("phone-1".to_owned(), Reach::Offline);
    for key in ["b", "c", "d", "e"] {
        world.send_message(1, key, keyed(key));
    }
    world.log();
    world.answer("phone-1:a", false);
    assert_eq!(world.log(), ["too many collapse keys phone-1:a"]);
    assert_eq!(world.hub.kept(), 4);
}

#[test]
fn a_hundred_messages_wait_and_one_more_takes_them_all_of_which_the_device_is_told_once() {
    let mut world = away(World::new());
    world.send_message(1, "key", keyed("k"));
    for n in 0..100 {
        world.send(1, &format!("m-{n}"));
    }
    assert_eq!(world.hub.kept(), 101);
    world.send(1, "last");
    world.ack_all();
    assert_eq!(world.hub.kept(), 2);
    assert_eq!(world.kept.len(), 2);
    let told = |log: Vec<String>| -> Vec<String> {
        log.into_iter()
            .filter(|word| word.starts_with("told"))
            .collect()
    };
    world.set_reach("phone-1", Reach::Idle);
    assert!(told(world.log()).is_empty(), "when it is online");
    world.set_reach("phone-1", Reach::Online);
    assert_eq!(told(world.log()), ["told phone-1 of 100"]);
    assert_eq!(world.got, ["phone-1:key", "phone-1:last"]);
    world.set_reach("phone-1", Reach::Offline);
    world.set_reach("phone-1", Reach::Online);
    assert!(told(world.log()).is_empty());
}

#[test]
fn who_lost_messages_is_told_even_if_nothing_is_left_for_it() {
    let mut world = away(World::with(|config| config.kept_per_device = 1));
    world.send_message(1, "a", message().time_to_live(seconds(9)));
    world.send_message(1, "b", message().time_to_live(seconds(9)));
    world.advance(seconds(10));
    assert_eq!(world.hub.kept(), 0);
    world.log();
    world.set_reach("phone-1", Reach::Online);
    assert_eq!(world.log(), ["told phone-1 of 1"]);
}

#[test]
fn when_too_much_waits_only_what_would_wait_too_is_refused() {
    let mut world = away(World::with(|config| config.kept_messages = 2));
    world.send(1, "a");
    world.send(1, "b");
    world.answers();
    world.log();
    world.send(1, "c");
    assert_eq!(world.answers(), ["c SERVICE_UNAVAILABLE"]);
    assert_eq!(world.log(), ["came 1:c", "too much 1:c"]);
    world.send_message(1, "d", Downstream::to("phone-2"));
    assert_eq!(world.answers(), ["d acked"]);
    assert_eq!(world.got, ["phone-2:d"]);
    world.set_reach("phone-1", Reach::Online);
    world.send(1, "c");
    assert_eq!(world.answers(), ["c acked"]);
}

#[test]
fn what_waits_is_bounded_in_bytes() {
    let large = || message().data("k", "x".repeat(3_000));
    let mut world = away(World::with(|config| config.kept_bytes = 6_000));
    for id in ["a", "b", "c"] {
        world.send_message(1, id, large());
    }
    assert_eq!(
        world.answers(),
        ["a acked", "b acked", "c SERVICE_UNAVAILABLE"]
    );
    world.set_reach("phone-1", Reach::Online);
    world.set_reach("phone-1", Reach::Offline);
    world.send_message(1, "c", large());
    assert_eq!(
        world.answers(),
        ["c acked"],
        "what was delivered weighs nothing"
    );
}

#[test]
fn as_many_as_may_wait_may_be_on_their_way() {
    let mut world = World::with(|config| config.kept_messages = 2);
    world.log_in();
    world.devices_answer = false;
    for id in ["a", "b", "c"] {
        world.send(1, id);
    }
    assert_eq!(
        world.answers(),
        ["a acked", "b acked", "c SERVICE_UNAVAILABLE"]
    );
    world.answer("phone-1:a", true);
    world.send(1, "c");
    assert_eq!(world.answers(), ["c acked"]);
}

#[test]
fn a_message_to_more_devices_than_there_is_room_for_is_refused_whole() {
    let mut world = World::with(|config| config.kept_messages = 2);
    world.log_in();
    world.subscribers = vec!["phone-1", "phone-2", "phone-3"];
    world.devices_answer = false;
    let news = || Downstream::to("/topics/news");
    world.send_message(1, "a", news());
    assert_eq!(world.answers(), ["a SERVICE_UNAVAILABLE"]);
    assert!(world.given().is_empty());
    world.set_reach("phone-3", Reach::Offline);
    world.send_message(1, "b", news());
    assert_eq!(world.answers(), ["b acked"], "two leave, one waits");
}

#[test]
fn only_so_many_devices_are_remembered_that_lost_messages() {
    let mut world = World::with(|config| {
        config.kept_per_device = 1;
        config.kept_messages = 2;
    });
    world.log_in();
    for device in ["phone-1", "phone-2", "phone-3"] {
        world.set_reach(device, Reach::Offline);
        for n in 0..2 {
            let brief = Downstream::to(device).time_to_live(seconds(5));
            world.send_message(1, &format!("{device}-{n}"), brief);
        }
        world.advance(seconds(6));
    }
    world.log();
    for device in ["phone-1", "phone-2", "phone-3"] {
        world.set_reach(device, Reach::Online);
    }
    assert_eq!(world.log(), ["told phone-2 of 1", "told phone-3 of 1"]);
}

#[test]
fn a_message_weighs_what_the_body_weighs_that_it_keeps() {
    let mut world = away(World::with(|config| config.kept_bytes = 6_000));
    let now = world.now;
    for id in ["a", "b", "c"] {
        let padding = "x".repeat(3_000);
        let body = format!(r#"{{"to":"phone-1","message_id":"{id}","unknown":"{padding}"}}"#);
        let stanza = format!(r#"<message><gcm xmlns="google:mobile:data">{body}</gcm></message>"#);
        let server = &mut world.link(1).server;
        server.receive(now, stanza.as_bytes()).unwrap();
        world.drive();
    }
    let log = world.log();
    assert_eq!(log.last().map(String::as_str), Some("too much 1:c"));
    assert_eq!(world.hub.kept(), 2);
}
