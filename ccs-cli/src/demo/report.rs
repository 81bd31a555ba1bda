//! The end in numbers: a table for people, a line for programs.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::counts::Reconciled;
use super::phones::Chapter;
use super::screen::Screen;
use super::story::End;

/// One app server's end, under its name.
pub type Column<'a> = (&'a str, &'a End);

/// A row for each count, a column for each app server.
pub fn table(screen: &Screen, columns: &[Column<'_>]) {
    screen.title("counted where it arrived");
    let row = |name: &str, value: &dyn Fn(&End) -> String| {
        let values = columns.iter().map(|(_, end)| value(end)).collect();
        (name.to_owned(), values)
    };
    let count = |name: &str, value: fn(&Reconciled) -> usize| {
        row(name, &|end| value(&end.counts).to_string())
    };
    let mut rows = vec![
        count("phones sent", |counts| counts.sent),
        count("of that acked", |counts| counts.acked),
        count("of that handled", |counts| counts.handled),
        count("of that kept as a dead letter", |counts| counts.dead),
        count("handled twice", |counts| counts.handled_twice),
        count("copies that the app server knew", |counts| {
            counts.known_copies as usize
        }),
        count("meant for phones", |counts| counts.expected),
        count("of that arrived", |counts| counts.delivered),
        count("copies that phones knew", |counts| counts.copies as usize),
        count("refused for a while and sent again", |counts| {
            counts.retried as usize
        }),
        count("refused, as it should be", |counts| counts.refused as usize),
        row("receipts sent / acked", &|end| {
            let (sent, acked) = end.counts.receipts;
            format!("{sent} / {acked}")
        }),
        count("connections", |counts| counts.connections as usize),
        row("seconds", &|end| seconds(end.took)),
    ];
    for chapter in chapters(columns) {
        let name = format!("lost: {chapter}");
        rows.push(row(&name, &|end| end.counts.lost_in(chapter).to_string()));
    }
    rows.push(count("lost", |counts| counts.lost.len()));
    let heads: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    screen.table(&heads, &rows);
}

/// Those in which anything was lost, in their order.
fn chapters(columns: &[Column<'_>]) -> Vec<Chapter> {
    let Some((_, first)) = columns.first() else {
        return Vec::new();
    };
    let mut chapters = first.counts.chapters.clone();
    chapters.retain(|chapter| {
        let mut ends = columns.iter().map(|(_, end)| end.counts.lost_in(chapter));
        ends.any(|lost| lost > 0)
    });
    chapters
}

/// The same as an object.
pub fn summary(end: &End) -> Map<String, Value> {
    let Reconciled {
        sent,
        acked,
        handled,
        handled_twice,
        dead,
        known_copies,
        retried,
        connections,
        accepted,
        expected,
        delivered,
        copies,
        receipts,
        refused,
        lost,
        disagreements,
        chapters: _,
    } = &end.counts;
    let value = json!({
        "upstream_sent": sent,
        "upstream_handled": handled,
        "upstream_acked": acked,
        "handled_twice": handled_twice,
        "known_copies": known_copies,
        "dead_letters": dead,
        "accepted": accepted,
        "expected": expected,
        "delivered": delivered,
        "duplicates": copies,
        "retried": retried,
        "connections": connections,
        "receipts_sent": receipts.0,
        "receipts_acked": receipts.1,
        "refused": refused,
        "seconds": end.took.as_secs_f64(),
        "disagreements": disagreements,
        "lost": lost.len(),
    });
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.2}", took.as_secs_f64())
}
