//! `--scenario`: the same bad day each time.

use std::fs;

use ccs_tokio::{Downstream, SendError};
use serde_json::Value;
use tempfile::TempDir;

use super::support::Serve;
use super::upstream;

const PLAN: &str = r#"
seed = 11

[[rule]]
to = "slow-*"
delay = [0.01, 0.05]

[[rule]]
to = "phone-*"
percent = 40
answer = "SERVICE_UNAVAILABLE"

[[rule]]
to = "tablet-*"
above_per_second = 1000000
answer = "DEVICE_MESSAGE_RATE_EXCEEDED"

[[rule]]
to = "new-*"
times = 1
answer = "SOMETHING_NEW"

[[redeliver]]
from = "phone-*"

[[at]]
time = 0.3
op = "upstream"
from = "phone-1"
data = { hello = "app server" }

[[at]]
time = 0.3
op = "offline"
device = "slow-1"
"#;

/// What an endpoint with this scenario tells of an app server that does always the same.
async fn history(seed: u64) -> Vec<Value> {
    let folder = TempDir::new().unwrap();
    let plan = folder.path().join("plan.toml");
    fs::write(&plan, PLAN.replace("11", &seed.to_string())).unwrap();
    let mut serve = Serve::start(&["--scenario", plan.to_str().unwrap()]);
    let (client, mut incoming, _) = serve.log_in().await;
    let mut history = Vec::new();
    // It comes twice, although it was acked.
    for _ in 0..2 {
        upstream(&mut incoming).await.ack().unwrap();
        history.push(serve.until("upstream_acked"));
    }
    for number in 0..60 {
        let token = ["phone-1", "phone-2", "slow-1", "tablet-1", "new-1"][number % 5];
        let message = Downstream::to(token).id(format!("m-{number}"));
        match client.send(message).await {
            Ok(_) => history.push(serve.until("ack")),
            Err(SendError::Refused(_)) => history.push(serve.until("nack")),
            Err(other) => panic!("{other:?}"),
        }
    }
    drop((client, incoming));
    history.push(serve.until("closed"));
    serve.signal("-TERM");
    let (rest, status, _) = serve.end();
    assert!(status.success());
    history.extend(rest);
    history
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scenario_that_is_played_twice_tells_the_same_history() {
    let first = history(11).await;
    assert_eq!(first, history(11).await);
    let counts = first.last().unwrap();
    assert_eq!(counts["event"], "counts");
    assert_eq!(
        (&counts["downstream"], &counts["logins"]),
        (&60.into(), &1.into())
    );
    assert_eq!(counts["upstream_sent"], 2, "once more after its ack");
    assert_eq!(counts["stored"], 12, "for a device that is offline");
    let codes = &counts["nacks_by_code"];
    assert_eq!(codes["SOMETHING_NEW"], 1);
    assert!(codes["SERVICE_UNAVAILABLE"].as_u64() > Some(2), "{counts}");
    assert_eq!(codes.get("DEVICE_MESSAGE_RATE_EXCEEDED"), None);
    assert_ne!(first, history(12).await, "by another seed another day");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scenario_ends_by_itself() {
    let folder = TempDir::new().unwrap();
    let plan = folder.path().join("plan.toml");
    fs::write(&plan, "end = 0.2").unwrap();
    let mut serve = Serve::start(&["--scenario", plan.to_str().unwrap()]);
    let (_client, _incoming, connection) = serve.log_in().await;
    assert_eq!(serve.until("draining")["connection"], connection);
    let (rest, status, _) = serve.end();
    assert!(status.success());
    assert_eq!(rest.last().unwrap()["event"], "counts");
}
