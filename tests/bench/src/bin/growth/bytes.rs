//! What a byte of an upstream message costs, from the read to the bytes of the ack.

use std::rc::Rc;

use ccs_bench::corpus::{Corpus, Quotes, Size};
use ccs_bench::job::{Case, Measured, measure};
use ccs_bench::jobs::ccs::Acks;

use super::{Curve, Growth};

/// Bytes of data, up to what a stanza may weigh.
const SIZES: [usize; 8] = [200, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 60_000];
const CHUNKS: [usize; 5] = [64, 256, 1_024, 4_096, 16_384];
/// About so much in a run, however large a message is.
const STREAM: usize = 512 * 1024;

/// Stanza and read.
type Label = (usize, usize);

pub fn grow(rounds: usize) -> Vec<Growth> {
    let mut cases = Vec::new();
    for size in SIZES {
        let count = STREAM / size;
        let corpus = Rc::new(Corpus::of(count, Size(size), Quotes::Raw));
        for chunk in CHUNKS {
            cases.push(Case {
                label: (corpus.weight(), chunk),
                // Costs are by the byte.
                messages: corpus.stream.len(),
                job: Box::new(Acks::new(Rc::clone(&corpus), chunk)),
            });
        }
    }
    let measured = measure(cases, rounds);
    let title = "upstream bytes -> event -> ack bytes";
    let y = "ns a byte";
    vec![
        Growth {
            key: "stanzas",
            title,
            x: "bytes a stanza",
            y,
            curves: curves(
                &measured,
                |(_, chunk)| *chunk,
                "reads of",
                |(stanza, _)| *stanza,
            ),
        },
        Growth {
            key: "reads",
            title,
            x: "bytes a read",
            y,
            curves: curves(
                &measured,
                |(stanza, _)| *stanza,
                "stanzas of",
                |(_, chunk)| *chunk,
            ),
        },
    ]
}

/// One curve for each value of `of`, over `x`.
fn curves(
    measured: &[Measured<Label>],
    of: impl Fn(&Label) -> usize,
    what: &str,
    x: impl Fn(&Label) -> usize,
) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for one in measured {
        let name = format!("{what} {} B", of(&one.label));
        let point = (x(&one.label), one.ns);
        match curves.iter_mut().find(|curve| curve.name == name) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve {
                name,
                points: vec![point],
            }),
        }
    }
    curves
}
