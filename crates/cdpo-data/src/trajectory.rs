//! One sampled response to one question.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::order;
use crate::record::{FINITE, Record, check_per_token, check_text};

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model drew an end-of-sequence token.
    Eos,
    /// A stop string appeared in the text.
    Stop,
    /// The limit on new tokens was reached: the response is cut short.
    Length,
}

impl Finish {
    /// Whether the response came to its own end: then, and only then, end-of-sequence is appended and trained.
    pub fn terminated(self) -> bool {
        matches!(self, Self::Eos | Self::Stop)
    }
}

/// One sampled response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trajectory {
    /// The question's id.
    pub problem_id: String,
    /// Which of the question's samples this is, from 0.
    pub sample: u32,
    /// The response's text without the stop string.
    pub text: String,
    /// Content token ids: no end-of-sequence, nothing of the stop string unless its token also carries response text.
    pub ids: Vec<u32>,
    /// Why it ended.
    pub finish: Finish,
    /// Log-probability of each content token under the sampling model at temperature 1 (natural logarithm), if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_logps: Option<Vec<f32>>,
    /// Whether the ids were made of the text that a server gave, and so need not be those that it drew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reencoded: bool,
}

impl Trajectory {
    /// The ids to train on: the content ids, and `eos` behind them iff the response came to its own end.
    pub fn response_ids(&self, eos: u32) -> Vec<u32> {
        let mut ids = self.ids.clone();
        if self.terminated() {
            ids.push(eos);
        }
        ids
    }

    /// Whether the response ended by end-of-sequence or by a stop string, not by length.
    pub fn terminated(&self) -> bool {
        self.finish.terminated()
    }
}

impl Record for Trajectory {
    fn check(&self) -> Result<(), String> {
        check_text("problem_id", &self.problem_id)?;
        if self.finish == Finish::Length && self.ids.is_empty() {
            return Err("ids is empty although the generation ended by length".into());
        }
        check_per_token(
            "token_logps",
            self.token_logps.as_deref(),
            ("ids", self.ids.len()),
            FINITE,
        )
    }

    fn order(&self, other: &Self) -> Ordering {
        order::by_id_and_sample(
            (&self.problem_id, self.sample),
            (&other.problem_id, other.sample),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trajectory(finish: Finish) -> Trajectory {
        Trajectory {
            problem_id: "q/0".into(),
            sample: 3,
            text: " 4".into(),
            ids: vec![7, 9],
            finish,
            token_logps: Some(vec![-0.5, -1.25]),
            reencoded: false,
        }
    }

    #[test]
    fn end_of_sequence_is_appended_iff_the_response_ended_by_itself() {
        assert_eq!(trajectory(Finish::Eos).response_ids(2), [7, 9, 2]);
        assert_eq!(trajectory(Finish::Stop).response_ids(2), [7, 9, 2]);
        assert_eq!(trajectory(Finish::Length).response_ids(2), [7, 9]);
    }

    #[test]
    fn a_log_probability_count_that_does_not_match_the_tokens_is_refused() {
        let mut short = trajectory(Finish::Eos);
        short.token_logps = Some(vec![-0.5]);
        let reason = short.check().unwrap_err();
        assert!(
            reason.contains("1 values") && reason.contains("2 tokens"),
            "{reason}"
        );
        let mut nan = trajectory(Finish::Eos);
        nan.token_logps = Some(vec![-0.5, f32::NAN]);
        assert!(nan.check().unwrap_err().contains("token_logps[1] is NaN"));
    }

    #[test]
    fn finish_is_written_in_snake_case() {
        let line = serde_json::to_string(&trajectory(Finish::Length)).unwrap();
        assert_eq!(
            line,
            r#"{"problem_id":"q/0","sample":3,"text":" 4","ids":[7,9],"finish":"length","token_logps":[-0.5,-1.25]}"#
        );
    }
}
