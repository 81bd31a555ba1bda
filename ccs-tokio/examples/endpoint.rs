//! An endpoint that keeps: what devices are sent waits until they speak, what they send waits for its app server.
//!
//! `cargo run -p ccs-tokio --example endpoint -- cert.pem cert-key.pem` listens on port 5235. Devices are the lines of
//! stdin: `phone-1 hello` has phone-1 say hello to the app server 123456789012, whose key is KEY.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, BufRead};
use std::time::{Duration, Instant, SystemTime};

use ccs_tokio::proto::hub::{Acceptance, Command, Device, Hub, HubConfig, HubEvent, Reach};
use ccs_tokio::proto::message::{NackCode, Target};
use ccs_tokio::proto::{ConnectionId, Time};
use ccs_tokio::{
    Arrival, CarriedOut, Data, Endpoint, Identity, LoginVerdict, PeerEvents, Peers,
    RegistrationToken, SenderId, ServerConfig, ServerEvent, Upstream,
};
use tokio::sync::mpsc;
use tokio::time::sleep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [cert, cert_key] = &args[..] else {
        return Err("the names of two files are expected: a certificate and its key".into());
    };
    let identity = Identity::new(&std::fs::read(cert)?, &std::fs::read(cert_key)?)?;
    let endpoint = bind("127.0.0.1:5235", identity).await?;
    let (said, lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if said.blocking_send(line).is_err() {
                return;
            }
        }
    });
    serve(endpoint, lines).await
}

/// Listens, for the one app server.
pub async fn bind(address: &str, identity: Identity) -> io::Result<Endpoint> {
    let decide = |request: &ccs_tokio::AuthRequest| {
        let known = request.key().matches(&"KEY".into());
        async move {
            if known {
                LoginVerdict::Accept
            } else {
                LoginVerdict::Reject
            }
        }
    };
    Endpoint::bind(address, identity, ServerConfig::default(), decide).await
}

/// Until nobody says anything any more.
pub async fn serve(
    mut endpoint: Endpoint,
    mut lines: mpsc::Receiver<String>,
) -> Result<(), Box<dyn Error>> {
    let sender: SenderId = "123456789012".parse()?;
    let started = Instant::now();
    let now = || Time::from_origin(started.elapsed());
    let mut hub = Hub::new(HubConfig::default(), now());
    let mut peers = Peers::new();
    let (happened, mut happens) = mpsc::channel(256);
    // An app server knows the ids of the run before.
    let run = milliseconds();
    let (mut said, mut online) = (0, BTreeSet::new());
    loop {
        settle(&mut hub, &peers, &online, now());
        let due = hub.poll_timeout().map(|due| due - now());
        tokio::select! {
            arrival = endpoint.accept() => {
                match arrival {
                    Ok(Arrival::Connected { peer, events, .. }) => {
                        hub.login(now(), peer.id(), peer.sender());
                        tokio::spawn(forward(peer.id(), events, happened.clone()));
                        peers.insert(peer);
                    }
                    Ok(_) => {}
                    // Out of file descriptors, say: that passes.
                    Err(error) => {
                        eprintln!("{error}");
                        sleep(Duration::from_millis(100)).await;
                    }
                }
            }
            Some((id, event)) = happens.recv() => match event {
                ServerEvent::Closed(_) => {
                    peers.closed(&mut hub, now(), id);
                }
                event => hub.handle(now(), id, event),
            },
            line = lines.recv() => {
                let Some(line) = line else { return Ok(()) };
                let (device, words) = line.split_once(' ').unwrap_or((&line, ""));
                let token = RegistrationToken::from(device);
                hub.reach(now(), &Device::new(sender.clone(), token.clone()), Reach::Online);
                said += 1;
                let message = Upstream::new(token.clone(), format!("{run}-{said}"))
                    .with_data(Data::new().with("words", words));
                online.insert(token);
                if let Err(refused) = hub.submit(now(), &sender, message) {
                    eprintln!("{refused}");
                }
            }
            () = sleep(due.unwrap_or_default()), if due.is_some() => hub.handle_timeout(now()),
        }
    }
}

async fn forward(
    id: ConnectionId,
    mut events: PeerEvents,
    happened: mpsc::Sender<(ConnectionId, ServerEvent)>,
) {
    while let Some(event) = events.next().await {
        if happened.send((id, event)).await.is_err() {
            return;
        }
    }
}

/// Does what the hub asks for, and decides what it asks.
fn settle(hub: &mut Hub, peers: &Peers, online: &BTreeSet<RegistrationToken>, now: Time) {
    loop {
        if let Some(command) = hub.poll_command() {
            if let CarriedOut::NotHere(command) = peers.carry_out(hub, command) {
                keep_or_deliver(hub, *command, now);
            }
        } else if let Some(event) = hub.poll_event() {
            let HubEvent::Downstream(arrival) = event else {
                continue;
            };
            // One whose connection has ended meanwhile comes again.
            let _ = match arrival.message.target() {
                Target::Token(token) => {
                    let reach = match online.contains(token) {
                        true => Reach::Online,
                        false => Reach::Offline,
                    };
                    let phone = Acceptance::new([(token.clone(), reach)]);
                    hub.accept(now, arrival.id, phone)
                }
                _ => hub.refuse(arrival.id, NackCode::InvalidJson, "only tokens are known"),
            };
        } else {
            return;
        }
    }
}

fn keep_or_deliver(hub: &mut Hub, command: Command, now: Time) {
    match command {
        // Nothing is kept beyond this process.
        Command::Store { id, .. } => hub.stored(now, id),
        Command::Deliver {
            delivery,
            device,
            message,
            ..
        } => {
            let data = message.payload().map_or("{}", Data::as_json);
            println!("{} gets {data}", device.token);
            hub.delivered(now, delivery, milliseconds());
        }
        _ => {}
    }
}

/// Since the Unix epoch.
fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let milliseconds = since.map_or(0, |since| since.as_millis());
    u64::try_from(milliseconds).unwrap_or(0)
}
