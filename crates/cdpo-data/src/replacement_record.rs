//! The responses that replace a critical token, and how many of them are right.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::order;
use crate::record::{Record, check_text};
use crate::rollout_record::CriticalKind;

/// One response that goes on from a replaced critical token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// The token drawn in place of the critical one; may be an end token.
    pub id: u32,
    /// Whether the completed response is right.
    pub right: bool,
    /// The response's length in tokens drawn after the prefix, the replacement and an end token included.
    pub tokens: u32,
}

/// What becomes of a wrong response when its critical token is replaced (Figure 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacementRecord {
    /// The question's id.
    pub problem_id: String,
    /// The response's number among the question's samples.
    pub sample: u32,
    /// Position of the critical token, from 1.
    pub position: usize,
    /// What it meets.
    pub kind: CriticalKind,
    /// The critical token.
    pub id: u32,
    /// Rollouts that keep the critical token, and how many of them are right: its score.
    pub with_n: u32,
    /// Right ones among them.
    pub with_right: u32,
    /// Responses without it: each draws a replacement and is completed once.
    pub without: Vec<Replacement>,
    /// Tokens drawn; what several responses drew as one counts once.
    pub generated: u64,
}

impl ReplacementRecord {
    /// Right responses among those without the critical token.
    pub fn without_right(&self) -> u32 {
        self.without.iter().filter(|one| one.right).count() as u32
    }
}

impl Record for ReplacementRecord {
    fn check(&self) -> Result<(), String> {
        check_text("problem_id", &self.problem_id)?;
        if self.position == 0 {
            return Err("position is 0: positions count from 1".into());
        }
        if self.with_right > self.with_n {
            return Err(format!(
                "with_right is {} of {} rollouts",
                self.with_right, self.with_n
            ));
        }
        if let Some(i) = self.without.iter().position(|one| one.id == self.id) {
            return Err(format!(
                "without[{i}] replaces the critical token by itself"
            ));
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
    fn a_critical_token_is_not_its_own_replacement() {
        let mut record = ReplacementRecord {
            problem_id: "q/1".into(),
            sample: 3,
            position: 2,
            kind: CriticalKind::Both,
            id: 8,
            with_n: 64,
            with_right: 0,
            without: [(9, true), (2, false), (9, true)]
                .map(|(id, right)| Replacement {
                    id,
                    right,
                    tokens: 4,
                })
                .into(),
            generated: 9,
        };
        assert_eq!(record.check(), Ok(()));
        assert_eq!(record.without_right(), 2);
        record.without[1].id = 8;
        assert!(record.check().is_err());
    }
}
