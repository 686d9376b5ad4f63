//! How rollouts are drawn: settings in; the same, checked.

use cdpo_data::RolloutKeys;
use serde::{Deserialize, Serialize};

use super::definition::LastPosition;
use crate::error::{Error, Result};

/// What rollouts share. None of it changes an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// Nothing: every rollout of every position is drawn by itself, as the definition says.
    None,
    /// A rollout that draws the response's own next token is the rollout of the same number that starts behind it.
    Path,
    /// That, and rollouts that have drawn the same tokens are one sequence until they differ.
    #[default]
    Tree,
}

/// Which scores are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scores {
    /// Those that the critical token depends on.
    #[default]
    Needed,
    /// All rollouts of all positions.
    Full,
}

/// Settings of [`super::roll_out`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutSettings {
    /// Rollouts of each position; the paper's 64.
    pub n: u32,
    /// Which random numbers they draw with.
    pub keys: RolloutKeys,
    /// What they share.
    pub sharing: Sharing,
    /// Which scores are wanted.
    pub scores: Scores,
    /// Whether the last content token is a position.
    pub last_position: LastPosition,
    /// Tokens that one response's rollouts may take; looked at between rounds. What is not settled by then is reported as such.
    pub max_tokens: Option<u64>,
    /// No further position joins a round of one response that has so many sequences (with full scores at least 64). With 1, a
    /// position is settled before the next one is begun, and many responses side by side fill the batch; more are faster for
    /// a few responses, and draw more that the answer does not need.
    pub round: usize,
    /// Tokens beyond the length of most rollouts at which one is set aside, unless all scores are wanted. Those that go on for long
    /// are few and cost most, and at most positions the answer can do without three of 64.
    #[serde(skip)]
    pub patience: usize,
    /// Seed of every draw.
    pub seed: u64,
}

impl Default for RolloutSettings {
    fn default() -> Self {
        Self {
            n: 64,
            keys: RolloutKeys::Common,
            sharing: Sharing::Tree,
            scores: Scores::Needed,
            last_position: LastPosition::Include,
            max_tokens: None,
            round: 1,
            patience: 32,
            seed: 0,
        }
    }
}

impl RolloutSettings {
    /// The definition itself: every rollout of every position, drawn by itself (and to its end, unless the branches settle it).
    #[must_use]
    pub fn exhaustive(self) -> Self {
        Self {
            sharing: Sharing::None,
            scores: Scores::Full,
            ..self
        }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(&self) -> Result<()> {
        let fault = |name, value: String, expected| Error::Setting {
            name,
            value,
            expected,
        };
        check_count(self.n)?;
        if self.max_tokens == Some(0) {
            return Err(fault(
                "max_tokens",
                "0".into(),
                "at least 1 token; leave it out for no limit",
            ));
        }
        if self.round == 0 {
            return Err(fault("round", "0".into(), "at least 1 sequence"));
        }
        if self.patience == 0 {
            return Err(fault("patience", "0".into(), "at least 1 token"));
        }
        Ok(())
    }
}

/// Checks how many rollouts are drawn at a place.
pub(super) fn check_count(n: u32) -> Result<()> {
    if (1..=1 << 20).contains(&n) {
        return Ok(());
    }
    Err(Error::Setting {
        name: "n",
        value: n.to_string(),
        expected: "from 1 to 1048576 rollouts of each position",
    })
}
