//! Every exit code, provoked on purpose.

use std::io::Write;
use std::net::TcpListener;

use tokio::process::Command;

use crate::endpoint::{Greeting, Running, Seen, certificates, folder, start, write_private};
use crate::run::{bare, ccs, run};

/// Runs the command and compares its exit code and a part of what it says.
async fn ends(command: Command, code: i32, says: &str) {
    let shown = format!("{command:?}");
    let ran = run(command).await;
    assert_eq!(ran.code, code, "{shown}: {ran:?}");
    assert!(ran.stderr.contains(says), "{shown}: {ran:?}");
}

fn send(endpoint: &Running, to: &str) -> Command {
    ccs(endpoint, &["send", "--to", to, "--timeout", "1"])
}

/// A port where nobody listens: taken, and given back.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

/// A listener that says nothing, and one that hangs up at once.
fn silent_and_deaf() -> (TcpListener, String, String) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port().to_string();
    let ports = (port(&silent), port(&deaf));
    std::thread::spawn(move || deaf.incoming().for_each(drop));
    (silent, ports.0, ports.1)
}

/// A port where somebody answers in clear.
fn plain_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        if let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn every_exit_code() {
    let endpoint = start(Greeting::default()).await;
    let other_ca = folder().join("other.pem");
    std::fs::write(&other_ca, certificates().0).unwrap();
    let other_ca = other_ca.to_str().unwrap();
    let other_key = folder().join("other-key");
    write_private(&other_key, "wrong\n");
    let other_key = other_key.to_str().unwrap();

    ends(send(&endpoint, "phone-1"), 0, "").await;
    let listen = ccs(&endpoint, &["listen", "--count", "0"]);
    ends(listen, 2, "--count").await;
    ends(ccs(&endpoint, &["send"]), 2, "one of --to").await;
    ends(bare(&["send", "--to", "x"]), 2, "no sender id").await;
    let wrong_key = ccs(&endpoint, &["send", "--to", "x", "--key-file", other_key]);
    ends(wrong_key, 3, other_key).await;
    let wrong_sender = ccs(&endpoint, &["listen", "--sender", "1"]);
    ends(wrong_sender, 3, "--sender or CCS_SENDER").await;
    let wrong_ca = ccs(&endpoint, &["send", "--to", "x", "--ca", other_ca]);
    ends(wrong_ca, 4, "--ca").await;
    let wrong_name = ccs(&endpoint, &["listen", "--server-name", "example.com"]);
    ends(wrong_name, 4, "--server-name").await;
    let plain = ccs(&endpoint, &["send", "--to", "x", "--port", &plain_port()]);
    ends(plain, 4, "TLS").await;
    let nobody = ccs(
        &endpoint,
        &["listen", "--retry-for", "1", "--port", &closed_port()],
    );
    ends(nobody, 5, "cannot be reached").await;
    let (_silent, silent, deaf) = silent_and_deaf();
    let unheard = ccs(
        &endpoint,
        &["send", "--to", "x", "--retry-for", "1", "--port", &silent],
    );
    ends(unheard, 5, "does not answer").await;
    for command in [&["bench"][..], &["send", "--to", "x", "--retry-for", "1"]] {
        let hung_up = [command, &["--port", &deaf]].concat();
        ends(ccs(&endpoint, &hung_up), 5, "is an endpoint running there?").await;
    }
    ends(
        ccs(&endpoint, &["send", "--to", "x", "--port", "0"]),
        2,
        "--port",
    )
    .await;
    let folder = folder();
    let folder = folder.to_str().unwrap();
    let no_file = ccs(&endpoint, &["send", "--to", "x", "--key-file", folder]);
    ends(no_file, 2, "is no file").await;
    let nowhere = bare(&["serve", "--listen", "nowhere", "--state-dir", folder]);
    ends(nowhere, 2, "nowhere").await;
    let cut = ccs(&endpoint, &["send", "--to", "cut-1", "--retry-for", "1"]);
    ends(cut, 5, "outcome unknown").await;
    ends(send(&endpoint, "silent-1"), 6, "--timeout").await;
    let nothing = ccs(&endpoint, &["listen", "--timeout", "1"]);
    ends(nothing, 6, "--timeout").await;
    ends(send(&endpoint, "bad-1"), 7, "refused").await;
    let busy = ccs(&endpoint, &["send", "--to", "busy-1", "--retry-for", "1"]);
    ends(busy, 7, "refused").await;
    let broken = ccs(&endpoint, &["send", "--to", "broken-1"]);
    ends(broken, 8, "invalid-xml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_is_cut_off_connects_again_and_knows_what_it_had() {
    let mut endpoint = start(Greeting {
        upstream: vec![ccs_tokio::Upstream::new("phone-1", "u-1")],
        cut_after: Some(1),
        ..Greeting::default()
    })
    .await;
    let listening = run(ccs(&endpoint, &["listen", "--timeout", "4"]));
    let ran = listening.await;
    assert_eq!(ran.code, 6, "{ran:?}");
    let events = ran.events(&["message_id"]);
    assert_eq!(events[..2], ["upstream u-1", "reconnecting"], "{ran:?}");
    // The copy on the next connection is acked, and not printed again.
    assert!(
        !events[2..]
            .iter()
            .any(|event| event.starts_with("upstream")),
        "{ran:?}"
    );
    for _ in 0..2 {
        let acked = Seen::Acked("u-1".to_owned());
        assert_eq!(endpoint.until_closed().await, [acked, Seen::Closed]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_go_before_the_environment_and_that_before_the_state_folder() {
    let endpoint = start(Greeting::default()).await;
    let key = endpoint.state_file("key");
    let send = |arguments: &[&str]| ccs(&endpoint, &[&["send", "--to", "x"], arguments].concat());

    let mut environment = send(&[]);
    environment.env("CCS_SENDER", "1");
    ends(environment, 3, "CCS_SENDER").await;
    let mut flag = send(&["--sender", crate::endpoint::SENDER]);
    flag.env("CCS_SENDER", "1");
    ends(flag, 0, "").await;
    let mut key_itself = send(&[]);
    key_itself.env("CCS_KEY", "wrong");
    ends(key_itself, 3, "the key from CCS_KEY;").await;
    let mut key_file = send(&["--key-file", key.to_str().unwrap()]);
    key_file.env("CCS_KEY", "wrong");
    ends(key_file, 0, "").await;
    let mut host = send(&["--host", "localhost"]);
    host.env("CCS_HOST", "nowhere.invalid");
    ends(host, 0, "").await;
}
