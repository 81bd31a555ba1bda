//! The `ccs` command: a CCS endpoint and an app server in the shell.
// They panic where nobody reads them; see `terminal`.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod bench;
mod broadcast;
mod certificate;
mod demo;
mod dice;
mod exit;
mod interrupts;
mod lines;
mod listen;
mod login;
mod message_args;
mod message_line;
mod ndjson;
mod outcome;
mod pipe;
mod received;
mod send;
mod sending;
mod serve;
mod service_args;
mod state;
mod terminal;
mod trace;
mod watch;

#[cfg(test)]
mod cli_tests;

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::exit::Failure;

/// Two-way push in the shell: send to devices and receive from them, over CCS, the protocol of Google's retired
/// GCM/FCM XMPP service
#[derive(Debug, Parser)]
#[command(name = "ccs", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Serve(serve::ServeArgs),
    Listen(listen::ListenArgs),
    Send(send::SendArgs),
    Broadcast(broadcast::BroadcastArgs),
    Pipe(pipe::PipeArgs),
    Bench(bench::BenchArgs),
    Completions(CompletionsArgs),
    /// Write the man pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder, which has to exist
        dir: PathBuf,
    },
}

/// Print a script that completes the command in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ccs completions bash > ~/.local/share/bash-completion/completions/ccs
  ccs completions zsh > ~/.zfunc/_ccs
  ccs completions fish > ~/.config/fish/completions/ccs.fish")]
struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => Ok(demo::run(args).await?),
        Command::Serve(args) => {
            let tap = args.trace.then(trace::tap);
            Ok(serve::run(args, tap).await?)
        }
        Command::Listen(args) => listen::run(args).await,
        Command::Send(args) => send::run(args).await,
        Command::Broadcast(args) => broadcast::run(args).await,
        Command::Pipe(args) => pipe::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Completions(args) => {
            // What it writes to must not fail.
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "ccs", &mut script);
            match std::io::stdout().write_all(&script) {
                // Whoever read it has had enough.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
                written => Ok(written?),
            }
        }
        Command::Man { dir } => Ok(clap_mangen::generate_to(Cli::command(), dir)?),
    }
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let ended = match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let ended = runtime.block_on(run(command));
            // A read of stdin that nobody waits for any more must not hold up the end.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::say(&failure);
            ExitCode::from(failure.code())
        }
    }
}
