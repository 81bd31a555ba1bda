//! `ccs demo`: an endpoint, phones and an app server on loopback, over real TLS, and what they say to each other.

mod app_server;
mod certs;
mod counts;
mod phones;
mod screen;
mod story;

use anyhow::bail;
use clap::{Args, ValueEnum};

use screen::Screen;

/// Show an endpoint, phones and an app server at work, on this machine and over real TLS
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccs demo
  ccs demo --devices 200 --messages 100
  ccs demo --json | tail -n 1
  ccs demo --plant ack-early

Everything that was sent is counted where it arrived. The exit code is 0 if nothing was lost and all counts agree.")]
pub struct DemoArgs {
    /// Phones that take part
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    devices: u32,
    /// Messages that each phone sends to another
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    messages: u32,
    /// Print JSON lines instead of a story
    #[arg(long)]
    json: bool,
    /// Plant a mistake into the app server, to see that it is found
    #[arg(long, value_name = "MISTAKE")]
    plant: Option<Plant>,
}

/// A mistake that real app servers make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Plant {
    /// Ack a message before it was handled; when the handler fails then, the message is lost
    AckEarly,
}

/// Runs the demo; it fails if the counts do not agree.
pub async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let screen = Screen::new(args.json);
    let counts = story::tell(&args, screen).await?;
    let disagreements = counts.disagreements();
    match counts.losses() {
        0 if disagreements.is_empty() => Ok(()),
        0 => bail!("the counts do not agree: {}", disagreements.join("; ")),
        lost => bail!("{lost} messages were lost"),
    }
}
