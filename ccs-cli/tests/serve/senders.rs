//! `--senders`: several app servers on one endpoint.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ccs_tokio::{ApiKey, Config, Downstream, connect};
use tempfile::TempDir;

use super::support::Serve;
use super::upstream;

/// An endpoint for two senders, the second of which may have one connection.
fn serve(folder: &Path) -> Serve {
    let file = folder.join("senders.toml");
    let text = r#"
        [[sender]]
        id = "111"
        key_file = "first.key"
        [[sender]]
        id = "222"
        key_file = "second.key"
        connections = 1
        window = 10
    "#;
    fs::write(&file, text).unwrap();
    for name in ["first", "second"] {
        let key = folder.join(format!("{name}.key"));
        fs::write(&key, format!("key of {name}\n")).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    }
    Serve::start_in(
        &folder.join("state"),
        &["--senders", file.to_str().unwrap()],
    )
}

fn config(serve: &Serve, sender: &str, name: &str) -> Config {
    let key = ApiKey::from(format!("key of {name}"));
    serve.config_of(sender.parse().unwrap(), key)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sender_has_its_key_its_devices_and_its_queue() {
    let folder = TempDir::new().unwrap();
    let mut serve = serve(folder.path());
    assert_eq!(
        serve.listening["senders"],
        serde_json::json!(["111", "222"])
    );
    assert!(connect(config(&serve, "111", "second")).await.is_err());
    assert_eq!(serve.until("refused")["reason"], "the key is wrong");
    assert!(connect(config(&serve, "333", "first")).await.is_err());
    assert_eq!(serve.until("refused")["reason"], "the sender is not known");

    let (first, mut first_in) = connect(config(&serve, "111", "first")).await.unwrap();
    let (second, mut second_in) = connect(config(&serve, "222", "second")).await.unwrap();
    serve.tell(r#"{"op":"upstream","from":"phone-1"}"#);
    let error = serve.until("error");
    assert!(
        error["error"].as_str().unwrap().contains("sender"),
        "{error}"
    );
    for sender in ["111", "222"] {
        serve.tell(&format!(
            r#"{{"op":"upstream","sender":"{sender}","from":"phone-1","message_id":"u","data":{{"for":"{sender}"}}}}"#
        ));
    }
    for (incoming, sender) in [(&mut first_in, "111"), (&mut second_in, "222")] {
        let message = upstream(incoming).await;
        assert_eq!(message.data().unwrap().get("for").unwrap(), sender);
        message.ack().unwrap();
    }

    // A token is another device with each sender; the phone behind both comes and goes.
    for client in [&first, &second] {
        client.send(Downstream::to("offline-1")).await.unwrap();
        serve.until("stored");
    }
    serve.tell(r#"{"op":"online","device":"offline-1"}"#);
    serve.until("delivered");
    serve.until("delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_has_no_more_connections_than_it_may() {
    let folder = TempDir::new().unwrap();
    let mut serve = serve(folder.path());
    let (_only, _in) = connect(config(&serve, "222", "second")).await.unwrap();
    serve.until("login");
    let _excess = connect(config(&serve, "222", "second")).await;
    let excess = serve.until("login")["connection"].clone();
    let closed = serve.until("closed");
    assert_eq!(closed["connection"], excess);
    let why = closed["error"].as_str().unwrap();
    assert!(
        why.contains("more than 1 connections of this sender"),
        "{why}"
    );
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("senders.toml");
    for (text, why) in [
        ("", "missing field `sender`"),
        ("sender = []", "there is no [[sender]]"),
        (
            "[[sender]]\nid = \"x\"\nkey_file = \"k\"",
            "is no sender id",
        ),
        ("[[sender]]\nid = \"1\"\nkey_file = \"k\"", "No such file"),
        ("[[sender]]\nkey = \"CANARY\"", "unknown field `key`"),
        (
            "[[sender]]\nid = \"1\"\nkey_file = \"k\"\nconnections = 0",
            "may have nothing",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let output = super::support::command(folder.path(), &["--senders", path.to_str().unwrap()])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}: {said}");
        assert!(
            said.contains("senders.toml") || said.contains("/k:"),
            "{said}"
        );
        assert!(said.contains(why), "{text}: {said}");
        assert!(!said.contains("CANARY"), "a key in the wrong place: {said}");
    }
}
