//! The verdict on one trajectory.

use std::cmp::Ordering;

use cdpo_grade::{Outcome, Verdict};
use serde::{Deserialize, Serialize};

use crate::order;
use crate::record::{Record, check_text};

/// A trajectory's key with its verdict, in one flat row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Graded {
    /// The question's id.
    pub problem_id: String,
    /// The question's sample.
    pub sample: u32,
    /// Outcome, extracted answer and canonical key, at the row's top level.
    #[serde(flatten)]
    pub verdict: Verdict,
}

impl Record for Graded {
    fn check(&self) -> Result<(), String> {
        check_text("problem_id", &self.problem_id)?;
        if self.verdict.outcome != Outcome::Unparsed && self.verdict.key.is_none() {
            return Err("key is missing: only an unparsed answer may have none".into());
        }
        Ok(())
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

    #[test]
    fn a_graded_row_is_flat_and_comes_back() {
        let graded = Graded {
            problem_id: "q/1".into(),
            sample: 2,
            verdict: Verdict {
                outcome: Outcome::Wrong,
                answer: Some("4".into()),
                key: Some("4".into()),
                rule: "last_number".into(),
                span: Some((14, 15)),
                why: "4 is not 5".into(),
            },
        };
        let line = serde_json::to_string(&graded).unwrap();
        assert!(
            line.starts_with(r#"{"problem_id":"q/1","sample":2,"outcome":"wrong""#),
            "{line}"
        );
        assert_eq!(serde_json::from_str::<Graded>(&line).unwrap(), graded);
        let keyless = Graded {
            verdict: Verdict {
                key: None,
                ..graded.verdict.clone()
            },
            ..graded
        };
        assert!(keyless.check().unwrap_err().contains("key is missing"));
    }
}
