//! The proof that each public future of the driver is dropped in a case of the suite.

use std::fs;
use std::path::{Path, PathBuf};

/// The public futures and streams of `ccs-proto/src/driver`, each with the case in which it is dropped. What an adapter
/// brings (dial, TLS, listen, accept) is dropped within `connect`, `bind` and `accept`.
const CASES: &str = "
    answer.rs           Answer        the_answer_to_a_tried_send_may_be_dropped_anywhere
    broadcast.rs        Broadcast     a_broadcast_may_rest_anywhere
    broadcast.rs        next          a_broadcast_may_rest_anywhere
    client.rs           Reserve       a_permit_and_an_answer_may_be_dropped_anywhere
    client.rs           bound         waiting_for_the_login_may_be_dropped_anywhere
    client.rs           close         closing_may_be_dropped_anywhere
    client.rs           closed        waiting_for_the_end_may_be_dropped_anywhere
    client.rs           send          a_send_may_be_dropped_anywhere
    connect.rs          connect       connecting_may_be_dropped_anywhere
    connect.rs          connect_with  connecting_by_hand_may_be_dropped_anywhere
    endpoint.rs         accept        accepting_may_be_dropped_anywhere
    endpoint.rs         bind          binding_may_be_dropped_anywhere
    incoming.rs         Incoming      waiting_for_an_event_may_be_dropped_anywhere
    incoming.rs         next          waiting_for_an_event_may_be_dropped_anywhere
    login.rs            decide        a_login_may_be_dropped_anywhere
    run.rs              Driver        a_driver_may_be_dropped_anywhere
    server.rs           PeerEvents    waiting_for_an_event_of_a_peer_may_be_dropped_anywhere
    server.rs           next          waiting_for_an_event_of_a_peer_may_be_dropped_anywhere
    server.rs           send          a_send_of_the_endpoint_may_be_dropped_anywhere
    service/inbound.rs  Inbound       waiting_for_a_delivery_may_be_dropped_anywhere
    service/inbound.rs  next          waiting_for_a_delivery_may_be_dropped_anywhere
    service/inbound.rs  next_event    waiting_for_an_event_of_a_service_may_be_dropped_anywhere
    service/mod.rs      ended         waiting_for_the_end_of_a_service_may_be_dropped_anywhere
    service/mod.rs      send          a_send_of_a_service_may_be_dropped_anywhere
    service/mod.rs      shutdown      a_shutdown_may_be_dropped_anywhere
    service/mod.rs      submit        a_submission_may_be_dropped_anywhere
    service/run.rs      ServiceDriver a_driver_of_a_service_may_be_dropped_anywhere
";

#[test]
fn each_public_future_is_dropped_in_a_case_of_the_suite() {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ccs-proto/src/driver");
    let mut found = Vec::new();
    for path in sources(&driver) {
        let source = fs::read_to_string(&path).expect("readable");
        let file = path.strip_prefix(&driver).expect("within");
        let file = file.to_str().expect("ASCII").replace('\\', "/");
        found.extend(futures_in(&source).map(|future| (file.clone(), future)));
    }
    found.sort();
    let mut listed = Vec::new();
    for line in CASES.lines().skip(1) {
        let mut words = line.split_whitespace().map(str::to_owned);
        let mut word = || words.next().expect("three in a line");
        listed.push((word(), word()));
        let case = word();
        let run = include_str!("main.rs").contains(&format!(" {case}"));
        assert!(run, "{case} is not in the suite");
    }
    assert_eq!(found, listed, "each future needs a case");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        match path.is_dir() {
            true => all.extend(sources(&path)),
            false => all.push(path),
        }
    }
    all
}

/// Public functions that are `async`, and public types that are futures or streams.
fn futures_in(source: &str) -> impl Iterator<Item = String> {
    source.lines().filter_map(move |line| {
        let name = |rest: &str| -> String {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
            rest[..end.unwrap_or(rest.len())].to_owned()
        };
        let line = line.trim_start();
        if let Some(rest) = line.strip_prefix("pub async fn ") {
            return Some(name(rest));
        }
        let of = |what| line.strip_prefix("impl")?.split_once(what);
        let (_, rest) = of(" Future for ").or_else(|| of(" Stream for "))?;
        let name = name(rest);
        source
            .contains(&format!("pub struct {name}"))
            .then_some(name)
    })
}
