//! `cdpo man`: a folder in; `cdpo.1` and a page for each command in it.

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::args::{Cli, ManArgs};
use crate::files;
use crate::messages::out;

/// Writes the pages and prints the folder.
pub(super) fn write(args: &ManArgs) -> anyhow::Result<()> {
    let dir = &args.dir;
    std::fs::create_dir_all(dir)
        .with_context(|| format!("the folder {} cannot be made", dir.display()))?;
    let mut program = Cli::command().disable_help_subcommand(true);
    // Gives each command its whole name, `cdpo run`, and its page's, `cdpo-run`.
    program.build();
    for command in std::iter::once(&program).chain(program.get_subcommands()) {
        let man = Man::new(command.clone());
        let mut page = Vec::new();
        man.render(&mut page)?;
        files::write(&dir.join(man.get_filename()), &page)?;
    }
    out!("{}", dir.display());
    Ok(())
}
