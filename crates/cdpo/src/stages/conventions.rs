//! GSM8K by both filters of lm-evaluation-harness: a method's responses in, its row of the second table out.

use cdpo_data::{Problem, Trajectory};
use cdpo_grade::{Extraction, GradeOptions, Grader};
use cdpo_report::{ConventionTable, Evaluation};

use super::grading::grade_all;
use crate::recipe::{FramingName, Recipe, Template};

/// Adds a method's row, where the recipe asks its questions as GSM8K's are asked.
pub(super) fn add(
    table: &mut ConventionTable,
    recipe: &Recipe,
    method: &str,
    problems: &[Problem],
    answers: &[Trajectory],
) -> anyhow::Result<()> {
    let prompt = &recipe.prompt;
    if prompt.framing != FramingName::Gsm8k || prompt.template != Template::None {
        return Ok(());
    }
    let by = |extraction| -> anyhow::Result<Evaluation> {
        let grader = Grader::new(GradeOptions {
            extraction,
            ..recipe.grade.clone()
        });
        let graded = grade_all(&grader, problems, answers)?;
        Ok(Evaluation::from_graded(method, &graded)?)
    };
    table.push(
        &by(Extraction::Gsm8kStrictFilter)?,
        &by(Extraction::Gsm8kFlexible)?,
    );
    Ok(())
}

/// The table as it stands below another one; nothing if it has no rows.
pub(super) fn appended(table: &ConventionTable) -> String {
    if table.rows.is_empty() {
        return String::new();
    }
    format!(
        "\nBy the strict and the flexible filter of lm-evaluation-harness:\n\n{}",
        table.markdown()
    )
}
