//! The devices in virtual time.

use super::*;

fn at(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}

fn devices() -> Devices {
    Devices::new(false, "run")
}

/// What comes of a message, in short.
fn send(devices: &mut Devices, now: u64, id: &str, message: &Downstream) -> Vec<String> {
    let id = MessageId::from(id);
    said(devices.receive(at(now), ConnectionId(1), &id, message))
}

fn said(effects: Vec<Effect>) -> Vec<String> {
    let copy = |copy: Delivery| format!("{} {}", copy.message_id, copy.device);
    let say = |effect| match effect {
        Effect::Answer(Answer::Ack(None)) => "ack".to_owned(),
        Effect::Answer(Answer::Ack(Some(token))) => format!("ack {token}"),
        Effect::Answer(Answer::AckTwice) => "ack ack".to_owned(),
        Effect::Answer(Answer::Nack(code, _)) => code.as_str().to_owned(),
        Effect::Drain => "drain".to_owned(),
        Effect::Cut => "cut".to_owned(),
        Effect::Delivered(to) => format!("delivered {}", copy(to)),
        Effect::Stored(to) => format!("stored {}", copy(to)),
        Effect::Discarded(to, why) => format!("{why} {}", copy(to)),
        Effect::Receipt(to) => format!("receipt {}", copy(to)),
        Effect::Upstream(message) => format!("upstream {}", message.body()),
    };
    effects.into_iter().map(say).collect()
}

fn online(devices: &mut Devices, now: u64, device: &str) -> Vec<String> {
    said(devices.set(at(now), &device.into(), Reach::Online))
}

fn kept(seconds: u64, to: &str) -> Downstream {
    Downstream::to(to).time_to_live(Duration::from_secs(seconds))
}

#[test]
fn a_phone_accepts_confirms_when_asked_and_echoes() {
    let mut devices = devices();
    let plain = Downstream::to("phone");
    assert_eq!(
        send(&mut devices, 0, "1", &plain),
        ["ack", "delivered 1 phone"]
    );
    let asked = plain.receipt_requested(true);
    assert_eq!(
        send(&mut devices, 0, "2", &asked),
        ["ack", "delivered 2 phone", "receipt 2 phone"]
    );
    assert_eq!(send(&mut devices, 0, "3", &asked.dry_run(true)), ["ack"]);

    let mut devices = Devices::new(true, "run");
    let data = Downstream::to("phone").data("k", "v");
    assert_eq!(
        send(&mut devices, 0, "1", &data)[2],
        r#"upstream {"data":{"k":"v"},"time_to_live":2419200,"from":"phone","message_id":"run-echo-1","category":"com.example.app"}"#
    );
}

#[test]
fn a_phone_misbehaves_by_the_start_of_its_token() {
    let mut devices = devices();
    for (token, expected) in [
        ("bad-1", &["BAD_REGISTRATION"][..]),
        ("unregistered-1", &["DEVICE_UNREGISTERED"]),
        ("rate-1", &["DEVICE_MESSAGE_RATE_EXCEEDED"]),
        ("unavailable-1", &["SERVICE_UNAVAILABLE"]),
        ("unavailable-1", &["SERVICE_UNAVAILABLE"]),
        ("unavailable-1", &["ack", "delivered m unavailable-1"]),
        ("unavailable-2", &["SERVICE_UNAVAILABLE"]),
        ("internal-1", &["INTERNAL_SERVER_ERROR"]),
        ("canonical-1", &["ack 1", "delivered m canonical-1"]),
        ("silent-1", &[]),
        ("drain-1", &["ack", "delivered m drain-1", "drain"]),
        ("drop-1", &["cut"]),
        ("drop-1", &["ack", "delivered m drop-1"]),
        ("dup-1", &["ack ack", "delivered m dup-1"]),
        ("offline-1", &["ack", "stored m offline-1"]),
        ("idle-1", &["ack", "delivered m idle-1"]),
        ("badly", &["ack", "delivered m badly"]),
    ] {
        assert_eq!(
            send(&mut devices, 0, "m", &Downstream::to(token)),
            expected,
            "{token}"
        );
    }
    assert_eq!(
        send(&mut devices, 0, "n", &Downstream::to("drop-1")),
        ["cut"]
    );
}

#[test]
fn what_is_stored_is_delivered_in_order_or_expires() {
    let mut devices = devices();
    for (id, seconds) in [("1", 10), ("2", 20), ("3", 30)] {
        let message = kept(seconds, "offline-1").receipt_requested(true);
        send(&mut devices, 0, id, &message);
    }
    assert_eq!(
        send(&mut devices, 0, "0", &kept(0, "offline-1")),
        ["ack", "expired 0 offline-1"],
        "now or never"
    );
    assert!(devices.expire(at(9)).is_empty());
    assert_eq!(said(devices.expire(at(10))), ["expired 1 offline-1"]);
    assert_eq!(
        online(&mut devices, 20, "offline-1"),
        [
            "expired 2 offline-1",
            "delivered 3 offline-1",
            "receipt 3 offline-1"
        ]
    );
    assert!(!devices.stores_anything());
    let now = Downstream::to("offline-1");
    assert_eq!(
        send(&mut devices, 20, "4", &now)[1],
        "delivered 4 offline-1"
    );
    devices.set(at(20), &"phone".into(), Reach::Offline);
    assert_eq!(
        send(&mut devices, 20, "5", &kept(1, "phone"))[1],
        "stored 5 phone"
    );
}

#[test]
fn an_idle_phone_is_left_alone_only_when_asked() {
    let mut devices = devices();
    let waits = Downstream::to("idle-1").delay_while_idle(true);
    assert_eq!(
        send(&mut devices, 0, "1", &waits),
        ["ack", "stored 1 idle-1"]
    );
    let urgent = Downstream::to("idle-1");
    assert_eq!(send(&mut devices, 0, "2", &urgent)[1], "delivered 2 idle-1");
    assert_eq!(online(&mut devices, 1, "idle-1"), ["delivered 1 idle-1"]);
    assert_eq!(send(&mut devices, 1, "3", &waits)[1], "delivered 3 idle-1");
}

#[test]
fn the_last_of_a_collapse_key_wins_and_four_keys_have_room() {
    let mut devices = devices();
    let keyed = |key: &str| Downstream::to("offline-1").collapse_key(key);
    for (id, key) in [("1", "a"), ("2", "b"), ("3", "c")] {
        send(&mut devices, 0, id, &keyed(key));
    }
    send(&mut devices, 0, "4", &Downstream::to("offline-1"));
    assert_eq!(
        send(&mut devices, 0, "5", &keyed("a")),
        ["ack", "collapsed 1 offline-1", "stored 5 offline-1"]
    );
    send(&mut devices, 0, "6", &keyed("d"));
    assert_eq!(
        send(&mut devices, 0, "7", &keyed("e"))[1],
        "too many collapse keys 2 offline-1"
    );
    let delivered = ["3", "4", "5", "6", "7"].map(|id| format!("delivered {id} offline-1"));
    assert_eq!(online(&mut devices, 0, "offline-1"), delivered);
}

#[test]
fn the_hundred_and_first_message_without_a_key_discards_the_others() {
    let mut devices = devices();
    let message = Downstream::to("offline-1");
    for id in 0..100 {
        send(&mut devices, 0, &id.to_string(), &message);
    }
    send(&mut devices, 0, "k", &message.clone().collapse_key("k"));
    assert_eq!(send(&mut devices, 0, "100", &message).len(), 102);
    assert_eq!(
        online(&mut devices, 0, "offline-1"),
        ["delivered k offline-1", "delivered 100 offline-1"]
    );
    assert!(!devices.stores_anything());
}

#[test]
fn topics_conditions_and_groups_reach_their_devices_once() {
    let mut devices = devices();
    devices.subscribe("a", vec!["1".into(), "2".into(), "bad-3".into()]);
    devices.subscribe("b", vec!["2".into(), "offline-4".into()]);
    devices.group("key", vec!["5".into(), "6".into()]);
    let all = Downstream::condition("'a' in topics || 'b' in topics".parse().unwrap());
    assert_eq!(
        send(&mut devices, 0, "m", &all),
        [
            "ack",
            "delivered m 1",
            "delivered m 2",
            "stored m offline-4"
        ]
    );
    let group = Downstream::to("key").receipt_requested(true);
    assert_eq!(
        send(&mut devices, 0, "m", &group),
        ["ack", "delivered m 5", "receipt m 5", "delivered m 6"],
        "one receipt, since its id is made of the message's"
    );
    let nobody = Downstream::topic(ccs_tokio::proto::message::Topic::new("c").unwrap());
    assert_eq!(send(&mut devices, 0, "m", &nobody), ["ack"]);
}
