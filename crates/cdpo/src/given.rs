//! Responses that no stage sampled: a file of solutions in; questions and trajectories, encoded once behind their prompts, out.

use std::path::Path;

use anyhow::Context as _;
use cdpo_data::given_solutions;
use cdpo_data::{Finish, OnBadRow, Problem, Trajectory};

use crate::prompt::Prompt;
use crate::vocabulary::Vocabulary;

/// Reads a file of solutions (see [`given_solutions`]). A solution is encoded apart from its prompt and counts as ended by itself; an end
/// token that its text brings is no part of it.
pub(crate) fn read(
    path: &Path,
    vocabulary: &Vocabulary,
    prompt: &Prompt,
) -> anyhow::Result<Vec<(Problem, Trajectory)>> {
    let (solutions, _) = given_solutions::read(path, OnBadRow::Fail)?;
    let trajectories = solutions
        .into_iter()
        .map(|mut solution| {
            solution.in_turn = prompt.template().is_some();
            let problem = solution.problem();
            let response = prompt
                .response(vocabulary, &problem, &solution.response())
                .with_context(|| {
                    format!(
                        "{}: solution {} cannot be encoded",
                        path.display(),
                        solution.id
                    )
                })?;
            let trajectory = Trajectory {
                problem_id: solution.id.clone(),
                sample: 0,
                text: response.text,
                ids: response.ids,
                finish: Finish::Eos,
                token_logps: None,
                reencoded: false,
            };
            Ok((problem, trajectory))
        })
        .collect();
    vocabulary.report("given responses");
    trajectories
}
