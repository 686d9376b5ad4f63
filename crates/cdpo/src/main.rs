//! The `cdpo` command: arguments in; tables and paths on stdout, messages on stderr, and an exit code: 0 done, 1 failed, 2 a fault in
//! the command or the recipe, 130 interrupted.

mod args;
mod base_model;
mod builtin;
mod command;
mod costs;
mod demo;
mod device;
mod execute;
mod files;
mod given;
mod grade_options;
mod hub;
mod interrupt;
mod lock;
mod memory;
mod messages;
mod outcome;
mod paths;
mod pipeline;
mod plan;
mod pretrain;
mod progress;
mod prompt;
mod recipe;
mod report;
mod responses;
mod run;
mod run_folder;
mod seeds;
mod stage;
mod stages;
mod vocabulary;
mod workload;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use args::Cli;
use outcome::{Interrupted, Usage};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are results; the rest is a fault in the command.
        Err(told) if !told.use_stderr() => {
            if let Err(e) = told.print().and_then(|()| std::io::stdout().flush()) {
                messages::unwritten(&e);
            }
            return ExitCode::SUCCESS;
        }
        Err(fault) => fault.exit(),
    };
    let result = interrupt::install().and_then(|()| command::carry_out(&cli.command));
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    messages::say(format_args!("error: {}", outcome::line(&error)));
    if error.is::<Interrupted>() {
        ExitCode::from(130)
    } else if error.is::<Usage>() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}
