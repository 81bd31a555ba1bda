//! A window of two, three messages, one cut and one drain: every interleaving.

use ccs_tests::sim::{Explored, explore};

fn explored(to_devices: usize, from_devices: usize) -> Explored {
    let explored = explore(to_devices, from_devices);
    explored.unwrap_or_else(|found| panic!("{found:#?}"))
}

#[test]
fn no_interleaving_of_three_messages_to_devices_breaks_a_rule() {
    let explored = explored(3, 0);
    println!("{explored:?}");
}

#[test]
fn no_interleaving_of_messages_both_ways_breaks_a_rule() {
    let explored = explored(1, 1);
    println!("{explored:?}");
}
