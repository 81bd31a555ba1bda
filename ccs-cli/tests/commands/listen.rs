//! `ccs listen`.

use ccs_tokio::{Data, Upstream};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::endpoint::{Greeting, Running, Seen, folder, receipt, start};
use crate::run::{self, ccs, run};

fn message(id: &str) -> Upstream {
    Upstream::new("phone-1", id)
        .with_category("com.example.app")
        .with_data(Data::new().with("b", "1").with("a", "2"))
        .with_time_to_live(60)
}

async fn with_messages(ids: &[&str]) -> Running {
    start(Greeting {
        upstream: ids.iter().map(|id| message(id)).collect(),
        ..Greeting::default()
    })
    .await
}

fn acked(ids: &[&str]) -> Vec<Seen> {
    let acks = ids.iter().map(|id| Seen::Acked((*id).to_owned()));
    acks.chain([Seen::Closed]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_as_wanted_are_printed_and_acked() {
    let mut endpoint = with_messages(&["u-1", "u-2", "u-3"]).await;
    let ran = run(ccs(&endpoint, &["listen", "--count", "2"])).await;
    assert_eq!(ran.code, 0);
    assert_eq!(
        serde_json::to_string(&ran.lines[0]).unwrap(),
        r#"{"event":"upstream","from":"phone-1","message_id":"u-1","category":"com.example.app","data":{"b":"1","a":"2"},"time_to_live":60}"#
    );
    assert_eq!(ran.lines.len(), 2);
    assert_eq!(endpoint.until_closed().await, acked(&["u-1", "u-2"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_printed_and_acked() {
    let mut endpoint = start(Greeting {
        receipts: vec![receipt()],
        ..Greeting::default()
    })
    .await;
    let ran = run(ccs(&endpoint, &["listen", "--count", "1"])).await;
    assert_eq!(ran.code, 0);
    let fields = ["original_message_id", "device", "at"];
    assert_eq!(ran.events(&fields), ["receipt m-0 phone-1 1400000000123"]);
    assert_eq!(
        endpoint.until_closed().await,
        acked(&[receipt().message_id().as_str()])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_told_and_another_connection_follows() {
    let endpoint = start(Greeting {
        drain: true,
        ..Greeting::default()
    })
    .await;
    let ran = run(ccs(&endpoint, &["listen", "--timeout", "3"])).await;
    assert_eq!(ran.code, 6);
    let events = ran.events(&[]);
    assert_eq!(events[..3], ["draining", "reconnecting", "draining"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn either_signal_ends_it_well() {
    for signal in ["INT", "TERM"] {
        let mut endpoint = with_messages(&["u-1"]).await;
        let mut child = ccs(&endpoint, &["listen"]).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(stdout.next_line().await.unwrap().unwrap().contains("u-1"));
        run::signal(&child, signal).await;
        assert_eq!(child.wait().await.unwrap().code(), Some(0));
        assert_eq!(endpoint.until_closed().await, acked(&["u-1"]));
    }
}

/// The command gets the line, its exit code decides on the ack, and its output is not ours.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_decides_on_the_ack_and_gets_what_it_failed_at_again() {
    let mut endpoint = with_messages(&["u-1", "u-2", "u-3"]).await;
    let file = folder().join("handled");
    let failed = folder().join("failed");
    // The first time it fails at u-2.
    let exec = format!(
        "line=$(cat); echo \"$line\" >> {}; case $line in *u-2*) mkdir {} && exit 1;; esac; echo handled",
        file.display(),
        failed.display()
    );
    let ran = run(ccs(&endpoint, &["listen", "--count", "3", "--exec", &exec])).await;
    assert_eq!(
        (ran.code, ran.events(&["message_id", "attempt"])),
        (
            0,
            [
                "upstream u-1",
                "upstream u-2",
                "retrying u-2 1",
                "upstream u-3"
            ]
            .map(str::to_owned)
            .to_vec()
        )
    );
    assert_eq!(endpoint.until_closed().await, acked(&["u-1", "u-2", "u-3"]));
    let handled = std::fs::read_to_string(file).unwrap();
    let lines: Vec<serde_json::Map<_, _>> = handled
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    for line in &lines {
        assert!(ran.lines.contains(line), "{line:?}");
    }
    assert!(ran.stderr.contains("not acked yet"));
    assert!(ran.stderr.contains("handled"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_fails_at_five_times_is_dead_and_then_acked() {
    let mut endpoint = with_messages(&["u-1", "u-2"]).await;
    let tries = folder().join("tries");
    let exec = format!("grep -q u-1 && echo >> {} && exit 1; true", tries.display());
    let ran = run(ccs(&endpoint, &["listen", "--count", "2", "--exec", &exec])).await;
    assert_eq!(ran.code, 0);
    let dead = ran.events(&["message_id", "from", "reason"]);
    let dead: Vec<_> = dead
        .iter()
        .filter(|event| event.starts_with("dead"))
        .collect();
    assert_eq!(dead, ["dead u-1 phone-1 the handler failed 5 times"]);
    assert_eq!(std::fs::read_to_string(tries).unwrap().len(), 5);
    assert_eq!(endpoint.until_closed().await, acked(&["u-1", "u-2"]));
}

/// Where the line cannot be written since nobody reads, nothing is acked.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_reads_is_not_acked() {
    let mut endpoint = with_messages(&["u-1", "u-2"]).await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = ccs(&endpoint, &["listen"]);
    command.stdout(writer);
    let mut child = command.spawn().unwrap();
    drop(command);
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    assert_eq!(endpoint.until_closed().await, [Seen::Closed]);
}
