//! How costs grow: a byte with the size of stanzas and of reads, an operation of a session with what is queued and
//! remembered, a message through a hub with what is queued and with connections. Flat is right, but for the depth of a tree
//! and what it misses of the processor's caches.
//!
//! `cargo run --release --manifest-path tests/bench/Cargo.toml --bin growth -- [--rounds N] [--json] [--svg FOLDER]`
//!
//! Words go to stderr, tables to stdout; with `--json` there are lines of JSON instead. `--svg` writes each as a curve.

mod bytes;
mod hub;
mod plot;
mod session;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use ccs_bench::table;

/// One curve of a picture.
pub struct Curve {
    pub name: String,
    pub points: Vec<(usize, f64)>,
}

impl Curve {
    /// How many times the first point the last one is.
    fn grown(&self) -> String {
        match (self.points.first(), self.points.last()) {
            (Some((_, first)), Some((_, last))) => format!("x{:.2}", last / first),
            _ => "-".to_owned(),
        }
    }
}

/// What one cost does as something grows.
pub struct Growth {
    /// For a file's name.
    pub key: &'static str,
    pub title: &'static str,
    /// What grows.
    pub x: &'static str,
    /// What is counted.
    pub y: &'static str,
    pub curves: Vec<Curve>,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut rounds, mut json, mut folder) = (15, false, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => json = true,
            "--svg" => match arguments.next() {
                Some(path) => folder = Some(PathBuf::from(path)),
                None => return usage(),
            },
            "--rounds" => match arguments.next().and_then(|n| n.parse().ok()) {
                Some(number) => rounds = number,
                None => return usage(),
            },
            _ => return usage(),
        }
    }
    let mut all = bytes::grow(rounds);
    all.extend(session::grow(rounds));
    all.extend(hub::grow(rounds));
    for growth in &all {
        match json {
            true => print_json(growth),
            false => print_table(growth),
        }
        if let Some(folder) = &folder
            && let Err(error) = draw(folder, growth)
        {
            eprintln!("{}: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: growth [--rounds N] [--json] [--svg FOLDER]");
    ExitCode::from(2)
}

fn draw(folder: &Path, growth: &Growth) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let file = folder.join(format!("{}.svg", growth.key));
    fs::write(&file, plot::svg(growth))?;
    eprintln!("{}", file.display());
    Ok(())
}

fn print_table(growth: &Growth) {
    let mut head = vec![growth.x.to_owned()];
    head.extend(growth.curves.iter().map(|curve| curve.name.clone()));
    let mut xs: Vec<usize> = Vec::new();
    for (x, _) in growth.curves.iter().flat_map(|curve| &curve.points) {
        if !xs.contains(x) {
            xs.push(*x);
        }
    }
    let cell = |curve: &Curve, x| {
        let found = curve.points.iter().find(|point| point.0 == x);
        found.map_or_else(|| "-".to_owned(), |(_, y)| format!("{y:.2}"))
    };
    let row = |x: &usize| {
        let mut row = vec![x.to_string()];
        row.extend(growth.curves.iter().map(|curve| cell(curve, *x)));
        row
    };
    let mut rows: Vec<_> = xs.iter().map(row).collect();
    let mut grown = vec!["last to first".to_owned()];
    grown.extend(growth.curves.iter().map(Curve::grown));
    rows.push(grown);
    table::print(&format!("{}: {}", growth.title, growth.y), &head, &rows);
}

fn print_json(growth: &Growth) {
    for curve in &growth.curves {
        for (x, y) in &curve.points {
            let line = serde_json::json!({
                "growth": growth.key, "curve": curve.name, growth.x: x, growth.y: y,
            });
            println!("{line}");
        }
    }
}
