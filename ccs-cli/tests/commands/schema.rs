//! What is printed is what `docs/commands.md` says, and the other way round.

use std::collections::{BTreeMap, BTreeSet};

use ccs_tokio::{Data, Upstream};
use serde_json::{Map, Value};

use crate::endpoint::{Greeting, receipt, start};
use crate::run::{ccs, run, run_with_stdin};

const PAGE: &str = include_str!("../../../docs/commands.md");

struct Field {
    kind: String,
    required: bool,
}

/// The tables below the heading *Events of `listen`, `send` and `broadcast`*.
fn documented() -> BTreeMap<String, BTreeMap<String, Field>> {
    let heading = "Events of `listen`, `send` and `broadcast`\n";
    let (_, section) = PAGE.split_once(heading).expect("the heading");
    let section = section.split("\n## ").next().unwrap();
    let mut events: BTreeMap<String, BTreeMap<String, Field>> = BTreeMap::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let (event, field) = (cells[1].trim_matches('`'), cells[2].trim_matches('`'));
        let (kind, required) = match cells[3].strip_suffix('?') {
            Some(kind) => (kind, false),
            None => (cells[3], true),
        };
        let fields = events.entry(event.to_owned()).or_default();
        if !field.is_empty() {
            let kind = kind.to_owned();
            fields.insert(field.to_owned(), Field { kind, required });
        }
    }
    events
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Object(_) => "object",
        _ => "other",
    }
}

async fn everything() -> Vec<Map<String, Value>> {
    let mut lines = Vec::new();
    let endpoint = start(Greeting::default()).await;
    for arguments in [
        &["--to", "phone-1"][..],
        &["--to", "canonical-1"],
        &["--to", "bad-1"],
        &["--to", "cut-1", "--retry-for", "1"],
        &["--to", "busy-1", "--retry-for", "1"],
        &["--to", "busy-1", "--ttl", "1"],
        &["--to", "broken-1"],
        &["--to", "x", "--id", "m", "--data", "google=x"],
    ] {
        let send = ccs(&endpoint, &[&["send"], arguments].concat());
        lines.extend(run(send).await.lines);
    }
    let stdin = ccs(&endpoint, &["send", "--json", "-"]);
    lines.extend(run_with_stdin(stdin, "nonsense").await.lines);
    // The window is full when they are given up, so that the rest is not sent.
    let silent = (0..150).map(|n| format!("{{\"to\":\"silent-1\",\"message_id\":\"m-{n}\"}}\n"));
    let stdin = ccs(&endpoint, &["send", "--json", "-", "--timeout", "1"]);
    lines.extend(
        run_with_stdin(stdin, &silent.collect::<String>())
            .await
            .lines,
    );
    let broadcast = ccs(&endpoint, &["broadcast", "--to-file", "-"]);
    lines.extend(run_with_stdin(broadcast, "phone-1").await.lines);

    let message = Upstream::new("phone-1", "u-1")
        .with_category("com.example.app")
        .with_data(Data::new().with("a", "1"))
        .with_time_to_live(60);
    let greeting = || Greeting {
        upstream: vec![message.clone()],
        receipts: vec![receipt()],
        ..Greeting::default()
    };
    let sending = start(greeting()).await;
    lines.extend(run(ccs(&sending, &["listen", "--count", "2"])).await.lines);
    let failing = ["listen", "--count", "2", "--exec", "! grep -q u-1"];
    lines.extend(run(ccs(&sending, &failing)).await.lines);
    let drained = start(Greeting {
        drain: true,
        ..Greeting::default()
    })
    .await;
    lines.extend(
        run(ccs(&drained, &["listen", "--timeout", "2"]))
            .await
            .lines,
    );
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_events_are_the_printed_ones() {
    let documented = documented();
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in everything().await {
        let event = line["event"].as_str().unwrap();
        let fields = documented
            .get(event)
            .unwrap_or_else(|| panic!("{event} is not documented"));
        for (name, value) in line.iter().skip(1) {
            let field = fields
                .get(name)
                .unwrap_or_else(|| panic!("{event}.{name} is not documented"));
            assert_eq!(field.kind, kind(value), "{event}.{name}");
        }
        for (name, field) in fields {
            assert!(!field.required || line.contains_key(name), "{event}.{name}");
        }
        seen.entry(event.to_owned())
            .or_default()
            .extend(line.keys().skip(1).cloned());
    }
    let documented: BTreeMap<_, BTreeSet<_>> = documented
        .into_iter()
        .map(|(event, fields)| (event, fields.into_keys().collect()))
        .collect();
    assert_eq!(seen, documented);
}
