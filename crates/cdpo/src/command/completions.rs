//! `cdpo completions`: a shell's name in; on stdout the script by which that shell completes the program's arguments.

use clap::CommandFactory as _;

use crate::args::{Cli, CompletionsArgs};
use crate::messages::out;

/// Prints the script.
pub(super) fn print(args: &CompletionsArgs) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "cdpo", &mut script);
    out!("{}", String::from_utf8_lossy(&script).trim_end());
}
