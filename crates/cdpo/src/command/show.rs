//! A finished run in the terminal: its folder goes in; the table of methods, the list of scored responses, or one of them with
//! every token coloured, comes out. Reads files alone.

use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::Context as _;
use cdpo_report::page::ReportData;
use cdpo_report::terminal::{self, Colour};
use cdpo_report::{MethodTable, SeedTable};
use serde::de::DeserializeOwned;

use crate::args::{ColourChoice, ShowArgs};
use crate::messages::out;
use crate::outcome::Usage;
use crate::report;

/// Carries `cdpo show` out.
pub(crate) fn show(args: &ShowArgs) -> anyhow::Result<()> {
    if !args.run.is_dir() {
        return Err(Usage(format!(
            "{} is no folder; name a run's, such as runs/NAME",
            args.run.display()
        ))
        .into());
    }
    if args.list {
        out!("{}", terminal::list(&data(&args.run)?).trim_end());
        return Ok(());
    }
    if let Some(wanted) = &args.trajectory {
        let data = data(&args.run)?;
        let found = data.trajectories.iter().find(|view| view.id == *wanted);
        let Some(view) = found.or_else(|| only_of(&data, wanted)) else {
            return Err(Usage(format!(
                "no scored response is named {wanted}; `cdpo show {} --list` names them",
                args.run.display()
            ))
            .into());
        };
        out!(
            "{}",
            terminal::trajectory(&data, view, colour(args.color)).trim_end()
        );
        return Ok(());
    }
    if let Some(seeds) = read::<SeedTable>(&args.run.join("seeds.json"))? {
        out!("{}", seeds.plain().trim_end());
        return Ok(());
    }
    match read::<MethodTable>(&args.run.join("table.json"))? {
        Some(table) => out!("{}", table.plain().trim_end()),
        None => {
            return Err(Usage(format!(
                "{} has no table.json yet; `cdpo run {0}/recipe.toml` brings the run to its end",
                args.run.display()
            ))
            .into());
        }
    }
    Ok(())
}

/// The response of a question that has only one.
fn only_of<'d>(
    data: &'d ReportData,
    question: &str,
) -> Option<&'d cdpo_report::page::TrajectoryView> {
    let prefix = format!("{question}#");
    let mut of_question = data
        .trajectories
        .iter()
        .filter(|view| view.id.starts_with(&prefix));
    let first = of_question.next()?;
    of_question.next().is_none().then_some(first)
}

fn data(run: &Path) -> anyhow::Result<ReportData> {
    let path = run.join(report::DATA);
    read(&path)?.ok_or_else(|| {
        Usage(format!(
            "{} has no {} yet; `cdpo report {0}` writes it",
            run.display(),
            report::DATA
        ))
        .into()
    })
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("{} cannot be read", path.display())),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .with_context(|| format!("{} is not what this version writes", path.display()))
}

/// What the terminal can show: nothing where stdout is none or NO_COLOR is set, unless it is asked for.
fn colour(choice: ColourChoice) -> Colour {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let term = std::env::var("TERM").unwrap_or_default();
    let wanted = match choice {
        ColourChoice::Always => true,
        ColourChoice::Never => false,
        ColourChoice::Auto => std::io::stdout().is_terminal() && !set("NO_COLOR") && term != "dumb",
    };
    if !wanted {
        return Colour::None;
    }
    let depth = std::env::var("COLORTERM").unwrap_or_default();
    if depth == "truecolor" || depth == "24bit" {
        Colour::True
    } else {
        Colour::Palette
    }
}
