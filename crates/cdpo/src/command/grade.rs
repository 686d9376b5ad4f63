//! `cdpo grade`: the graded samples of a recipe, the verdicts on a file of responses, or how two answers compare.

use std::path::Path;

use cdpo_grade::{GradeOptions, Grader};

use crate::args::GradeArgs;
use crate::messages::{self, out};
use crate::outcome::Usage;
use crate::stages::grade;
use crate::{execute, recipe, responses};

/// Carries the command out.
pub(super) fn grade(args: &GradeArgs) -> anyhow::Result<()> {
    if let [a, b] = args.explain.as_slice() {
        let explanation = Grader::new(args.options.options()).explain(a, b);
        out!("{}", serde_json::to_string_pretty(&explanation)?);
        return Ok(());
    }
    let path = args.file.as_deref().unwrap_or(Path::new(""));
    let options = args.options.options();
    if path.extension().is_some_and(|e| e == "toml") {
        if options != GradeOptions::default() {
            let hint = "a recipe's grading is set by --set grade.KEY=VALUE";
            return Err(Usage(hint.into()).into());
        }
        let recipe = recipe::read(path, &args.sets)?;
        return execute::upto(recipe, &[(grade::id(), grade::GRADED)], args.dry_run);
    }
    if !args.sets.is_empty() {
        return Err(Usage("--set changes a recipe; a file of responses takes none".into()).into());
    }
    let graded = responses::grade(path, &options)?;
    for row in &graded {
        out!("{}", serde_json::to_string(row)?);
    }
    for line in responses::counts(&graded)
        .into_iter()
        .chain(responses::disagreements(path, &graded))
    {
        messages::say(line);
    }
    Ok(())
}
