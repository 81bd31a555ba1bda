//! `ccs serve`: an endpoint with simulated devices, for people and tests that have an app server.

mod accounts;
mod args;
mod command;
mod counts;
mod devices;
mod error;
mod event;
mod exchange;
mod quirk;
mod scenario;
mod setup;
mod stdout;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ccs_tokio::proto::hub::SenderLimits;
use ccs_tokio::proto::{ConnectionId, Time, Tolerance};
use ccs_tokio::{
    AcceptError, Arrival, AuthRequest, ConnectionError, Endpoint, LoginVerdict, PeerEvents,
    ServerConfig, ServerEvent, Tap,
};
use tokio::io::{Stdin, stdin};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

pub use args::ServeArgs;
pub use error::ServeError;

use crate::interrupts::Interrupts;
use crate::lines::Lines;
use crate::outcome::messages;
use crate::terminal::note;
use accounts::Accounts;
use args::Named;
use command::Command;
use devices::Devices;
use event::Event;
use exchange::Exchange;
use scenario::Scenario;
use setup::Setup;
use stdout::Stdout;

/// Runs until a signal or a scenario ends it. Every stanza is shown to `tap`.
pub async fn run(args: ServeArgs, tap: Option<Tap>) -> Result<(), ServeError> {
    let scenario = args.scenario.as_deref().map(Scenario::read).transpose()?;
    let window = args.window as usize;
    let mut limits = SenderLimits::default();
    (limits.window, limits.upstream_window) = (window, window);
    let setup = Setup::new(&args, limits)?;
    let mut config = ServerConfig::default();
    config.window = limits.window;
    config.upstream_window = limits.upstream_window;
    if args.strict {
        config.tolerance = Tolerance::Nothing;
    }
    config.tap = tap;
    // A bit more than the connections take, so that they end by themselves.
    let patience = config.drain_timeout + config.close_timeout + Duration::from_secs(1);

    let signals = Interrupts::new().map_err(ServeError::Signals)?;
    let (inputs, receiver) = mpsc::channel(256);
    let accounts = Arc::new(setup.accounts);
    let decide = decider(Arc::clone(&accounts), inputs.clone());
    let listen = |error| ServeError::Listen {
        address: args.listen.clone(),
        error,
    };
    let endpoint = Endpoint::bind(&args.listen, setup.identity, config, decide)
        .await
        .map_err(listen)?;
    let address = endpoint.local_addr().map_err(listen)?;

    let seed = scenario.as_ref().map(Scenario::seed);
    let run = seed.map_or_else(random_run, Ok)?;
    let listening = Event::Listening {
        addr: address.ip().to_string(),
        port: address.port(),
        ca: setup.ca,
        senders: accounts.senders().collect(),
        key_file: setup.key_file,
    };
    let devices = devices(&args, run);
    let mut exchange = Exchange::new(Time::ZERO, limits, accounts, devices, scenario);
    exchange.report(listening);
    Serve {
        endpoint: Some(endpoint),
        exchange,
        inputs,
        started: Instant::now(),
        patience,
    }
    .run(receiver, signals)
    .await;
    Ok(())
}

/// Part of the ids of a run, so that no two runs use the same.
fn random_run() -> Result<u64, ServeError> {
    setup::random().map(u32::from_be_bytes).map(u64::from)
}

fn devices(args: &ServeArgs, run: u64) -> Devices {
    let mut devices = Devices::new(args.echo, format!("{run:08x}"));
    for Named { name, devices: of } in &args.topic {
        devices.subscribe(name, of.clone());
    }
    for Named { name, devices: of } in &args.group {
        devices.group(name, of.clone());
    }
    devices
}

fn decider(
    accounts: Arc<Accounts>,
    inputs: mpsc::Sender<Input>,
) -> impl Fn(&AuthRequest) -> Deciding + Send + Sync + 'static {
    move |request| {
        let refused = accounts.refuses(request).map(|reason| Event::Refused {
            connection: Some(request.connection().0),
            addr: None,
            sender: Some(request.sender().to_string()),
            reason: reason.to_owned(),
        });
        let inputs = inputs.clone();
        Box::pin(async move {
            let Some(refused) = refused else {
                return LoginVerdict::Accept;
            };
            let _ = inputs.send(Input::Report(refused)).await;
            LoginVerdict::Reject
        })
    }
}

type Deciding = std::pin::Pin<Box<dyn Future<Output = LoginVerdict> + Send>>;

/// Something that came from a connection or a login.
enum Input {
    Connection(ConnectionId, ServerEvent),
    Report(Event),
}

struct Serve {
    endpoint: Option<Endpoint>,
    exchange: Exchange,
    inputs: mpsc::Sender<Input>,
    started: Instant,
    patience: Duration,
}

impl Serve {
    async fn run(mut self, mut inputs: mpsc::Receiver<Input>, mut signals: Interrupts) {
        let mut lines = Some(Lines::new(stdin()));
        let stdout = Stdout::new();
        let mut deadline: Option<Instant> = None;
        let mut counted = false;
        loop {
            let done = deadline.is_some() && self.exchange.is_empty();
            if done && !std::mem::replace(&mut counted, true) {
                self.exchange.report_counts();
            }
            let events = self.exchange.take_events();
            let printed = !events.is_empty();
            for event in events {
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
            // What happened meanwhile, such as a signal, is printed before anything is waited for.
            if printed {
                continue;
            }
            if done {
                break;
            }
            let due = self.instant(self.exchange.next_due());
            let end = self.instant(self.exchange.end());
            tokio::select! {
                () = signals.next() => {
                    if deadline.is_some() {
                        break;
                    }
                    deadline = Some(self.shut_down());
                }
                Some(input) = inputs.recv() => self.input(input),
                arrival = accept(&mut self.endpoint) => self.arrive(arrival),
                Some((number, line)) = next_line(&mut lines), if deadline.is_none() => self.line(number, line),
                () = until(due) => self.exchange.tick(self.now()),
                () = until(end), if deadline.is_none() => {
                    deadline = Some(self.shut_down());
                }
                () = until(deadline) => break,
            }
        }
        let lost = self.exchange.unacked();
        if lost > 0 {
            let lost = messages(u64::try_from(lost).unwrap_or(u64::MAX));
            note(format!("Acked by nobody, and gone: {lost} from devices."));
        }
        tokio::select! {
            () = stdout.finish() => {}
            () = signals.next() => {}
            () = until(deadline) => {}
        }
    }

    fn shut_down(&mut self) -> Instant {
        self.endpoint = None;
        let now = self.now();
        self.exchange.shut_down(now);
        note("Every connection is being drained; a second signal ends them at once.");
        Instant::now() + self.patience
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Connection(id, event) => {
                let now = self.now();
                self.exchange.handle(now, id, event);
            }
            Input::Report(event) => self.exchange.report(event),
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
                let now = self.now();
                self.exchange.login(now, address, peer);
            }
            // Who could be named had a verdict, which has reported what was wrong.
            Ok(Arrival::Refused {
                error: AcceptError::Connection(ConnectionError::LoginRefused { sender, .. }),
                ..
            }) if !sender.is_empty() => {}
            Ok(Arrival::Refused { address, error, .. }) => self.exchange.report(Event::Refused {
                connection: None,
                addr: Some(address.to_string()),
                sender: None,
                reason: error.to_string(),
            }),
            Ok(_) => {}
            Err(error) => self.exchange.error(None, error.to_string()),
        }
    }

    fn line(&mut self, number: u64, line: Result<String, String>) {
        let parsed = line.and_then(|line| Command::parse(&line, || self.exchange.next_id()));
        let now = self.now();
        match parsed {
            Ok(command) => self.exchange.command(now, Some(number), command),
            Err(error) => self.exchange.error(Some(number), error),
        }
    }

    fn now(&self) -> Time {
        Time::from_origin(self.started.elapsed())
    }

    /// One that is too far off never comes.
    fn instant(&self, time: Option<Time>) -> Option<Instant> {
        self.started.checked_add(time?.since_origin())
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

/// The end of stdin ends nothing else, and neither does a stdin that cannot be read.
async fn next_line(lines: &mut Option<Lines<Stdin>>) -> Option<(u64, Result<String, String>)> {
    let next = match lines {
        Some(lines) => lines.next().await,
        None => std::future::pending().await,
    };
    let line = next.ok().flatten();
    if line.is_none() {
        *lines = None;
    }
    line
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
