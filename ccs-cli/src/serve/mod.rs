//! `ccs serve`: an endpoint with simulated devices, for people and tests that have an app server.

mod certificate;
mod command;
mod devices;
mod event;
mod hub;
mod pipes;
mod quirk;
mod setup;
mod upstream;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ccs_tokio::proto::{ConnectionId, Time, Tolerance};
use ccs_tokio::{
    AcceptError, Arrival, AuthRequest, ConnectionError, Endpoint, InvalidCertificate, PeerEvents,
    RegistrationToken, SenderId, ServerConfig, ServerEvent, Tap, Verdict,
};
use clap::Args;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use crate::state::StateError;
use command::Command;
use devices::Devices;
use event::Event;
use hub::Hub;
use pipes::{Lines, Signals, Stdout};
use setup::Setup;

/// Run an endpoint with simulated devices
///
/// What is not given is made and kept in the state folder, $XDG_STATE_HOME/ccs or else ~/.local/state/ccs: a CA, a
/// certificate, a sender id and an API key. The other commands find them there.
///
/// What happens is printed as JSON, one object a line. Lines of JSON on stdin say what the devices do:
/// {"op":"upstream","from":"phone-1","data":{"k":"v"}}, {"op":"online","device":"offline-1"}, offline, {"op":"drain"}
/// and {"op":"drop"}.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccs serve
  ccs serve --echo --topic news=phone-1,phone-2
  ccs serve --strict --trace
  ccs serve --listen 127.0.0.1:0 --state-dir ./state")]
pub struct ServeArgs {
    /// Address to listen on; port 0 picks one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5235")]
    listen: String,
    /// Sender id that may log in
    #[arg(long, env = "CCS_SENDER", value_name = "ID")]
    sender: Option<SenderId>,
    /// File with the API key that may log in; only its owner may be able to read it. CCS_KEY holds the key itself
    #[arg(long, env = "CCS_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Folder to keep things in
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Certificate chain in PEM, the endpoint's own first, instead of the one in the state folder
    #[arg(long, value_name = "FILE", requires = "cert_key")]
    cert: Option<PathBuf>,
    /// Key of that certificate in PEM; only its owner may be able to read it
    #[arg(long, value_name = "FILE", requires = "cert")]
    cert_key: Option<PathBuf>,
    /// Messages under way on a connection, each way
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,
    /// Devices answer each message with one that carries the same data
    #[arg(long)]
    echo: bool,
    /// Refuse what the protocol forbids and known app servers do all the same, and name it in "fault" events
    #[arg(long)]
    strict: bool,
    /// Show every stanza both ways on stderr, secrets left out
    #[arg(long)]
    pub trace: bool,
    /// Devices of a topic; may be given several times
    #[arg(long, value_name = "NAME=TOKEN,TOKEN", value_parser = named)]
    topic: Vec<Named>,
    /// Devices of a group, behind its notification key; may be given several times
    #[arg(long, value_name = "KEY=TOKEN,TOKEN", value_parser = named)]
    group: Vec<Named>,
}

/// Several devices under one name.
#[derive(Debug, Clone)]
struct Named {
    name: String,
    devices: Vec<RegistrationToken>,
}

fn named(text: &str) -> Result<Named, String> {
    let (name, devices) = text.split_once('=').ok_or("NAME=TOKEN,TOKEN is expected")?;
    let devices: Vec<_> = devices.split(',').map(RegistrationToken::from).collect();
    if name.is_empty() || devices.iter().any(|token| token.as_str().is_empty()) {
        return Err("neither the name nor a token may be empty".to_owned());
    }
    let name = name.strip_prefix("/topics/").unwrap_or(name).to_owned();
    Ok(Named { name, devices })
}

/// Why an endpoint does not run.
#[derive(Debug, Error)]
pub enum ServeError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("{}: {why}", .path.display())]
    Sender {
        path: PathBuf,
        why: ccs_tokio::proto::message::InvalidSenderId,
    },
    #[error(transparent)]
    Identity(#[from] InvalidCertificate),
    #[error("no certificate could be made: {0}")]
    Certificate(String),
    #[error("the operating system gives no random numbers")]
    NoRandom,
    #[error(
        "{address} cannot be listened on: {error}; is another ccs serve running? --listen takes another address"
    )]
    Listen { address: String, error: io::Error },
    #[error("signals cannot be waited for: {0}")]
    Signals(io::Error),
}

impl ServeError {
    /// What the process ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::State(_) | Self::Sender { .. } => 2,
            Self::Identity(_) | Self::Certificate(_) => 4,
            Self::Listen { .. } => 5,
            Self::NoRandom | Self::Signals(_) => 1,
        }
    }
}

/// Runs until a signal ends it. Every stanza is shown to `tap`.
pub async fn run(args: ServeArgs, tap: Option<Tap>) -> Result<(), ServeError> {
    let setup = Setup::new(&args)?;
    let mut config = ServerConfig::default();
    config.window = args.window as usize;
    config.upstream_window = args.window as usize;
    if args.strict {
        config.tolerance = Tolerance::Nothing;
    }
    config.tap = tap;
    // A bit more than the connections take, so that they end by themselves.
    let patience = config.drain_timeout + config.close_timeout + Duration::from_secs(1);

    let signals = Signals::new().map_err(ServeError::Signals)?;
    let (inputs, receiver) = mpsc::channel(256);
    let (sender, key) = (setup.sender.clone(), setup.key.clone());
    let refusals = inputs.clone();
    let decide = move |request: &AuthRequest| {
        // Both are looked at, whatever the first says: how long it takes tells nothing.
        let known = request.key().matches(&key);
        let reason = match (*request.sender() == sender, known) {
            (true, true) => None,
            (true, false) => Some("the key is wrong"),
            (false, _) => Some("the sender is not known"),
        };
        let refused = reason.map(|reason| Event::Refused {
            connection: Some(request.connection().0),
            addr: None,
            sender: Some(request.sender().to_string()),
            reason: reason.to_owned(),
        });
        let refusals = refusals.clone();
        async move {
            let Some(refused) = refused else {
                return Verdict::Accept;
            };
            let _ = refusals.send(Input::Report(refused)).await;
            Verdict::Reject
        }
    };
    let listen = |error| ServeError::Listen {
        address: args.listen.clone(),
        error,
    };
    let endpoint = Endpoint::bind(&args.listen, setup.identity.clone(), config, decide)
        .await
        .map_err(listen)?;
    let address = endpoint.local_addr().map_err(listen)?;

    let run = u32::from_be_bytes(setup::random()?);
    let mut hub = Hub::new(devices(&args, run));
    hub.report(listening(address, setup));
    Serve {
        endpoint: Some(endpoint),
        hub,
        inputs,
        run,
        made: 0,
        started: Instant::now(),
        patience,
    }
    .run(receiver, signals)
    .await;
    Ok(())
}

fn devices(args: &ServeArgs, run: u32) -> Devices {
    let mut devices = Devices::new(args.echo, format!("{run:08x}"));
    for Named { name, devices: of } in &args.topic {
        devices.subscribe(name, of.clone());
    }
    for Named { name, devices: of } in &args.group {
        devices.group(name, of.clone());
    }
    devices
}

fn listening(address: SocketAddr, setup: Setup) -> Event {
    Event::Listening {
        addr: address.ip().to_string(),
        port: address.port(),
        ca: setup.ca,
        sender: setup.sender.to_string(),
        key_file: setup.key_file,
    }
}

/// Something that came from a connection or a login.
enum Input {
    Connection(ConnectionId, ServerEvent),
    Report(Event),
}

struct Serve {
    endpoint: Option<Endpoint>,
    hub: Hub,
    inputs: mpsc::Sender<Input>,
    /// Part of the ids of this run, so that no two runs use the same.
    run: u32,
    made: u64,
    started: Instant,
    patience: Duration,
}

impl Serve {
    async fn run(mut self, mut inputs: mpsc::Receiver<Input>, mut signals: Signals) {
        let mut lines = Lines::new();
        let stdout = Stdout::new();
        let mut deadline: Option<Instant> = None;
        let mut ticks = interval(Duration::from_millis(250));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            for event in self.hub.take_events() {
                // Whoever does not read what is printed can still end us.
                loop {
                    tokio::select! {
                        () = stdout.ready() => break,
                        () = signals.next() => {
                            if deadline.is_some() {
                                return;
                            }
                            deadline = Some(self.shut_down());
                        }
                    }
                }
                stdout.print(&event);
            }
            if deadline.is_some() && self.hub.is_empty() {
                break;
            }
            tokio::select! {
                () = signals.next() => {
                    if deadline.is_some() {
                        break;
                    }
                    deadline = Some(self.shut_down());
                }
                Some(input) = inputs.recv() => self.input(input),
                arrival = accept(&mut self.endpoint) => self.arrive(arrival),
                Some((number, line)) = lines.next(), if deadline.is_none() => self.line(number, line),
                _ = ticks.tick(), if self.hub.has_deadlines() => self.hub.tick(self.now()),
                () = until(deadline) => break,
            }
        }
        let lost = self.hub.waiting();
        if lost > 0 {
            anstream::eprintln!("{lost} upstream messages were not acked, and are gone.");
        }
        tokio::select! {
            () = stdout.finish() => {}
            () = signals.next() => {}
            () = until(deadline) => {}
        }
    }

    fn shut_down(&mut self) -> Instant {
        self.endpoint = None;
        self.hub.shut_down();
        anstream::eprintln!("Every connection is drained; a second signal ends them at once.");
        Instant::now() + self.patience
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Connection(id, event) => self.hub.handle(self.now(), id, event),
            Input::Report(event) => self.hub.report(event),
        }
    }

    fn arrive(&mut self, arrival: io::Result<Arrival>) {
        match arrival {
            Ok(Arrival::Connected {
                address,
                peer,
                events,
            }) => {
                tokio::spawn(forward(peer.id(), events, self.inputs.clone()));
                self.hub.login(address, peer);
            }
            // Who could be named had a verdict, which has reported what was wrong.
            Ok(Arrival::Refused {
                error: AcceptError::Connection(ConnectionError::LoginRefused { sender, .. }),
                ..
            }) if !sender.is_empty() => {}
            Ok(Arrival::Refused { address, error, .. }) => self.hub.report(Event::Refused {
                connection: None,
                addr: Some(address.to_string()),
                sender: None,
                reason: error.to_string(),
            }),
            Ok(_) => {}
            Err(error) => self.hub.error(None, &error.to_string()),
        }
    }

    fn line(&mut self, number: u64, line: io::Result<String>) {
        let made = &mut self.made;
        let run = self.run;
        let next_id = || {
            *made += 1;
            format!("{run:08x}-{made}")
        };
        let parsed = line
            .map_err(|error| error.to_string())
            .and_then(|line| Command::parse(&line, next_id));
        match parsed {
            Ok(command) => self.hub.command(self.now(), number, command),
            Err(error) => self.hub.error(Some(number), &error),
        }
    }

    fn now(&self) -> Time {
        Time::from_origin(self.started.elapsed())
    }
}

async fn forward(id: ConnectionId, mut events: PeerEvents, inputs: mpsc::Sender<Input>) {
    while let Some(event) = events.next().await {
        if inputs.send(Input::Connection(id, event)).await.is_err() {
            return;
        }
    }
}

async fn accept(endpoint: &mut Option<Endpoint>) -> io::Result<Arrival> {
    let Some(endpoint) = endpoint else {
        return std::future::pending().await;
    };
    let arrival = endpoint.accept().await;
    if arrival.is_err() {
        // Most likely too many open files: some time may help.
        sleep(Duration::from_millis(200)).await;
    }
    arrival
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
