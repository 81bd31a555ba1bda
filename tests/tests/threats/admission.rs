//! Strangers at an endpoint: half-open connections and wrong keys, over all connections together.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ccs_proto::{Admission, AdmissionConfig, HalfOpenId, SenderId, Ticket, Time};

fn at(seconds: u64) -> Time {
    Time::from_origin(Duration::from_secs(seconds))
}

fn host(n: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, n).into()
}

fn sender(id: &str) -> SenderId {
    id.parse().unwrap()
}

fn with(half_open: usize, per_address: usize) -> Admission {
    let mut config = AdmissionConfig::default();
    config.half_open = half_open;
    config.half_open_per_address = per_address;
    Admission::new(config)
}

/// One more connection of `address`, and which one gave way to it.
fn arrive(admission: &mut Admission, address: IpAddr) -> (Ticket, Option<HalfOpenId>) {
    let admitted = admission.arrive(address).unwrap();
    (admitted.ticket, admitted.in_place_of)
}

/// Tries to log in with a wrong key; whether the key was looked up.
fn wrong_key(admission: &mut Admission, now: Time, address: IpAddr, sender: &SenderId) -> bool {
    let (mut ticket, _) = arrive(admission, address);
    let checked = admission.authenticating(now, &mut ticket, sender).is_ok();
    admission.ended(now, ticket);
    checked
}

#[test]
fn t7_at_the_limit_the_oldest_half_open_connection_gives_way_to_the_newcomer() {
    let mut admission = with(3, 3);
    let (first, none) = arrive(&mut admission, host(1));
    assert_eq!(none, None);
    let (second, none) = arrive(&mut admission, host(2));
    assert_eq!(none, None);
    let (_third, none) = arrive(&mut admission, host(3));
    assert_eq!(none, None, "at the limit");
    let (_fourth, victim) = arrive(&mut admission, host(4));
    assert_eq!(victim, Some(first.id()), "over it");
    let (_fifth, victim) = arrive(&mut admission, host(4));
    assert_eq!(victim, Some(second.id()));
    // The places of those that gave way are not given back a second time.
    admission.ended(at(0), first);
    admission.succeeded(second);
    assert_eq!(admission.half_open(), 3);
}

#[test]
fn t7_a_login_or_an_end_gives_the_place_back() {
    let mut admission = with(2, 2);
    let (first, _) = arrive(&mut admission, host(1));
    let (second, _) = arrive(&mut admission, host(1));
    assert!(admission.arrive(host(1)).is_err());
    admission.succeeded(first);
    admission.ended(at(0), second);
    assert_eq!(admission.half_open(), 0);
    for _ in 0..2 {
        let admitted = admission.arrive(host(1)).unwrap();
        assert_eq!(admitted.in_place_of, None);
    }
}

#[test]
fn t7_an_address_at_its_limit_is_refused_and_pushes_nobody_out() {
    let mut admission = with(4, 2);
    let (_good, _) = arrive(&mut admission, host(1));
    let (_one, _) = arrive(&mut admission, host(2));
    let (_two, _) = arrive(&mut admission, host(2));
    let refused = admission.arrive(host(2)).unwrap_err();
    assert_eq!((refused.address, refused.limit), (host(2), 2));
    assert!(
        refused
            .to_string()
            .starts_with("192.0.2.2 has 2 connections"),
        "{refused}"
    );
    assert_eq!(admission.half_open(), 3);
    assert!(admission.arrive(host(3)).is_ok(), "another address");
}

#[test]
fn t7_the_hosts_of_one_ipv6_network_are_one_address() {
    let mut admission = with(100, 2);
    let host = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]);
    let _tickets = [
        arrive(&mut admission, host(1)),
        arrive(&mut admission, host(2)),
    ];
    assert!(admission.arrive(host(3)).is_err());
    assert!(admission.arrive("2001:db8:0:1::1".parse().unwrap()).is_ok());
}

/// A hundred thousand strangers that come and go leave nothing behind.
#[test]
fn t7_connections_that_come_and_go_are_not_remembered() {
    let mut admission = Admission::new(AdmissionConfig::default());
    for n in 0..100_000_u32 {
        let (ticket, victim) = arrive(&mut admission, Ipv4Addr::from_bits(n).into());
        assert_eq!(victim, None);
        admission.ended(at(0), ticket);
    }
    let untouched = Admission::new(AdmissionConfig::default());
    // All but the number that names the next connection.
    let shown = format!("{admission:?}").replace("next: 100000", "next: 0");
    assert_eq!(shown, format!("{untouched:?}"));
}

#[test]
fn t6_of_ten_thousand_wrong_keys_as_many_are_looked_up_as_the_limits_say() {
    let mut admission = Admission::new(AdmissionConfig::default());
    let attempts = |admission: &mut Admission, now, senders: u64| {
        (0..10_000_u64)
            .filter(|n| wrong_key(admission, now, host(1), &sender(&(n % senders).to_string())))
            .count()
    };
    assert_eq!(attempts(&mut admission, at(0), 1), 5, "of one sender");
    assert_eq!(
        attempts(&mut admission, at(0), 10_000),
        15,
        "of all senders, 20 in all"
    );
    assert_eq!(attempts(&mut admission, at(0), 10_000), 0);
    // One more each 1.5 s of one address, and each 6 s of one sender at it.
    assert_eq!(attempts(&mut admission, at(3), 10_000), 2);
    assert_eq!(attempts(&mut admission, at(6), 1), 1);
}

#[test]
fn t6_a_right_key_from_another_address_is_never_delayed() {
    let mut admission = Admission::new(AdmissionConfig::default());
    let victim = sender("123456789012");
    for n in 0..1_000_u32 {
        let attacker = Ipv4Addr::from_bits(0x0a00_0000 + n % 100).into();
        wrong_key(&mut admission, at(0), attacker, &victim);
    }
    let (mut ticket, _) = arrive(&mut admission, host(1));
    assert_eq!(
        admission.authenticating(at(0), &mut ticket, &victim),
        Ok(())
    );
    admission.succeeded(ticket);
    // Nor does it count that it was right.
    for _ in 0..100 {
        let (mut ticket, _) = arrive(&mut admission, host(1));
        assert_eq!(
            admission.authenticating(at(0), &mut ticket, &victim),
            Ok(())
        );
        admission.succeeded(ticket);
    }
}

#[test]
fn t6_a_wrong_key_of_one_sender_does_not_lock_out_its_neighbours() {
    let mut admission = Admission::new(AdmissionConfig::default());
    for _ in 0..100 {
        wrong_key(&mut admission, at(0), host(1), &sender("1"));
    }
    let (mut ticket, _) = arrive(&mut admission, host(1));
    let refused = admission
        .authenticating(at(0), &mut ticket, &sender("1"))
        .unwrap_err();
    assert_eq!(
        (refused.address, refused.after),
        (host(1), Duration::from_secs(6))
    );
    assert_eq!(
        refused.to_string(),
        "too many logins failed from 192.0.2.1; keys from there are looked at again in 6 s"
    );
    assert_eq!(
        admission.authenticating(at(0), &mut ticket, &sender("2")),
        Ok(())
    );
    admission.succeeded(ticket);
}

#[test]
fn t6_hanging_up_or_trying_again_on_one_connection_saves_no_guess() {
    let mut admission = Admission::new(AdmissionConfig::default());
    let (mut ticket, _) = arrive(&mut admission, host(1));
    let checked = (0..100)
        .filter(|_| {
            admission
                .authenticating(at(0), &mut ticket, &sender("1"))
                .is_ok()
        })
        .count();
    assert_eq!(checked, 5);
    // All at once, before any of them has failed: the debt is paid off later.
    let mut tickets: Vec<Ticket> = (0..64).map(|_| arrive(&mut admission, host(2)).0).collect();
    for ticket in &mut tickets {
        assert!(
            admission
                .authenticating(at(0), ticket, &sender("1"))
                .is_ok()
        );
    }
    for ticket in tickets {
        admission.ended(at(0), ticket);
    }
    assert!(!wrong_key(&mut admission, at(300), host(2), &sender("1")));
    assert!(wrong_key(&mut admission, at(360), host(2), &sender("1")));
}

#[test]
fn t6_what_is_remembered_of_failures_is_bounded() {
    let mut config = AdmissionConfig::default();
    config.remembered = 2;
    let mut admission = Admission::new(config);
    let exhaust = |admission: &mut Admission, host| {
        (0..5)
            .filter(|_| wrong_key(admission, at(0), host, &sender("1")))
            .count()
    };
    for n in 1..=2 {
        assert_eq!(exhaust(&mut admission, host(n)), 5);
    }
    assert_eq!(exhaust(&mut admission, host(1)), 0, "at the bound");
    assert_eq!(exhaust(&mut admission, host(3)), 5, "over it");
    assert_eq!(
        exhaust(&mut admission, host(2)),
        0,
        "failed later than the first"
    );
    assert_eq!(exhaust(&mut admission, host(1)), 5, "forgotten");
}
