//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Finds the critical tokens of wrong reasoning and trains them out.
#[derive(Debug, Parser)]
#[command(name = "cdpo", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a recipe from the questions to the table.
    Run(RunArgs),
    /// Write a tiny model with questions for it, and run the whole method on them in seconds.
    Demo(DemoArgs),
}

/// A recipe and its changes.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The recipe, a TOML file; `recipes/` has some.
    pub(crate) recipe: PathBuf,
    /// Change a key of the recipe; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Where the demonstration goes.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Folder for model, questions and run.
    #[arg(default_value = "demo")]
    pub(crate) dir: PathBuf,
    /// Change a key of `recipes/tiny.toml`; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Write model and questions, show what would be done, and do nothing else.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
