//! What a message costs over TLS 1.3 on this machine, one connection, 100 messages under way: this project beside the
//! limit and its peers, as app server and as endpoint.
//!
//! `cargo run --release --manifest-path tests/bench/Cargo.toml --bin end_to_end -- [--rounds N] [--size BYTES] [--json] [--svg FOLDER]`
//!
//! With `--calls` only the system calls of this project are counted, by strace, and it fails when a message takes too many.
//! Words go to stderr, tables to stdout; with `--json` there are lines of JSON instead. `--svg` writes pictures, too.

mod app_servers;
mod calls;
mod endpoints;
mod picture;
mod rounds;
mod run;
mod tables;

use std::path::PathBuf;
use std::process::ExitCode;

use app_servers::APP_SERVERS;
use ccs_bench::corpus::{Corpus, Quotes, Size};
use ccs_bench::loopback::child::PEER;
use ccs_bench::loopback::program::Program;
use endpoints::ENDPOINTS;
use run::Bench;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut rounds, mut size, mut json, mut folder) = (5, 1_000, false, None);
    let mut calls = false;
    while let Some(argument) = arguments.next() {
        let number = |argument: Option<String>| argument?.parse().ok().filter(|n| *n > 0);
        match argument.as_str() {
            PEER => return Program::be(arguments.next(), APP_SERVERS.iter().chain(ENDPOINTS)),
            "--calls" => calls = true,
            "--json" => json = true,
            "--svg" => match arguments.next() {
                Some(path) => folder = Some(PathBuf::from(path)),
                None => return usage(),
            },
            "--rounds" => match number(arguments.next()) {
                Some(number) => rounds = number,
                None => return usage(),
            },
            "--size" => match number(arguments.next()) {
                Some(number) => size = number,
                None => return usage(),
            },
            _ => return usage(),
        }
    }
    let bench = Bench::new(size, Corpus::new(Size(size), Quotes::Raw));
    if calls {
        return match calls::check(&bench) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let results = match rounds::run(&bench, rounds) {
        Ok(results) => results,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match json {
        true => tables::print_json(size, &results),
        false => tables::print(size, &results),
    }
    if let Some(folder) = folder
        && let Err(error) = picture::draw(&folder, &results)
    {
        eprintln!("{}: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: end_to_end [--rounds N] [--size BYTES] [--json] [--svg FOLDER], or --calls");
    ExitCode::from(2)
}
