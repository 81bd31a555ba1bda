//! The `ccs` command.

fn main() {}
