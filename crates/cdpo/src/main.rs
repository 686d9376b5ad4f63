//! The `cdpo` command.
fn main() {}
