//! A wrong response as rollouts start from it.

use cdpo_data::Finish;
use cdpo_model::Key;
use cdpo_sample::Trunk;

/// A wrong response to find the critical token of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongResponse {
    /// The question's id; with `sample` the name that its draws are keyed by.
    pub problem_id: String,
    /// Which of the question's responses it is.
    pub sample: u32,
    /// What stands before the question: exemplars, start token.
    pub prefix_ids: Vec<u32>,
    /// The question's own ids.
    pub prompt_ids: Vec<u32>,
    /// The response's content ids.
    pub ids: Vec<u32>,
    /// How it ended; only kept for the record.
    pub finish: Finish,
}

impl WrongResponse {
    /// The response as a trunk for branches.
    pub(super) fn trunk(&self) -> Trunk {
        Trunk {
            name: format!("{} sample {}", self.problem_id, self.sample),
            prefix_ids: self.prefix_ids.clone(),
            prompt_ids: self.prompt_ids.clone(),
            response_ids: self.ids.clone(),
        }
    }

    /// The root of a stream of draws for this response; no sampling draws from it.
    pub(super) fn key(&self, seed: u64, stream: &str) -> Key {
        Key::new(seed)
            .with_str(stream)
            .with_str(&self.problem_id)
            .with(u64::from(self.sample))
    }
}
