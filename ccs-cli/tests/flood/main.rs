//! A flood of strangers at `ccs serve`, from loopback addresses of their own: whoever has the key gets in meanwhile, and
//! the memory comes back.
//!
//! `cargo test` sends a small one and asserts nothing about speed. The whole one, with its figures:
//! `CCS_FLOOD=whole cargo test --release -p ccs-cli --test flood -- --nocapture`
//! (10,000 file handles are needed: `ulimit -n 20000`).
#![cfg(target_os = "linux")]

#[path = "../serve/support.rs"]
#[allow(dead_code)]
mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ccs_tokio::{Downstream, connect};
use socket2::{Domain, Socket, Type};

use support::{Serve, over_tls};

/// How much of each kind.
struct Amounts {
    half_open: usize,
    dropped: usize,
    trickle: usize,
    bad_logins: usize,
}

const SMALL: Amounts = Amounts {
    half_open: 1_100,
    dropped: 500,
    trickle: 20,
    bad_logins: 40,
};
const WHOLE: Amounts = Amounts {
    half_open: 10_000,
    dropped: 100_000,
    trickle: 100,
    bad_logins: 10_000,
};

const HEADER: &str = "<stream:stream to='gcm.googleapis.com' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

/// A stranger's connection, from 127.0.0.2 to 127.0.0.9; the good client comes from 127.0.0.1.
fn stranger(n: usize, port: u16) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let last = u8::try_from(2 + n % 8).unwrap();
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    socket.bind(&from.into()).unwrap();
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    socket.connect(&to.into()).unwrap();
    socket
}

fn half_open(count: usize, port: u16) -> Vec<Socket> {
    (0..count).map(|n| stranger(n, port)).collect()
}

/// Each is closed with a reset as soon as it is there.
fn connect_and_drop(count: usize, port: u16) {
    for n in 0..count {
        let socket = stranger(n, port);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

fn tls(n: usize, port: u16, ca: &str) -> impl Read + Write + use<> {
    let socket = TcpStream::from(stranger(n, port));
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    over_tls(socket, ca)
}

/// Bytes of a stanza that never ends, until the endpoint has had enough; how many it took.
fn endless(mut stream: impl Read + Write, begin: &str) -> usize {
    let filler = [b'a'; 1024];
    let mut sent = begin.len();
    if stream.write_all(begin.as_bytes()).is_err() {
        return sent;
    }
    while sent < 16 * 1024 * 1024
        && stream
            .write_all(&filler)
            .and_then(|()| stream.flush())
            .is_ok()
    {
        sent += filler.len();
    }
    sent
}

/// Logs in with a wrong key. Whether it was refused by name; otherwise it was shown the door.
fn bad_login(n: usize, port: u16, ca: &str) -> bool {
    let mut stream = tls(n, port, ca);
    let plain = STANDARD.encode(format!("\0{}\0wrong-{n}", 1_000_000 + n));
    let said = stream.write_all(HEADER.as_bytes()).and_then(|()| {
        write!(
            stream,
            "<auth mechanism='PLAIN' xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{plain}</auth>"
        )
    });
    let mut heard = Vec::new();
    let _ = said.and_then(|()| stream.read_to_end(&mut heard));
    let heard = String::from_utf8_lossy(&heard);
    assert!(!heard.contains("<success"), "a wrong key was let in");
    heard.contains("not-authorized")
}

/// KiB of memory that a process has.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A client with the key, from an address of its own: logs in, and sends a message that is accepted.
async fn good_login(serve: &Serve) -> Duration {
    let started = Instant::now();
    let (client, _incoming) = connect(serve.config()).await.unwrap();
    let took = started.elapsed();
    client.send(Downstream::to("phone-1")).await.unwrap();
    client.close().await.unwrap();
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_client_gets_in_through_every_flood_and_the_memory_comes_back() {
    let whole = std::env::var("CCS_FLOOD").is_ok_and(|value| value == "whole");
    let Amounts {
        half_open: silent,
        dropped,
        trickle,
        bad_logins,
    } = if whole { WHOLE } else { SMALL };
    let started = Instant::now();
    let mut serve = Serve::start(&[]);
    let port = u16::try_from(serve.listening["port"].as_u64().unwrap()).unwrap();
    let ca = std::fs::read_to_string(serve.listening["ca"].as_str().unwrap()).unwrap();
    // What is printed is thrown away as it comes; it would fill this test's memory.
    serve.ignore_the_rest();

    // The first flood makes the process as large as it gets; the next ones must not make it larger.
    drop(half_open(silent, port));
    good_login(&serve).await;
    let before = resident(serve.pid());

    let silent_ones = tokio::task::spawn_blocking(move || half_open(silent, port))
        .await
        .unwrap();
    let took = good_login(&serve).await;
    let full = resident(serve.pid());
    println!(
        "{:.1?} {silent} half-open: login {took:?}, {full} KiB",
        started.elapsed()
    );
    drop(silent_ones);

    let dropping = thread::spawn(move || connect_and_drop(dropped, port));
    let took = good_login(&serve).await;
    dropping.join().unwrap();
    println!(
        "{:.1?} {dropped} connected and reset: login meanwhile {took:?}",
        started.elapsed()
    );

    let ca_there = ca.clone();
    let trickling = thread::spawn(move || {
        // One byte each, over and over: no element ever comes to its end.
        let mut streams: Vec<_> = (0..trickle).map(|n| tls(n, port, &ca_there)).collect();
        for byte in HEADER.bytes().take(20) {
            for stream in &mut streams {
                let _ = stream.write_all(&[byte]).and_then(|()| stream.flush());
            }
        }
        streams
    });
    let took = good_login(&serve).await;
    drop(trickling.join().unwrap());
    println!(
        "{:.1?} {trickle} that trickle: login meanwhile {took:?}",
        started.elapsed()
    );

    let ca_there = ca.clone();
    let endless_ones = thread::spawn(move || {
        let begin =
            format!("{HEADER}<auth mechanism='PLAIN' xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>");
        endless(tls(0, port, &ca_there), &begin)
    });
    let took = good_login(&serve).await;
    let sent = endless_ones.join().unwrap();
    println!(
        "{:.1?} an endless stanza: {sent} bytes until the end, login meanwhile {took:?}",
        started.elapsed()
    );
    assert!(sent < 8 * 1024 * 1024, "it was never stopped");

    let ca_there = ca.clone();
    let guessing = thread::spawn(move || {
        let guessers: Vec<_> = (0..8)
            .map(|from| {
                let ca = ca_there.clone();
                thread::spawn(move || {
                    let mine = (0..bad_logins).filter(|n| n % 8 == from);
                    mine.filter(|n| bad_login(*n, port, &ca)).count()
                })
            })
            .collect();
        guessers
            .into_iter()
            .map(|guesser| guesser.join().unwrap())
            .sum::<usize>()
    });
    let took = good_login(&serve).await;
    let refused = guessing.join().unwrap();
    println!(
        "{:.1?} {bad_logins} bad logins, {refused} told so: login meanwhile {took:?}",
        started.elapsed()
    );
    assert_eq!(refused, bad_logins, "each is told the same");

    // The strangers are gone; that each was noticed takes a moment.
    // Of so small a process a twentieth is less than what the allocator rounds up to.
    let bound = before + if whole { before / 20 } else { before / 2 };
    let patience = Instant::now() + Duration::from_secs(60);
    let mut after = resident(serve.pid());
    while after > bound && Instant::now() < patience {
        good_login(&serve).await;
        after = resident(serve.pid());
    }
    println!(
        "{:.1?} {before} KiB before, {after} KiB after",
        started.elapsed()
    );
    assert!(after <= bound, "{before} KiB before, {after} KiB after");
}
