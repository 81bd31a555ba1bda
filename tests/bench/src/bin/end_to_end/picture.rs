//! Bars as SVG: what a message costs by peer, and how late acks are at fixed rates.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use ccs_bench::loopback::Direction;

use crate::rounds::{Full, Results};

const WIDTH: f64 = 720.0;
const LEFT: f64 = 200.0;
const RIGHT: f64 = 80.0;
const TOP: f64 = 44.0;
const ROW: f64 = 20.0;
const LIMIT: &str = "#9aa4ad";
const THIS: &str = "#1b6ca8";
const OTHER: &str = "#b9770e";

struct Bar {
    peer: &'static str,
    label: String,
    value: f64,
}

/// A file for each picture.
pub fn draw(folder: &Path, results: &Results) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let cpu = |all: &[Full]| {
        let bars = all.iter().filter_map(|full| {
            Some(Bar {
                peer: full.peer,
                label: format!("{} {}", full.direction.name(), full.peer),
                value: full.cpu_ratio?,
            })
        });
        bars.collect::<Vec<_>>()
    };
    let late = results.paced.iter().map(|paced| Bar {
        peer: paced.peer,
        label: format!("{:.0}/s {}", paced.asked, paced.peer),
        value: paced.p99,
    });
    let late: Vec<_> = late.collect();
    let (up, down) = (Direction::Up.name(), Direction::Down.name());
    let cpu_title = |who: &str| {
        format!("{who}: CPU a message, times raw ({up}: it receives and acks, {down}: it sends)")
    };
    let pictures = [
        (
            "end_to_end_cpu",
            cpu_title("app server"),
            cpu(&results.app_servers),
        ),
        (
            "end_to_end_endpoint_cpu",
            "endpoint: CPU a message, times raw".to_owned(),
            cpu(&results.endpoints),
        ),
        (
            "end_to_end_p99",
            "p99 in us, from when a message was due to its ack".to_owned(),
            late,
        ),
    ];
    for (name, title, bars) in pictures {
        let file = folder.join(format!("{name}.svg"));
        fs::write(&file, svg(&title, &bars))?;
        eprintln!("{}", file.display());
    }
    Ok(())
}

fn svg(title: &str, bars: &[Bar]) -> String {
    let height = TOP + ROW * bars.len() as f64 + 16.0;
    let longest = bars
        .iter()
        .map(|bar| bar.value)
        .fold(f64::MIN_POSITIVE, f64::max);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"16\" y=\"24\">{title}</text>\n"
    );
    for (number, bar) in bars.iter().enumerate() {
        let top = TOP + ROW * number as f64;
        let width = (WIDTH - LEFT - RIGHT) * bar.value / longest;
        let colour = match bar.peer {
            peer if peer.starts_with("raw") => LIMIT,
            peer if peer.starts_with("ccs") => THIS,
            _ => OTHER,
        };
        let middle = top + ROW * 0.65;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{middle:.1}\" text-anchor=\"end\">{}</text>\n\
             <rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\n\
             <text x=\"{:.1}\" y=\"{middle:.1}\">{}</text>",
            LEFT - 8.0,
            bar.label,
            top + 2.0,
            ROW - 4.0,
            LEFT + width + 6.0,
            if longest < 200.0 {
                format!("{:.1}", bar.value)
            } else {
                format!("{:.0}", bar.value)
            },
        );
    }
    svg.push_str("</svg>\n");
    svg
}
