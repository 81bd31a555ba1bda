//! What an operation of a hub costs, with so many messages in it and with so many connections.

use ccs_bench::job::{Case, Job, Measured, measure};
use ccs_bench::jobs::hub::{BATCH, Downwards, To, Upwards};

use super::{Curve, Growth};

const QUEUED: [usize; 6] = [1, 10, 100, 1_000, 10_000, 100_000];
/// Up to what a sender may have (`docs/protocol.md` §1).
const CONNECTIONS: [usize; 4] = [1, 10, 100, 1_000];
const UP: &str = "upstream: submit, send, ack";
const UP_MANY_SENDERS: &str = "the same, a sender each";
const DOWN: &str = "downstream: accept, deliver";
const DOWN_KEPT: &str = "the same, to a device that is offline";
const DOWN_SAME_DEVICE: &str = "the same, where all others wait";

type Label = (&'static str, usize);

pub fn grow(rounds: usize) -> Vec<Growth> {
    let mut queued = Vec::new();
    for size in QUEUED {
        let mut add = |name, job| queued.push(case((name, size), job));
        add(UP, Box::new(Upwards::waiting(size)));
        add(DOWN, Box::new(Downwards::kept(size, To::Online)));
        add(DOWN_KEPT, Box::new(Downwards::kept(size, To::Offline)));
        add(
            DOWN_SAME_DEVICE,
            Box::new(Downwards::kept(size, To::SameDevice)),
        );
    }
    let mut connected = Vec::new();
    for size in CONNECTIONS {
        let mut add = |name, job| connected.push(case((name, size), job));
        add(UP, Box::new(Upwards::connected(size, 1)));
        add(UP_MANY_SENDERS, Box::new(Upwards::connected(1, size)));
        add(DOWN, Box::new(Downwards::connected(size)));
    }
    // A run is short, so there can be many.
    let growth = |key, x, cases| Growth {
        key,
        title: "a message through a hub",
        x,
        y: "ns a message",
        curves: curves(&measure(cases, rounds * 10)),
    };
    vec![
        growth("hub-messages", "messages queued", queued),
        growth("hub-connections", "connections", connected),
    ]
}

fn case(label: Label, job: Box<dyn Job>) -> Case<Label> {
    Case {
        label,
        messages: BATCH,
        job,
    }
}

fn curves(measured: &[Measured<Label>]) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for one in measured {
        let (name, size) = one.label;
        let point = (size, one.ns);
        match curves.iter_mut().find(|curve| curve.name == name) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve {
                name: name.to_owned(),
                points: vec![point],
            }),
        }
    }
    curves
}
