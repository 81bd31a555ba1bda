//! `ccs demo`: an endpoint, phones and an app server on loopback, over real TLS, and what they say to each other.

mod app_server;
mod changed;
mod chaos;
mod counts;
mod desk;
mod exchange;
mod faults;
mod network;
mod phones;
mod report;
mod screen;
mod story;

use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use serde_json::{Map, Value};

use app_server::Kind;
use counts::Reconciled;
use screen::{Format, Screen};

/// Show an endpoint, phones and an app server at work, on this machine and over real TLS
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccs demo
  ccs demo --devices 50 --messages 40
  ccs demo --json | tail -n 1
  ccs demo --chaos 7

The story is told with an app server that keeps what it was given, and then, silently, with a naive one: it acks
first and handles later, takes no notice of draining, and forgets what was in flight when a connection ends.

Everything that was sent is counted where it arrived. The exit code is 0 if the first app server lost nothing and
all counts agree.")]
pub struct DemoArgs {
    /// Phones that take part
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    devices: u32,
    /// Messages that each phone sends to another
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    messages: u32,
    /// Decides which phones things happen to
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Random faults from this seed for some seconds, in place of the story
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seed", "messages"])]
    chaos: Option<u64>,
    /// Print JSON lines instead of a story
    #[arg(long)]
    json: bool,
}

/// What the app servers are called.
const OURS: &str = "ccs";
const NAIVE: &str = "naive";

/// Runs the demo; it fails if something was lost, or the counts do not agree.
pub async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let format = if args.json {
        Format::Json
    } else {
        Format::Story
    };
    let screen = Arc::new(Screen::new(format));
    match args.chaos {
        None => tell(&args, screen).await,
        Some(seed) => {
            let devices = args.devices;
            let ended = chaos(&args, seed, screen).await;
            ended.map_err(|error| {
                anyhow!("{error:#}; run it again with: ccs demo --chaos {seed} --devices {devices}")
            })
        }
    }
}

async fn tell(args: &DemoArgs, screen: Arc<Screen>) -> anyhow::Result<()> {
    let ours = story::tell(args, Kind::Service, Arc::clone(&screen)).await?;
    screen.title("the same with a naive app server, which acks first and ignores draining");
    let silent = Arc::new(Screen::new(Format::Silent));
    let naive = story::tell(args, Kind::Naive, silent)
        .await
        .context("the story of the naive app server")?;
    report::table(&screen, &[(OURS, &ours), (NAIVE, &naive)]);
    if args.json {
        // People see in the table what that one lost.
        screen.lost(NAIVE, &naive.counts.lost);
    }
    screen.lost(OURS, &ours.counts.lost);
    screen.verdict(ours.counts.lost.len());
    let mut summary = summary("seed", args.seed, &ours);
    summary.insert(NAIVE.to_owned(), report::summary(&naive).into());
    screen.summary(&summary.into());
    judge(&ours.counts)
}

async fn chaos(args: &DemoArgs, seed: u64, screen: Arc<Screen>) -> anyhow::Result<()> {
    let end = chaos::run(args, seed, Arc::clone(&screen)).await?;
    report::table(&screen, &[(OURS, &end)]);
    screen.lost(OURS, &end.counts.lost);
    screen.verdict(end.counts.lost.len());
    screen.summary(&summary("chaos", seed, &end).into());
    judge(&end.counts)
}

fn summary(what: &str, seed: u64, end: &story::End) -> Map<String, Value> {
    let mut summary = Map::new();
    summary.insert("event".to_owned(), "summary".into());
    summary.insert(what.to_owned(), seed.into());
    summary.extend(report::summary(end));
    summary
}

fn judge(counts: &Reconciled) -> anyhow::Result<()> {
    match counts.lost.len() {
        0 if counts.disagreements.is_empty() => Ok(()),
        0 => bail!(
            "the counts do not agree: {}",
            counts.disagreements.join("; ")
        ),
        lost => bail!("{lost} messages were lost"),
    }
}
