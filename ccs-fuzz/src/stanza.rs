//! Every message, answer, receipt and ack that one role writes, the other role reads as the same, whatever text is in it.

use std::time::Duration;

use ccs_proto::message::{
    Data, Downstream, EncodedDownstream, MessageId, NackCode, Notification, Priority, Receipt,
    RegistrationToken, Upstream,
};
use ccs_proto::{ClientEvent, NotSent, Outcome, ServerEvent};
use ccs_tests::pair::Pair;

use crate::input::Input;

/// The first byte of a case: which stanza, and what is set. Then texts, each with its length before it.
pub fn run(case: &[u8]) {
    let mut input = Input(case);
    let head = input.byte();
    match head & 3 {
        0 => answered(head, &mut input),
        1 => upstream(head, &mut input),
        2 => receipt(head, &mut input),
        _ => unreadable(&mut input),
    }
}

/// A message there, its ack or nack back.
fn answered(head: u8, input: &mut Input<'_>) {
    let Some(encoded) = encoded(head, input) else {
        return;
    };
    let (id, message) = (encoded.id().clone(), encoded.message().clone());
    let mut pair = Pair::bound();
    send(&mut pair, encoded);
    let Some((got_id, got, token)) = pair.downstreams().pop() else {
        panic!("{id:?} was refused: {:?}", pair.server_events);
    };
    assert_eq!((&got_id, &got), (&id, &message));

    let words = input.text();
    let outcome = if head & 4 == 0 {
        let canonical = (head & 8 != 0).then(|| RegistrationToken::from(words.as_str()));
        assert_eq!(pair.server.ack(token, canonical.as_ref()), Ok(()));
        let Outcome::Accepted(ack) = answer(&mut pair, &id) else {
            panic!("no ack");
        };
        assert_eq!(ack.canonical, canonical);
        ack.from
    } else {
        let code = NackCode::Other(input.text().into());
        assert_eq!(pair.server.nack(token, &code, &words), Ok(()));
        let Outcome::Refused(nack) = answer(&mut pair, &id) else {
            panic!("no nack");
        };
        assert_eq!(nack.error, code.as_str());
        assert_eq!(nack.description.as_deref(), Some(words.as_str()));
        nack.from
    };
    assert_eq!(outcome.as_deref(), Some(message.target().as_str()));
}

fn upstream(head: u8, input: &mut Input<'_>) {
    let mut sent = Upstream::new(input.text(), input.text()).with_data(data(input));
    if head & 4 != 0 {
        sent = sent.with_category(input.text());
    }
    if head & 8 != 0 {
        sent = sent.with_time_to_live(input.byte().into());
    }
    let mut pair = Pair::bound();
    assert_eq!(pair.server.send(sent.clone()), Ok::<(), NotSent<_>>(()));
    pair.drive();
    let Some(ClientEvent::Upstream { message, token }) = pair.client_events.pop() else {
        panic!("{sent:?} does not arrive");
    };
    assert_eq!(message, sent);
    assert_eq!(pair.client.ack(token), Ok(()));
    pair.drive();
    // The id of nothing is no id: such a message cannot be acked.
    if sent.message_id().as_str().is_empty() {
        return;
    }
    match pair.server_events.pop() {
        Some(ServerEvent::Acked(done)) => assert_eq!(done, sent),
        other => panic!("{sent:?} is acked and {other:?}"),
    }
}

fn receipt(head: u8, input: &mut Input<'_>) {
    let mut sent = Receipt::new(&input.text().into(), input.text(), input.byte().into());
    if head & 4 != 0 {
        sent = sent.with_category(input.text());
    }
    let mut pair = Pair::bound();
    assert_eq!(pair.server.send_receipt(sent.clone()), Ok(()));
    pair.drive();
    let Some(ClientEvent::Receipt { receipt, token }) = pair.client_events.pop() else {
        panic!("{sent:?} does not arrive");
    };
    assert_eq!(receipt, sent);
    assert_eq!(pair.client.ack(token), Ok(()));
    pair.drive();
    match pair.server_events.pop() {
        Some(ServerEvent::ReceiptAcked(done)) => assert_eq!(done, sent),
        other => panic!("{sent:?} is acked and {other:?}"),
    }
}

/// A message that breaks on its way comes back as a stanza error, which settles it.
fn unreadable(input: &mut Input<'_>) {
    let id = MessageId::from(format!("m{}", input.text()));
    let Ok(message) = Downstream::to("T").encode(id.clone()) else {
        return;
    };
    let carries = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    let is_named = id.as_str().chars().all(carries);
    let mut pair = Pair::bound();
    pair.upwards.open = false;
    let Ok(permit) = pair.client.reserve() else {
        panic!("a free place")
    };
    assert!(permit.send(message).is_ok());
    let mut out = bytes::BytesMut::new();
    assert!(pair.client.poll_transmit(pair.now, &mut out));
    let stanza = String::from_utf8_lossy(&out).into_owned();
    let mut broken = bytes::BytesMut::new();
    ccs_proto::internals::push_text(&mut broken, &input.text());
    let broken = format!("x{}</gcm>", String::from_utf8_lossy(&broken));
    let broken = match stanza.rsplit_once("</gcm>") {
        Some((start, end)) => format!("{start}{broken}{end}"),
        None => panic!("no end in {stanza}"),
    };
    pair.server_reads(&broken);
    pair.drive();
    match pair.client_events.pop() {
        Some(ClientEvent::Answered {
            message_id,
            outcome: Outcome::Rejected(error),
        }) if is_named => {
            assert_eq!((message_id, error.code), (id, Some(400)));
        }
        Some(ClientEvent::Ignored(_)) if !is_named => {}
        other => panic!("{broken}: {other:?}"),
    }
}

fn send(pair: &mut Pair, message: EncodedDownstream) {
    match pair.client.reserve() {
        Ok(permit) => assert!(permit.send(message).is_ok()),
        Err(why) => panic!("{why}"),
    }
    pair.drive();
}

fn answer(pair: &mut Pair, id: &MessageId) -> Outcome {
    pair.drive();
    match pair.client_events.pop() {
        Some(ClientEvent::Answered {
            message_id,
            outcome,
        }) if message_id == *id => outcome,
        other => panic!("no answer to {id:?}: {other:?}"),
    }
}

/// Nothing, if it breaks a rule of the protocol.
fn encoded(head: u8, input: &mut Input<'_>) -> Option<EncodedDownstream> {
    let id = MessageId::from(input.text());
    let mut message = Downstream::to(input.text()).with_data(data(input));
    if head & 16 != 0 {
        let (title, body, place) = (input.text(), input.text(), input.text());
        let shown = Notification::new().title(title).body(body);
        message = message.notification(shown.body_loc_key("KEY").body_loc_args([place]));
    }
    if head & 32 != 0 {
        message = message
            .collapse_key(input.text())
            .time_to_live(Duration::from_secs(input.byte().into()))
            .priority(Priority::High);
    }
    if head & 64 != 0 {
        message = message.receipt_requested(true).delay_while_idle(false);
    }
    if head & 128 != 0 {
        message = message
            .dry_run(true)
            .content_available(true)
            .mutable_content(false);
    }
    message.encode(id).ok()
}

fn data(input: &mut Input<'_>) -> Data {
    let pairs = (0..input.byte() & 3).map(|_| (input.text(), input.text()));
    pairs.collect()
}
