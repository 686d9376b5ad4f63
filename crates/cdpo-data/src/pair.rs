//! A preference pair: TRL's three columns, with token ids, per-token scores and weights beside them.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::order;
use crate::record::{FINITE, Record, check_count, check_ids, check_per_token, check_text};

/// One prompt with a right and a wrong response. The ids are what is trained; TRL reads the text columns.
///
/// Per-token lists have one value per id of their side, end-of-sequence included where there is one: `R` values for `R`
/// rejected ids, `C` for `C` chosen ids. A count that does not match is an error, as is a value that is not finite.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Pair {
    /// The framed question, zero-shot (TRL's column).
    pub prompt: String,
    /// The right response (TRL's column).
    pub chosen: String,
    /// The wrong response (TRL's column).
    pub rejected: String,
    /// The question's id.
    pub problem_id: String,
    /// The sample the right response came from.
    pub chosen_sample: u32,
    /// The sample the wrong response came from.
    pub rejected_sample: u32,
    /// The prompt's ids, encoded apart from the responses.
    pub prompt_ids: Vec<u32>,
    /// The right response's ids `[C]`; the last is end-of-sequence iff `chosen_terminated`.
    pub chosen_ids: Vec<u32>,
    /// The wrong response's ids `[R]`; the last is end-of-sequence iff `rejected_terminated`.
    pub rejected_ids: Vec<u32>,
    /// Whether the right response ended by itself.
    pub chosen_terminated: bool,
    /// Whether the wrong response ended by itself.
    pub rejected_terminated: bool,
    /// Contrastive score `s_t` of each rejected token `[R]`, 0 to 1 (Eq. 1); low marks a critical token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_scores: Option<Vec<f32>>,
    /// Weight of each rejected token `[R]`, at least 0; cDPO's is `1 - s_t`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_weights: Option<Vec<f32>>,
    /// Weight of each chosen token `[C]`, at least 0; absent means 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_weights: Option<Vec<f32>>,
    /// Log-probability of each rejected token `[R]` under the positive model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive_logps: Option<Vec<f32>>,
    /// Log-probability of each rejected token `[R]` under the negative model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative_logps: Option<Vec<f32>>,
    /// Rank of each rejected token `[R]` in the positive model's distribution, 1 for its most probable token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_ranks: Option<Vec<u32>>,
    /// The positive model's best tokens in place of each rejected token `[R]`, as (id, probability), best first; the rejected
    /// token itself is not among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_alternatives: Option<Vec<Vec<(u32, f32)>>>,
    /// Log-probability of each chosen token `[C]` under the positive model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_positive_logps: Option<Vec<f32>>,
    /// Log-probability of each chosen token `[C]` under the negative model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_negative_logps: Option<Vec<f32>>,
}

impl Record for Pair {
    fn check(&self) -> Result<(), String> {
        check_text("problem_id", &self.problem_id)?;
        check_ids("prompt_ids", &self.prompt_ids)?;
        check_ids("chosen_ids", &self.chosen_ids)?;
        check_ids("rejected_ids", &self.rejected_ids)?;
        let chosen = ("chosen_ids", self.chosen_ids.len());
        let rejected = ("rejected_ids", self.rejected_ids.len());
        let weight = 0.0..=f32::MAX;
        check_per_token(
            "rejected_scores",
            self.rejected_scores.as_deref(),
            rejected,
            0.0..=1.0,
        )?;
        check_per_token(
            "rejected_weights",
            self.rejected_weights.as_deref(),
            rejected,
            weight.clone(),
        )?;
        check_per_token(
            "chosen_weights",
            self.chosen_weights.as_deref(),
            chosen,
            weight,
        )?;
        check_per_token(
            "positive_logps",
            self.positive_logps.as_deref(),
            rejected,
            FINITE,
        )?;
        check_per_token(
            "negative_logps",
            self.negative_logps.as_deref(),
            rejected,
            FINITE,
        )?;
        if let Some(ranks) = &self.rejected_ranks {
            check_count("rejected_ranks", ranks.len(), rejected)?;
            if let Some(t) = ranks.iter().position(|&rank| rank == 0) {
                return Err(format!("rejected_ranks[{t}] is 0: the best rank is 1"));
            }
        }
        if let Some(alternatives) = &self.rejected_alternatives {
            check_count("rejected_alternatives", alternatives.len(), rejected)?;
            for (t, best) in alternatives.iter().enumerate() {
                if let Some((id, p)) = best.iter().find(|(_, p)| !(0.0..=1.0).contains(p)) {
                    return Err(format!(
                        "rejected_alternatives[{t}] gives token {id} the probability {p}: a number from 0 to 1 is expected"
                    ));
                }
            }
        }
        for (name, values) in [
            ("chosen_positive_logps", &self.chosen_positive_logps),
            ("chosen_negative_logps", &self.chosen_negative_logps),
        ] {
            check_per_token(name, values.as_deref(), chosen, FINITE)?;
        }
        Ok(())
    }

    fn order(&self, other: &Self) -> Ordering {
        order::by_id(&self.problem_id, &other.problem_id)
            .then(self.chosen_sample.cmp(&other.chosen_sample))
            .then(self.rejected_sample.cmp(&other.rejected_sample))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonl;
    use crate::{Error, OnBadRow};

    /// Three chosen and two rejected tokens; the rejected response was cut by length.
    fn pair() -> Pair {
        Pair {
            prompt: "Question: 2+2?\nAnswer:".into(),
            chosen: " 4.".into(),
            rejected: " 5".into(),
            problem_id: "q/0".into(),
            chosen_sample: 1,
            rejected_sample: 5,
            prompt_ids: vec![1, 2, 3],
            chosen_ids: vec![4, 13, 0],
            rejected_ids: vec![5, 6],
            chosen_terminated: true,
            rejected_terminated: false,
            rejected_scores: Some(vec![0.25, 1.0]),
            rejected_weights: Some(vec![0.75, 0.0]),
            chosen_weights: Some(vec![1.0, 1.3, 0.0]),
            positive_logps: Some(vec![-1.5, -0.0]),
            negative_logps: Some(vec![-0.5, -103.0]),
            rejected_ranks: Some(vec![2, 1]),
            rejected_alternatives: Some(vec![vec![(7, 0.5), (8, 0.25)], vec![]]),
            chosen_positive_logps: Some(vec![-0.25, -2.0, -0.125]),
            chosen_negative_logps: Some(vec![-1.0, -0.5, -7.0]),
        }
    }

    #[test]
    fn trl_columns_come_first_and_absent_lists_are_not_written() {
        let bare = Pair {
            rejected_scores: None,
            rejected_weights: None,
            chosen_weights: None,
            positive_logps: None,
            negative_logps: None,
            rejected_ranks: None,
            rejected_alternatives: None,
            chosen_positive_logps: None,
            chosen_negative_logps: None,
            ..pair()
        };
        assert_eq!(
            serde_json::to_string(&bare).unwrap(),
            r#"{"prompt":"Question: 2+2?\nAnswer:","chosen":" 4.","rejected":" 5","problem_id":"q/0","chosen_sample":1,"rejected_sample":5,"prompt_ids":[1,2,3],"chosen_ids":[4,13,0],"rejected_ids":[5,6],"chosen_terminated":true,"rejected_terminated":false}"#
        );
    }

    #[test]
    fn pairs_come_back_equal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pairs.jsonl");
        jsonl::write_atomic(&path, [&pair()]).unwrap();
        assert_eq!(
            jsonl::read::<Pair>(&path, OnBadRow::Fail).unwrap().0,
            [pair()]
        );
    }

    #[test]
    fn a_count_or_value_that_does_not_fit_the_tokens_is_path_line_and_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pairs.jsonl");
        jsonl::write_atomic(&path, [&pair()]).unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        let cases = [
            (
                "\"rejected_weights\":[0.75,0.0]",
                "\"rejected_weights\":[0.75]",
                "rejected_weights has 1 values but rejected_ids has 2 tokens",
            ),
            (
                "\"rejected_scores\":[0.25,1.0]",
                "\"rejected_scores\":[0.25,1.0,0.5]",
                "rejected_scores has 3 values but rejected_ids has 2 tokens",
            ),
            (
                "\"chosen_weights\":[1.0,1.3,0.0]",
                "\"chosen_weights\":[1.0,1.3]",
                "chosen_weights has 2 values but chosen_ids has 3 tokens",
            ),
            (
                "\"positive_logps\":[-1.5,-0.0]",
                "\"positive_logps\":[]",
                "positive_logps has 0 values but rejected_ids has 2 tokens",
            ),
            (
                "\"negative_logps\":[-0.5,-103.0]",
                "\"negative_logps\":[-0.5,-103.0,0.0]",
                "negative_logps has 3 values",
            ),
            (
                "\"rejected_ranks\":[2,1]",
                "\"rejected_ranks\":[2]",
                "rejected_ranks has 1 values but rejected_ids has 2 tokens",
            ),
            (
                "\"rejected_ranks\":[2,1]",
                "\"rejected_ranks\":[2,0]",
                "rejected_ranks[1] is 0: the best rank is 1",
            ),
            (
                ",[]]",
                "]",
                "rejected_alternatives has 1 values but rejected_ids has 2 tokens",
            ),
            (
                "[8,0.25]",
                "[8,1.25]",
                "rejected_alternatives[0] gives token 8 the probability 1.25",
            ),
            (
                "\"chosen_positive_logps\":[-0.25,-2.0,-0.125]",
                "\"chosen_positive_logps\":[-0.25,-2.0]",
                "chosen_positive_logps has 2 values but chosen_ids has 3 tokens",
            ),
            (
                "\"chosen_negative_logps\":[-1.0,-0.5,-7.0]",
                "\"chosen_negative_logps\":[]",
                "chosen_negative_logps has 0 values but chosen_ids has 3 tokens",
            ),
            (
                "\"rejected_scores\":[0.25,1.0]",
                "\"rejected_scores\":[0.25,1.0000001]",
                "rejected_scores[1] is 1.0000001: a number from 0 to 1 is expected",
            ),
            (
                "\"rejected_weights\":[0.75,0.0]",
                "\"rejected_weights\":[-0.1,0.0]",
                "rejected_weights[0] is -0.1: at least 0 is expected",
            ),
            (
                "\"rejected_weights\":[0.75,0.0]",
                "\"rejected_weights\":[0.75,1e39]",
                "number out of range",
            ),
            (
                "\"rejected_weights\":[0.75,0.0]",
                "\"rejected_weights\":[0.75,null]",
                "invalid type: null, expected f32",
            ),
            (
                "\"rejected_weights\":[0.75,0.0]",
                "\"rejected_weights\":[0.75,NaN]",
                "expected value",
            ),
            (
                "\"prompt_ids\":[1,2,3]",
                "\"prompt_ids\":[]",
                "prompt_ids is empty: at least one token is expected",
            ),
            (
                "\"rejected_ids\":[5,6]",
                "\"rejected_ids\":[5,-6]",
                "expected u32",
            ),
        ];
        for (from, to, reason) in cases {
            assert!(good.contains(from));
            std::fs::write(&path, format!("{good}{}", good.replace(from, to))).unwrap();
            let error = jsonl::read::<Pair>(&path, OnBadRow::Fail).unwrap_err();
            assert!(matches!(error, Error::Row { line: 2, .. }), "{to}: {error}");
            let place = format!("{}:2: ", path.display());
            let told = error.to_string();
            assert!(
                told.starts_with(&place) && told.contains(reason),
                "{to}: {told}"
            );
        }
    }

    #[test]
    fn not_a_number_is_refused_on_writing() {
        let dir = tempfile::tempdir().unwrap();
        let bad = Pair {
            rejected_weights: Some(vec![0.5, f32::NAN]),
            ..pair()
        };
        let error = jsonl::write_atomic(dir.path().join("p.jsonl"), [&bad]).unwrap_err();
        assert!(
            error.to_string().contains("rejected_weights[1] is NaN"),
            "{error}"
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
