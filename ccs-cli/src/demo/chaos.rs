//! Random faults over real sockets while messages go both ways; then everything has to settle, with nothing lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ccs_tokio::Downstream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::DemoArgs;
use super::app_server::{AppServer, Kind};
use super::changed::Changed;
use super::counts::Reconciled;
use super::desk::Desk;
use super::exchange::Exchange;
use super::faults::CUT;
use super::network::Network;
use super::phones::{Action, CONTENT, Said};
use super::screen::Screen;
use super::story::End;
use crate::dice::Dice;

/// Steps, each a message or a fault.
const STEPS: u32 = 600;
/// From one to the next.
const STEP: Duration = Duration::from_millis(5);
/// A message without an answer does not hold up the drain of its connection for longer.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(300);

/// What a seed decides for a step.
enum Step {
    Echo,
    Message,
    Send,
    Cut,
    Drain,
    Restart,
}

impl Step {
    fn of(dice: &Dice) -> Self {
        match dice.percent() {
            0..20 => Self::Echo,
            20..60 => Self::Message,
            60..96 => Self::Send,
            96..98 => Self::Cut,
            98 => Self::Drain,
            _ => Self::Restart,
        }
    }
}

pub async fn run(args: &DemoArgs, seed: u64, screen: Arc<Screen>) -> anyhow::Result<End> {
    let started = Instant::now();
    let changed = Changed::new();
    let network = Network::start(changed.clone(), DRAIN_TIMEOUT).await?;
    screen.title(&format!(
        "random faults from seed {seed}: an endpoint on {}, {} phones, an app server",
        network.address(),
        args.devices
    ));
    let desk = Desk::new(Arc::clone(&screen), changed, Some(seed));
    let server = AppServer::start(Kind::Service, network.config()?, desk, seed);
    let mut chaos = Chaos {
        devices: args.devices,
        seed,
        network: Arc::clone(&network),
        server,
        sending: JoinSet::new(),
    };

    screen.chapter("messages and faults, all at once");
    network.chapter("random faults");
    network.with(|exchange, _| exchange.faults.begin(seed));
    let mut beat = interval(STEP);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for step in 1..=STEPS {
        beat.tick().await;
        chaos.step(step).await?;
    }
    for (what, times) in network.look(|exchange| exchange.faults.counts.clone()) {
        screen.note(&format!("{times} {what}"));
    }

    screen.chapter("no more faults");
    let counts = chaos.settle().await?;
    screen.end_part();
    let took = started.elapsed();
    Ok(End { counts, took })
}

struct Chaos {
    devices: u32,
    seed: u64,
    network: Arc<Network>,
    server: AppServer,
    sending: JoinSet<()>,
}

impl Chaos {
    async fn step(&mut self, step: u32) -> anyhow::Result<()> {
        let dice = Dice::new(self.seed, &format!("step {step}"));
        let phone = self.phone(step, "from");
        match Step::of(&dice) {
            Step::Echo => {
                let content = format!("echo {step}");
                self.say(phone, Action::Echo, content, None).await?;
            }
            Step::Message => {
                let content = format!("message {step}");
                let to = Some(self.phone(step, "to"));
                self.say(phone, Action::Message, content, to).await?;
            }
            Step::Send => {
                let content = format!("news {step}");
                self.network.expect(&phone, &content);
                let server = self.server.clone();
                let message = Downstream::to(phone).data(CONTENT, content);
                // What is not accepted does not arrive, and is counted there.
                self.sending
                    .spawn(async move { drop(server.send(message).await) });
            }
            Step::Cut => self.network.with(|exchange, _| {
                exchange.faults.count(CUT);
                exchange.cut();
            }),
            Step::Drain => self.network.with(|exchange, now| {
                exchange.faults.count("connections drained");
                exchange.drain(now);
            }),
            Step::Restart => {
                self.network.restart().await?;
                self.network
                    .with(|exchange, _| exchange.faults.count("restarts of the endpoint"));
            }
        }
        Ok(())
    }

    async fn say(
        &self,
        phone: String,
        action: Action,
        content: String,
        recipient: Option<String>,
    ) -> anyhow::Result<()> {
        let said = Said {
            phone,
            action,
            content,
            recipient,
            repeated: false,
        };
        self.network.say(said).await?;
        Ok(())
    }

    fn phone(&self, step: u32, part: &str) -> String {
        let dice = Dice::new(self.seed, &format!("{part} {step}"));
        format!("phone-{}", dice.one_of(self.devices) + 1)
    }

    /// What never got its answer gets it on another connection; then the end.
    async fn settle(mut self) -> anyhow::Result<Reconciled> {
        self.network.with(|exchange, _| exchange.faults.end());
        self.network.with(|exchange, _| exchange.cut());
        let network = &self.network;
        let acked = || network.phones(|phones| phones.all_acked());
        // Whether that comes about or not, the counts say what is missing.
        let acked = network.until("acks of all messages", acked).await;
        if acked.is_ok() {
            while self.sending.join_next().await.is_some() {}
        }
        self.server.end().await;
        network
            .until("the end", || network.look(Exchange::connections) == 0)
            .await?;
        let side = self.server.desk().side();
        Ok(network.phones(|phones| Reconciled::new(phones, &side)))
    }
}
