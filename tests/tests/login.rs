//! From the first byte to the bound stream: how it succeeds, and every way in which it does not.

use std::time::Duration;

use bytes::BytesMut;
use ccs_proto::{
    ApiKey, ConnectionError, ServerConfig, ServerEvent, StreamCondition, TransportSecurity,
};
use ccs_tests::pair::{KEY, Pair, SENDER, client_config};

const SERVER_HEADER: &str = "<stream:stream from=\"x\" id=\"1\" version=\"1.0\" \
     xmlns:stream=\"http://etherx.jabber.org/streams\" xmlns=\"jabber:client\">";
const CLIENT_HEADER: &str = "<stream:stream to=\"x\" version=\"1.0\" xmlns=\"jabber:client\" \
     xmlns:stream=\"http://etherx.jabber.org/streams\">";
const PLAIN: &str = "<stream:features><mechanisms xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\">\
     <mechanism>PLAIN</mechanism></mechanisms></stream:features>";
const SUCCESS: &str = "<success xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\"/>";
const BIND: &str =
    "<stream:features><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\"/></stream:features>";

fn pair() -> Pair {
    Pair::new(client_config(), ServerConfig::default())
}

/// A client that talks to a script instead of its server.
fn scripted(script: &[&str]) -> Pair {
    let mut pair = pair();
    for bytes in script {
        client_writes(&mut pair);
        pair.client_reads(bytes);
    }
    pair
}

fn client_writes(pair: &mut Pair) -> String {
    let mut out = BytesMut::new();
    while pair.client.poll_transmit(pair.now, &mut out) {}
    String::from_utf8(out.to_vec()).unwrap()
}

fn server_writes(pair: &mut Pair) -> String {
    let mut out = BytesMut::new();
    while pair.server.poll_transmit(pair.now, &mut out) {}
    String::from_utf8(out.to_vec()).unwrap()
}

fn condition(end: Option<Result<(), ConnectionError>>) -> Option<StreamCondition> {
    match end {
        Some(Err(ConnectionError::Protocol { condition, .. })) => Some(condition),
        _ => None,
    }
}

#[test]
fn both_ends_agree_on_who_is_bound_and_under_which_name() {
    let mut config = client_config();
    config.resource = Some("worker".to_owned());
    let mut pair = Pair::new(config, ServerConfig::default());
    pair.drive();
    let jid = format!("bound {SENDER}@gcm.googleapis.com/worker07070707");
    let (client, server) = (pair.client_log(), pair.server_log());
    assert_eq!(client, [jid]);
    assert_eq!(server, client);
}

#[test]
fn the_login_names_the_sender_and_shows_the_key_to_the_server_only() {
    let mut pair = pair();
    pair.accepts = false;
    pair.drive();
    let Some(ServerEvent::Login(request)) = pair.server_events.pop() else {
        panic!("no login");
    };
    assert_eq!(request.sender().as_str(), SENDER);
    assert!(request.key().matches(&ApiKey::from(KEY)));
    assert!(!format!("{request:?}{pair:?}").contains(KEY));
    assert!(
        !pair.server.wants_input(),
        "nothing is read while it is decided"
    );
    pair.server.accept(pair.now, request).unwrap();
    pair.drive();
    assert!(pair.client.is_bound());
}

#[test]
fn a_login_domain_and_a_session_are_sent_only_if_they_are_set() {
    let mut config = client_config();
    config.login_domain = Some("fcm.googleapis.com".to_owned());
    config.session = true;
    let mut pair = Pair::new(config, ServerConfig::default());
    pair.drive();
    assert_eq!(
        pair.client_log(),
        [format!("bound {SENDER}@fcm.googleapis.com/07070707")]
    );
    assert!(pair.upwards.text().contains("<session"));
    assert!(!Pair::bound().upwards.text().contains("<session"));
}

#[test]
fn every_element_of_the_login_is_a_write_of_its_own() {
    let mut pair = pair();
    pair.server_reads(CLIENT_HEADER);
    let mut out = BytesMut::new();
    assert!(pair.server.poll_transmit(pair.now, &mut out));
    assert!(out.starts_with(b"<stream:stream") && !out.ends_with(b"features>"));
    assert!(pair.server.poll_transmit(pair.now, &mut out));
    assert!(out.ends_with(b"</stream:features>"));
    assert!(!pair.server.poll_transmit(pair.now, &mut out));
}

#[test]
fn a_key_is_never_sent_over_a_transport_that_is_not_verified() {
    let mut pair = Pair::over(
        TransportSecurity::Unverified,
        client_config(),
        ServerConfig::default(),
    );
    pair.drive();
    assert_eq!(
        pair.client.end(),
        Some(Err(ConnectionError::InsecureTransport))
    );
    assert!(!pair.upwards.text().contains("<auth"));
    assert!(pair.server.is_closed());
}

#[test]
fn a_key_is_never_sent_to_who_does_not_offer_plain() {
    let offer = PLAIN.replace("PLAIN", "X-OAUTH2");
    let mut pair = scripted(&[SERVER_HEADER, &offer]);
    assert_eq!(client_writes(&mut pair), "</stream:stream>");
    let offered = vec!["X-OAUTH2".to_owned()];
    assert_eq!(
        pair.client.end(),
        Some(Err(ConnectionError::NoPlain { offered }))
    );
}

#[test]
fn a_refused_key_ends_both_ends_with_the_same_reason() {
    let mut pair = pair();
    pair.accepts = false;
    pair.drive();
    let Some(ServerEvent::Login(request)) = pair.server_events.pop() else {
        panic!("no login");
    };
    pair.server.reject(pair.now, request).unwrap();
    pair.drive();
    let refused = ConnectionError::LoginRefused {
        sender: SENDER.to_owned(),
        condition: "not-authorized".to_owned(),
    };
    assert_eq!(pair.client.end(), Some(Err(refused.clone())));
    assert_eq!(pair.server.end(), Some(Err(refused)));
    assert!(
        pair.downwards
            .text()
            .ends_with("</failure></stream:stream>")
    );
}

#[test]
fn a_login_is_decided_only_by_the_connection_that_asked() {
    let mut here = pair();
    here.accepts = false;
    here.drive();
    let Some(ServerEvent::Login(request)) = here.server_events.pop() else {
        panic!("no login");
    };
    // The bound pair's server is connection 2 as well, but it asks nothing.
    let mut there = Pair::bound();
    let request = there.server.accept(there.now, request).unwrap_err();
    let request = there.server.reject(there.now, request).unwrap_err();
    here.server.accept(here.now, request).unwrap();
    here.drive();
    assert!(here.client.is_bound());
}

#[test]
fn a_refused_bind_says_why() {
    let refusal = "<iq type=\"error\" id=\"bind-1\"><error type=\"cancel\">\
         <not-allowed xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/></error></iq>";
    let mut pair = scripted(&[SERVER_HEADER, PLAIN, SUCCESS, SERVER_HEADER, BIND, refusal]);
    assert_eq!(client_writes(&mut pair), "</stream:stream>");
    let condition = "not-allowed".to_owned();
    assert_eq!(
        pair.client.end(),
        Some(Err(ConnectionError::BindRefused { condition }))
    );
}

#[test]
fn a_bind_result_without_an_id_binds() {
    let bound = "<iq type=\"result\"><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\">\
         <jid>a@b/c</jid></bind></iq>";
    let mut pair = scripted(&[SERVER_HEADER, PLAIN, SUCCESS, SERVER_HEADER, BIND, bound]);
    assert_eq!(pair.client_log(), ["bound a@b/c"]);
}

#[test]
fn a_message_before_the_bind_is_no_message() {
    let stanza = "<message><gcm xmlns=\"google:mobile:data\">{}</gcm></message>";
    let mut server = pair();
    server.server_reads(&format!("{CLIENT_HEADER}{stanza}"));
    let said = server_writes(&mut server);
    assert!(said.contains("<not-authorized"), "{said}");
    assert_eq!(
        condition(server.server.end()),
        Some(StreamCondition::NotAuthorized)
    );

    let mut client = scripted(&[SERVER_HEADER, stanza]);
    assert!(client_writes(&mut client).ends_with("</stream:stream>"));
    assert!(matches!(
        client.client.end(),
        Some(Err(ConnectionError::Protocol { .. }))
    ));
}

#[test]
fn messages_accepted_before_the_bind_go_out_after_it() {
    let mut pair = pair();
    pair.accept("m-1");
    pair.drive();
    assert_eq!(
        pair.server_log()[1..],
        ["downstream m-1"],
        "behind the login"
    );
    assert_eq!(pair.client.in_flight(), 1);
}

#[test]
fn a_handshake_that_stands_still_ends_in_both_roles() {
    let mut pair = pair();
    pair.accepts = false;
    pair.advance(Duration::from_millis(14_999));
    assert!(!pair.client.is_closed() && !pair.server.is_closed());
    pair.advance(Duration::from_millis(1));
    let after = Duration::from_secs(15);
    let timeout = Some(Err(ConnectionError::HandshakeTimeout { after }));
    assert_eq!(pair.client.end(), timeout);
    assert_eq!(pair.server.end(), timeout);
}

#[test]
fn a_server_that_hears_nothing_opens_its_stream_to_end_it() {
    let mut pair = pair();
    pair.upwards.open = false;
    pair.advance(Duration::from_secs(15));
    let said = pair.downwards.text();
    assert!(
        said.starts_with("<stream:stream ") && said.ends_with("</stream:stream>"),
        "{said}"
    );
}

#[test]
fn two_ends_that_hear_nothing_of_each_other_both_come_to_an_end() {
    let mut pair = pair();
    pair.upwards.open = false;
    pair.downwards.open = false;
    while pair.step() {}
    assert!(pair.client.is_closed() && pair.server.is_closed());
    assert_eq!(pair.now.since_origin(), Duration::from_secs(20));
}

#[test]
fn bytes_before_the_login_are_bounded() {
    for flood in [
        format!("{CLIENT_HEADER}<auth>{}", "A".repeat(8192)),
        format!("{CLIENT_HEADER}{}", " ".repeat(8192)),
    ] {
        let mut pair = pair();
        pair.server_reads(&flood);
        assert!(server_writes(&mut pair).contains("<policy-violation"));
        assert_eq!(
            condition(pair.server.end()),
            Some(StreamCondition::PolicyViolation)
        );
    }
}

#[test]
fn bytes_that_wait_for_the_decision_count_as_well() {
    let mut pair = pair();
    pair.accepts = false;
    pair.drive();
    pair.server_reads(&" ".repeat(8192));
    server_writes(&mut pair);
    assert_eq!(
        condition(pair.server.end()),
        Some(StreamCondition::PolicyViolation)
    );
}
