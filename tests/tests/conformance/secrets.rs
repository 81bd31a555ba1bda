//! What is shown of a connection, and that the key is not.

use std::sync::{Arc, Mutex};

use ccs_proto::{Direction, Tap};
use futures_util::future::join;

use crate::ends::{KEY, client_config, downstream, message, pair, received, upstream};
use crate::link::Link;
use crate::runtime::Run;

pub async fn the_tap_sees_both_ways_and_never_the_key<R: Run, L: Link<R>>() {
    let shown = Arc::new(Mutex::new(Vec::new()));
    let mut config = client_config();
    let seen = Arc::clone(&shown);
    config.tap = Some(Tap::new(move |_, direction, stanza| {
        let shown = (direction, stanza.to_owned());
        seen.lock().expect("whole").push(shown);
    }));
    let printed = format!("{config:?}");
    let (client, mut incoming, peer, mut events) = pair::<R, L>(config).await;
    let (accepted, ()) = join(client.send(message(1)), async {
        let (_, token) = downstream(&mut events).await;
        peer.ack(token, None).expect("open");
    })
    .await;
    accepted.expect("accepted");
    peer.send(upstream(5)).await.expect("sent");
    received(&mut incoming).await.ack().expect("open");
    let printed = format!("{printed} {client:?} {peer:?} {incoming:?}");
    client.close().await.expect("in order");
    let shown = shown.lock().expect("whole").clone();
    let has = |way: Direction, text: &str| {
        shown
            .iter()
            .any(|(shown, stanza)| *shown == way && stanza.contains(text))
    };
    let (out, back) = (Direction::Out, Direction::In);
    assert!(has(out, "<auth"), "that there was a login is shown");
    assert!(has(out, "\"message_id\":\"d-1\""));
    assert!(has(back, "\"message_type\":\"ack\""));
    assert!(has(back, "\"message_id\":\"u-5\""));
    assert!(has(out, "\"message_type\":\"ack\""));
    assert!(has(out, "</stream:stream>") && has(back, "</stream:stream>"));
    let all: String = shown.into_iter().map(|(_, stanza)| stanza).collect();
    for form in forms_of(KEY) {
        assert!(!all.contains(&form), "the tap was shown {form}");
        assert!(!printed.contains(&form), "Debug shows {form}");
    }
}

/// A secret in clear and as base64 has it, wherever it stands in the text that was encoded.
fn forms_of(secret: &str) -> Vec<String> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = secret
        .bytes()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    // Digits that hold bits of the secret alone.
    let aligned = [0, 4, 2].map(|skipped| {
        let digits = bits[skipped..].chunks_exact(6);
        digits
            .map(|six| DIGITS[six.iter().fold(0, |n, bit| n << 1 | usize::from(*bit))] as char)
            .collect()
    });
    [secret.to_owned()].into_iter().chain(aligned).collect()
}

#[test]
fn the_three_alignments_are_those_of_base64() {
    let [clear, first, second, third] = &forms_of("secret")[..] else {
        panic!("four forms");
    };
    // "secret", "\0secret" and "\0\0secret" in base64.
    assert_eq!(clear, "secret");
    assert!("c2VjcmV0".contains(first.as_str()) && first.len() == 8);
    assert!("AHNlY3JldA==".contains(second.as_str()) && second.len() == 7);
    assert!("AABzZWNyZXQ=".contains(third.as_str()) && third.len() == 7);
}
