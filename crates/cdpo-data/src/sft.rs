//! One example for supervised fine-tuning: a prompt and the response to train on.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::order;
use crate::record::{Record, check_ids, check_text};

/// A prompt with its response, as text and as ids. The ids are what is trained; the text is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SftExample {
    /// The question's id.
    pub problem_id: String,
    /// The sample the response came from.
    pub sample: u32,
    /// The framed question, zero-shot.
    pub prompt: String,
    /// The response's text.
    pub response: String,
    /// The prompt's ids, encoded apart from the response.
    pub prompt_ids: Vec<u32>,
    /// The response's ids; the last is end-of-sequence iff `terminated`.
    pub response_ids: Vec<u32>,
    /// Whether the response ended by itself, so that `response_ids` ends with end-of-sequence.
    pub terminated: bool,
}

impl Record for SftExample {
    fn check(&self) -> Result<(), String> {
        check_text("problem_id", &self.problem_id)?;
        check_ids("prompt_ids", &self.prompt_ids)?;
        check_ids("response_ids", &self.response_ids)
    }

    fn order(&self, other: &Self) -> Ordering {
        order::by_id_and_sample(
            (&self.problem_id, self.sample),
            (&other.problem_id, other.sample),
        )
    }
}
