//! After the login nothing of the key is left in memory but what the application itself holds.
//!
//! The process's own memory is searched. So that the search does not find itself, what is searched for is kept masked.

use std::fs::File;
use std::io::BufRead;
use std::os::unix::fs::FileExt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ccs_proto::driver::{self, LoginVerdict, Transport};
use ccs_proto::{
    ApiKey, ClientConfig, ClientConnection, ConnectionError, ConnectionId, Nonce, ServerConfig,
    ServerConnection, Time, TransportSecurity,
};
use ccs_tests::pipe::Clock;
use memchr::memchr_iter;
use zeroize::{Zeroize, Zeroizing};

const MASK: u8 = 0x2a;

/// The key of one test, known by nothing but its number.
fn key(test: u8) -> ApiKey {
    let mut key = String::with_capacity(24);
    let letter =
        |n: u8| b'a' + ((u32::from(n) * 7 + u32::from(test) * 3 + u32::from(n).pow(2)) % 26) as u8;
    key.extend((0..24).map(|n| char::from(letter(n))));
    ApiKey::from(key)
}

/// The key in clear and in the three alignments of base64, masked.
fn masked(test: u8) -> [Vec<u8>; 4] {
    let key = key(test);
    let key = key.expose().as_bytes();
    let mask = |bytes: &[u8]| bytes.iter().map(|byte| byte ^ MASK).collect();
    let base64 = |before: usize| {
        let mut text = Zeroizing::new(Vec::with_capacity(before + key.len()));
        text.resize(before, 0);
        text.extend_from_slice(key);
        let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(&text));
        mask(&encoded.as_bytes()[(before * 8).div_ceil(6)..text.len() * 8 / 6])
    };
    [mask(key), base64(0), base64(1), base64(2)]
}

const PAGE: usize = 4096;
/// Longer than what is searched for, which may lie across two pages.
const TAIL: usize = 64;

/// How often each of them is in this process's memory.
fn count(masked: &[Vec<u8>; 4]) -> [usize; 4] {
    let memory = File::open("/proc/self/mem").unwrap();
    let maps = std::io::BufReader::new(File::open("/proc/self/maps").unwrap());
    // A page of its own with nothing else near it: the copy of a page must not find itself while it is made.
    let mut space = vec![0; 256 * 1024];
    let page = space.as_ptr().align_offset(PAGE) + 16 * PAGE;
    let seen = &mut space[page - TAIL..page + PAGE];
    let mut counts = [0; 4];
    for line in maps.lines() {
        let line = line.unwrap();
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        seen.zeroize();
        for at in (address(start)..address(end)).step_by(PAGE) {
            seen.copy_within(PAGE.., 0);
            // What was unmapped meanwhile holds nothing.
            let read = memory.read_at(&mut seen[TAIL..], at).unwrap_or_default();
            seen[TAIL + read..].zeroize();
            for (count, masked) in counts.iter_mut().zip(masked) {
                *count += occurrences(masked, seen);
            }
        }
    }
    seen.zeroize();
    counts
}

/// Those that end beyond the tail, since the others were counted with the page before.
fn occurrences(masked: &[u8], seen: &[u8]) -> usize {
    let from = TAIL + 1 - masked.len();
    let starts = memchr_iter(masked[0] ^ MASK, &seen[from..]);
    let same = |start: &usize| {
        let there = seen.get(from + start..from + start + masked.len());
        there.is_some_and(|there| there.iter().zip(masked).all(|(a, b)| a ^ b == MASK))
    };
    starts.filter(same).count()
}

/// One end of a pipe that forgets what went through it.
struct End {
    from: Arc<Mutex<Vec<u8>>>,
    to: Arc<Mutex<Vec<u8>>>,
    /// Bytes that one call moves: small, so that elements come in pieces and are put together.
    step: usize,
}

fn pipe(step: usize) -> (End, End) {
    let [there, back] = [(); 2].map(|()| Arc::new(Mutex::new(Vec::with_capacity(1 << 16))));
    let end = |from: &Arc<_>, to: &Arc<_>| End {
        from: Arc::clone(from),
        to: Arc::clone(to),
        step,
    };
    (end(&back, &there), end(&there, &back))
}

impl Transport for End {
    fn poll_read(
        &mut self,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        let mut from = self.from.lock().unwrap();
        let count = self.step.min(from.len()).min(buffer.len());
        if count == 0 {
            return Poll::Pending;
        }
        buffer[..count].copy_from_slice(&from[..count]);
        from.copy_within(count.., 0);
        let rest = from.len() - count;
        from[rest..].zeroize();
        from.truncate(rest);
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let mut to = self.to.lock().unwrap();
        let count = self.step.min(bytes.len());
        assert!(to.len() + count <= to.capacity());
        to.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Logs in over a pipe, and gives what `then` says while both ends are there.
fn log_in<R>(
    test: u8,
    masked: &[Vec<u8>; 4],
    step: usize,
    verdict: LoginVerdict,
    then: impl FnOnce(Result<(), ConnectionError>) -> R,
) -> R {
    let clock = Clock::default();
    let (near, far) = pipe(step);
    let config = ClientConfig::new("123456789012".parse().unwrap(), key(test));
    let verified = TransportSecurity::VerifiedTls;
    let connection = ClientConnection::new(Arc::new(config), ConnectionId(1), verified, Time::ZERO);
    let (client, _incoming, app_server) = driver::client(connection, near, clock.timer(), "m");
    let server = Arc::new(ServerConfig::default());
    let connection = ServerConnection::new(server, ConnectionId(2), Nonce([7; 20]), Time::ZERO);
    let (login, endpoint) = driver::server(connection, far, clock.timer());

    let (mut app_server, mut endpoint) = (pin!(app_server), pin!(endpoint));
    let mut decided = pin!(login.decide(|request| {
        assert!(request.key().matches(&key(test)));
        // The app server's config and this request; all that it came by is gone already.
        let counts = count(masked);
        assert_eq!(counts, [2, 0, 0, 0], "being decided, step {step}");
        async move { verdict }
    }));
    let mut bound = pin!(client.bound());
    let cx = &mut Context::from_waker(Waker::noop());
    let mut over = [false; 3];
    let result = loop {
        let [app, end, known] = &mut over;
        *app = *app || app_server.as_mut().poll(cx).is_ready();
        *end = *end || endpoint.as_mut().poll(cx).is_ready();
        *known = *known || Pin::as_mut(&mut decided).poll(cx).is_ready();
        if let Poll::Ready(result) = bound.as_mut().poll(cx) {
            break result;
        }
    };
    then(result)
}

#[test]
fn after_the_login_only_the_applications_own_config_holds_the_key() {
    // In one piece, in pieces, byte by byte, and so that a buffer outgrows one that held the whole key.
    for (test, step) in [(1, 16 * 1024), (2, 7), (3, 1), (6, 60)] {
        let masked = masked(test);
        assert_eq!(count(&masked), [0; 4], "before, step {step}");
        log_in(test, &masked, step, LoginVerdict::Accept, |result| {
            result.unwrap();
            assert_eq!(count(&masked), [1, 0, 0, 0], "logged in, step {step}");
        });
        assert_eq!(count(&masked), [0; 4], "after, step {step}");
    }
}

#[test]
fn a_refused_login_leaves_nothing_either() {
    let masked = masked(4);
    log_in(4, &masked, 7, LoginVerdict::Reject, |result| {
        let refused = matches!(result, Err(ConnectionError::LoginRefused { .. }));
        assert!(refused, "{result:?}");
    });
    assert_eq!(count(&masked), [0; 4]);
}

/// What this test's own encoding left on its stack, which the next deep call would overwrite.
#[inline(never)]
fn overwrite_stack() {
    std::hint::black_box([0_u8; 128 * 1024]);
}

#[test]
fn a_login_that_is_cut_off_in_the_middle_leaves_nothing_either() {
    let masked = masked(7);
    let config = Arc::new(ServerConfig::default());
    let mut server = ServerConnection::new(config, ConnectionId(2), Nonce([7; 20]), Time::ZERO);
    let header = "<stream:stream to='x' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>";
    let start = "<auth mechanism='PLAIN' xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>";
    for piece in [header, start] {
        server.receive(Time::ZERO, piece.as_bytes()).unwrap();
    }
    let mut message = Zeroizing::new(String::with_capacity(64));
    message.extend(["\0", "123456789012", "\0", key(7).expose()]);
    let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(message.as_bytes()));
    server.receive(Time::ZERO, encoded.as_bytes()).unwrap();
    drop((message, encoded));
    overwrite_stack();
    assert_eq!(count(&masked), [0, 0, 0, 1], "held");
    drop(server);
    assert_eq!(count(&masked), [0; 4], "dropped");
}

#[test]
fn the_search_finds_what_is_there() {
    let masked = masked(5);
    let key = key(5);
    let clear = key.clone();
    let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(format!("x{}", clear.expose())));
    assert_eq!(count(&masked), [2, 0, 1, 0]);
    drop((key, clear, encoded));
}
