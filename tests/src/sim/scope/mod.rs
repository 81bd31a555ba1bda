//! A small world, explored to the last interleaving: a window of two, a few messages either way, one cut and one drain, at
//! every point.
//!
//! What can happen next is a list of moves, and every order of them is tried. Two orders after which each part has seen
//! the same inputs in the same order lead to the same state, so one of them is gone on with (Mazurkiewicz traces).

mod link;
mod small;

use std::collections::BTreeSet;

use ccs_proto::ConnectionId;

use super::invariants::Violation;
use small::Scope;

/// One thing that can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// The dial succeeds, and the login with it.
    Connect,
    /// The endpoint reads what the app server wrote.
    Up(ConnectionId),
    /// The other way round.
    Down(ConnectionId),
    /// The endpoint acks the oldest message that it has.
    Answer(ConnectionId),
    /// The handler is done with what it has.
    Handle,
    /// The connection breaks; the app server knows at once, and the endpoint after what was on its way.
    CutAbove(ConnectionId),
    /// The other way round.
    CutBelow(ConnectionId),
    /// The endpoint drains the connection.
    Drain(ConnectionId),
    /// Nothing else can happen, and time passes to the next deadline.
    Wait,
}

/// What was explored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// States in which everything is settled.
    pub ends: usize,
}

/// A broken rule, and the moves that led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counterexample {
    /// What was broken.
    pub violation: Violation,
    /// The moves, in words.
    pub moves: Vec<String>,
}

/// Tries every order of everything.
///
/// # Errors
/// The first order that breaks a rule.
pub fn explore(to_devices: usize, from_devices: usize) -> Result<Explored, Counterexample> {
    let mut states = BTreeSet::new();
    let mut ends = 0;
    let mut open: Vec<Vec<Move>> = vec![Vec::new()];
    while let Some(mut path) = open.pop() {
        let mut scope = Scope::new(to_devices, from_devices);
        for step in &path {
            scope.make(*step);
        }
        // Down to the end by the first move each time; the others are come back to.
        loop {
            if let Some(violation) = scope.violation() {
                let moves = path.iter().map(|step| format!("{step:?}")).collect();
                return Err(Counterexample { violation, moves });
            }
            if !states.insert(scope.fingerprint()) {
                break;
            }
            if scope.is_settled() {
                ends += 1;
                break;
            }
            let mut next = scope.moves().into_iter();
            let Some(first) = next.next() else {
                break;
            };
            open.extend(next.map(|other| [path.as_slice(), &[other]].concat()));
            path.push(first);
            scope.make(first);
        }
    }
    let states = states.len();
    Ok(Explored { states, ends })
}
