//! The `ccs` command: a CCS endpoint and an app server in the shell.

mod demo;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Two-way push that you host: devices send to your server, your server sends to devices, every message is
/// acknowledged
#[derive(Debug, Parser)]
#[command(name = "ccs", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo(args) => demo::run(args).await,
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ccs: {error:#}");
            ExitCode::FAILURE
        }
    }
}
