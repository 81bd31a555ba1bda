//! What the devices decide.

use ccs_tokio::proto::message::Topic;

use super::*;

fn devices() -> Devices {
    Devices::new(false, "run")
}

/// What becomes of a message, in short: the codes, or who gets it.
fn said(decision: Decision) -> String {
    match decision {
        Decision::Accept(acceptance, acked) => format!("{acked:?} {acceptance:?}"),
        Decision::Refuse(code, _) => code.to_string(),
        Decision::Silence => "silence".to_owned(),
        Decision::Cut => "cut".to_owned(),
    }
}

fn accepted(devices: &[(&str, Reach)], acked: Acked) -> String {
    let devices = devices
        .iter()
        .map(|(token, reach)| ((*token).into(), *reach));
    said(Decision::Accept(Acceptance::new(devices), acked))
}

#[test]
fn a_phone_misbehaves_by_the_start_of_its_token() {
    let mut devices = devices();
    let mut decide =
        |id: &str, token: &str| said(devices.decide(&id.into(), &Downstream::to(token)));
    let once = |token: &str, reach| accepted(&[(token, reach)], Acked::Once);
    for (token, expected) in [
        ("bad-1", "BAD_REGISTRATION".to_owned()),
        ("unregistered-1", "DEVICE_UNREGISTERED".to_owned()),
        ("rate-1", "DEVICE_MESSAGE_RATE_EXCEEDED".to_owned()),
        ("unavailable-1", "SERVICE_UNAVAILABLE".to_owned()),
        ("unavailable-1", "SERVICE_UNAVAILABLE".to_owned()),
        ("unavailable-1", once("unavailable-1", Reach::Online)),
        ("unavailable-2", "SERVICE_UNAVAILABLE".to_owned()),
        ("internal-1", "INTERNAL_SERVER_ERROR".to_owned()),
        ("silent-1", "silence".to_owned()),
        (
            "drain-1",
            accepted(&[("drain-1", Reach::Online)], Acked::ThenDrains),
        ),
        ("drop-1", "cut".to_owned()),
        ("drop-1", once("drop-1", Reach::Online)),
        ("dup-1", accepted(&[("dup-1", Reach::Online)], Acked::Twice)),
        ("offline-1", once("offline-1", Reach::Offline)),
        ("idle-1", once("idle-1", Reach::Idle)),
        ("badly", once("badly", Reach::Online)),
    ] {
        assert_eq!(decide("m", token), expected, "{token}");
    }
    assert_eq!(decide("n", "drop-1"), "cut", "another message");
    assert!(decide("m", "canonical-7").contains("canonical: Some(\"7\")"));
}

#[test]
fn what_a_device_is_told_goes_before_its_name() {
    let mut devices = devices();
    devices.set(&"offline-1".into(), Reach::Online);
    devices.set(&"phone".into(), Reach::Offline);
    let mut decide = |token: &str| said(devices.decide(&"m".into(), &Downstream::to(token)));
    let once = |token: &str, reach| accepted(&[(token, reach)], Acked::Once);
    assert_eq!(decide("offline-1"), once("offline-1", Reach::Online));
    assert_eq!(decide("phone"), once("phone", Reach::Offline));
}

#[test]
fn topics_conditions_and_groups_reach_the_devices_that_there_are() {
    let mut devices = devices();
    devices.subscribe("a", vec!["1".into(), "2".into(), "bad-3".into()]);
    devices.subscribe("b", vec!["2".into(), "offline-4".into()]);
    devices.group("key", vec!["5".into(), "6".into()]);
    let mut decide = |message: &Downstream| said(devices.decide(&"m".into(), message));
    let all = Downstream::condition("'a' in topics || 'b' in topics".parse().unwrap());
    let (online, offline) = (Reach::Online, Reach::Offline);
    assert_eq!(
        decide(&all),
        accepted(
            &[("1", online), ("2", online), ("offline-4", offline)],
            Acked::Once
        )
    );
    assert_eq!(
        decide(&Downstream::to("key")),
        accepted(&[("5", online), ("6", online)], Acked::Once)
    );
    let nobody = Downstream::topic(Topic::new("c").unwrap());
    assert_eq!(decide(&nobody), accepted(&[], Acked::Once));
}

#[test]
fn an_echo_carries_the_same_data() {
    let data = Downstream::to("phone").data("k", "v");
    assert!(devices().receive("phone".into(), &data).is_none());
    let mut devices = Devices::new(true, "run");
    assert_eq!(
        devices
            .receive("phone".into(), &data)
            .unwrap()
            .body()
            .as_str(),
        r#"{"data":{"k":"v"},"time_to_live":2419200,"from":"phone","message_id":"run-1","category":"com.example.app"}"#
    );
}
