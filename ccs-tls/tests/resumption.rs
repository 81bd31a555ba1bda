//! What a [`Trust`] has learned of an endpoint saves work with the next connection.

use std::io::Read;

use ccs_tls::{Connect, Identity, Trust};
use rustls::{ClientConnection, HandshakeKind, ServerConnection};

/// Shakes hands in memory, and lets the endpoint's tickets come.
fn shake_hands(trust: &Trust, identity: &Identity) -> Option<HandshakeKind> {
    let Connect { config, name } = trust.connect("localhost").unwrap();
    let mut client = ClientConnection::new(config, name).unwrap();
    let mut server = ServerConnection::new(identity.accept()).unwrap();
    while client.wants_write() || server.wants_write() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        feed(&bytes, |input| server.read_tls(input));
        server.process_new_packets().unwrap();
        bytes.clear();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        feed(&bytes, |input| client.read_tls(input));
        client.process_new_packets().unwrap();
    }
    client.handshake_kind()
}

fn feed(mut bytes: &[u8], mut read: impl FnMut(&mut dyn Read) -> std::io::Result<usize>) {
    while !bytes.is_empty() {
        read(&mut bytes).unwrap();
    }
}

#[test]
fn a_clone_resumes_and_a_trust_of_its_own_does_not() {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (issued.cert.pem(), issued.signing_key.serialize_pem());
    let identity = Identity::new(cert.as_bytes(), key.as_bytes()).unwrap();
    let trust = Trust::only(cert.as_bytes()).unwrap();
    let first = shake_hands(&trust, &identity);
    assert_eq!(first, Some(HandshakeKind::Full));
    let second = shake_hands(&trust.clone(), &identity);
    assert_eq!(second, Some(HandshakeKind::Resumed));
    let of_its_own = Trust::only(cert.as_bytes()).unwrap();
    let third = shake_hands(&of_its_own, &identity);
    assert_eq!(third, Some(HandshakeKind::Full));
}
