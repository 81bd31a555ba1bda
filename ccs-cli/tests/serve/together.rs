//! The commands with one another, as in three terminals.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use ccs_tokio::{Downstream, connect};
use serde_json::Value;

use super::commands::{ccs, events, serve};
use super::support::{Serve, over_tls, read_until};

#[test]
fn three_terminals_and_no_option() {
    let (mut serve, _home) = serve(&[]);
    let mut listen = ccs(&serve, &["listen", "--count", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    serve.until("login");
    // A phone says something first.
    serve.tell(r#"{"op":"upstream","from":"phone-1","category":"com.example.app","data":{"hello":"server"}}"#);
    let mut line = String::new();
    BufReader::new(listen.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let heard: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(heard["event"], "upstream");
    assert_eq!(heard["from"], "phone-1");
    assert_eq!(heard["data"]["hello"], "server");
    assert_eq!(serve.until("upstream_acked")["from"], "phone-1");
    assert!(listen.wait().unwrap().success());

    let sent = ccs(
        &serve,
        &["send", "--to", "phone-1", "--data", "hello=phone"],
    )
    .output()
    .unwrap();
    assert!(sent.status.success(), "{sent:?}");
    assert_eq!(events(&sent)[0]["event"], "ack");
    assert_eq!(serve.until("delivered")["device"], "phone-1");

    let refused = ccs(&serve, &["send", "--to", "bad-1"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(7));
    assert_eq!(events(&refused)[0]["error"], "BAD_REGISTRATION");
}

#[test]
fn commands_outlive_drains_cuts_and_a_crash_of_the_endpoint() {
    let (mut serve, _home) = serve(&[]);
    let mut listen = ccs(&serve, &["listen", "--count", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    serve.until("login");
    // One is cut the first time that it is seen, one drains its connection once it is taken.
    for token in ["drop-1", "drain-1"] {
        let sent = ccs(&serve, &["send", "--to", token]).output().unwrap();
        assert!(sent.status.success(), "{token}: {sent:?}");
        let acks = events(&sent);
        let acks = acks.iter().filter(|event| event["event"] == "ack");
        assert_eq!(acks.count(), 1, "{token}: {sent:?}");
    }
    serve.crash_and_restart();
    serve.until("login");
    serve.tell(r#"{"op":"upstream","from":"phone-1","data":{"after":"the crash"}}"#);
    let stdout = BufReader::new(listen.stdout.take().unwrap());
    let heard: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    assert_eq!(heard.last().unwrap()["data"]["after"], "the crash");
    assert!(heard.iter().any(|event| event["event"] == "reconnecting"));
    assert!(listen.wait().unwrap().success());
    serve.until("upstream_acked");
}

#[test]
fn a_broadcast_reaches_every_phone_of_a_file() {
    let (serve, home) = serve(&["--window", "10"]);
    let file = home.path().join("tokens");
    let tokens: Vec<_> = (1..=200).map(|n| format!("phone-{n}")).collect();
    std::fs::write(&file, tokens.join("\n") + "\nbad-1\n").unwrap();
    let output = ccs(&serve, &["broadcast", "--to-file"])
        .arg(&file)
        .args(["--data", "n=1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let events = events(&output);
    let summary = events.last().unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!(summary["accepted"], 200);
    assert_eq!(summary["refused"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn strictness_is_for_those_who_look_for_their_clients_faults() {
    let body = |json: &str| {
        format!("<message id=\"\"><gcm xmlns=\"google:mobile:data\">{json}</gcm></message>")
    };
    for (stanza, what, tolerated, refused) in [
        (
            body(r#"{"to":"phone-1","message_id":"m","time_to_live":"600"}"#),
            "text_time_to_live",
            "ack",
            "invalid",
        ),
        (
            body(r#"{"to":"phone-1","message_id":7}"#),
            "numeric_message_id",
            "ack",
            "invalid",
        ),
        (
            body(r#"{"to":"phone-1","message_id":"u","message_type":"nack"}"#),
            "nack",
            "ignored",
            "invalid",
        ),
        (
            body(r#"{"to":"gcm.googleapis.com","message_id":"dr2:x","message_type":"ack"}"#),
            "late_receipt_ack",
            "ignored",
            "invalid",
        ),
        ("\\n".to_owned(), "stray_text", "ignored", "closed"),
        (
            (1..=101)
                .map(|n| body(&format!(r#"{{"to":"silent-1","message_id":"m-{n}"}}"#)))
                .collect(),
            "beyond_window",
            "downstream",
            "closed",
        ),
    ] {
        let mut lenient = Serve::start(&[]);
        raw(&lenient, &stanza);
        lenient.until("login");
        lenient.until(tolerated);

        let mut strict = Serve::start(&["--strict"]);
        raw(&strict, &stanza);
        let connection = strict.until("login")["connection"].clone();
        let fault = strict.until("fault");
        assert_eq!(fault["what"], what, "{fault}");
        assert_eq!(fault["connection"], connection);
        assert_eq!(strict.until(refused)["connection"], connection);
        // Whoever keeps to the protocol is served all the same.
        let (client, _incoming) = connect(strict.config()).await.unwrap();
        client.send(Downstream::to("phone-1")).await.unwrap();
    }
}

#[test]
fn a_message_whose_ack_may_be_lost_is_delivered_once() {
    let mut serve = Serve::start(&[]);
    let stanza = r#"<message><gcm xmlns="google:mobile:data">{"to":"phone-1","message_id":"m"}</gcm></message>"#;
    raw(&serve, stanza);
    serve.until("delivered");
    serve.tell(r#"{"op":"drop"}"#);
    serve.until("closed");
    raw(&serve, stanza);
    assert_eq!(serve.until("ack")["message_id"], "m");
    assert_eq!(serve.until("sent_again")["message_id"], "m");
    serve.signal("-TERM");
    let (rest, _, _) = serve.end();
    let counts = rest.last().unwrap();
    assert_eq!(
        (&counts["acks"], &counts["delivered"]),
        (&2.into(), &1.into())
    );
}

/// Logs in by hand and says one thing, in a thread of its own that ends with the process.
fn raw(serve: &Serve, stanza: &str) {
    let config = serve.config();
    let ca = std::fs::read_to_string(serve.listening["ca"].as_str().unwrap()).unwrap();
    let address = (config.host.clone(), config.port);
    let (sender, key) = (config.client.sender.clone(), config.client.key.clone());
    let stanza = stanza.to_owned();
    std::thread::spawn(move || {
        let tcp = TcpStream::connect(address).unwrap();
        let mut tls = over_tls(tcp, &ca);
        let plain = format!("\0{sender}\0{}", key.expose());
        let auth = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, plain);
        let header = "<stream:stream to='x' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>";
        for (say, wait) in [
            (header.to_owned(), "</stream:features>"),
            (
                format!(
                    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{auth}</auth>"
                ),
                "<success",
            ),
            (header.to_owned(), "</stream:features>"),
            (
                "<iq type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>".to_owned(),
                "</iq>",
            ),
        ] {
            tls.write_all(say.as_bytes()).unwrap();
            read_until(&mut tls, wait);
        }
        tls.write_all(stanza.as_bytes()).unwrap();
        // Stays until the endpoint ends it.
        let _ = tls.read_to_end(&mut Vec::new());
    });
}
