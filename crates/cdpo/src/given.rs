//! Responses that no stage sampled: a file of solutions in; questions and trajectories, encoded once, out.

use std::path::Path;

use anyhow::Context as _;
use cdpo_data::given_solutions;
use cdpo_data::{Finish, OnBadRow, Problem, Trajectory};

use crate::vocabulary::Vocabulary;

/// Reads a file of solutions (see [`given_solutions`]). A solution is encoded apart from its prompt and counts as ended by itself.
pub(crate) fn read(
    path: &Path,
    vocabulary: &Vocabulary,
) -> anyhow::Result<Vec<(Problem, Trajectory)>> {
    let (solutions, _) = given_solutions::read(path, OnBadRow::Fail)?;
    solutions
        .into_iter()
        .map(|solution| {
            let text = solution.response();
            let ids = vocabulary.tokenizer.encode(&text).with_context(|| {
                format!(
                    "{}: solution {} cannot be encoded",
                    path.display(),
                    solution.id
                )
            })?;
            let trajectory = Trajectory {
                problem_id: solution.id.clone(),
                sample: 0,
                text,
                ids,
                finish: Finish::Eos,
                token_logps: None,
            };
            Ok((solution.problem(), trajectory))
        })
        .collect()
}
