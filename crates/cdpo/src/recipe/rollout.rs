//! The section `[rollout]`: how critical tokens are found by rollouts, and replaced.

use cdpo_critical::rollout::{LastPosition, ReplaceSettings, RolloutSettings, Scores, Sharing};
use cdpo_data::RolloutKeys;
use serde::{Deserialize, Serialize};

/// Whose responses are rolled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Of {
    /// The wrong samples, those first that were drawn first.
    Samples,
    /// The rejected responses of the pairs.
    Pairs,
}

/// Which wrong responses are rolled out, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RolloutSection {
    /// Rollouts of each position.
    pub(crate) n: u32,
    /// Whose responses are taken.
    pub(crate) of: Of,
    /// Most wrong responses taken.
    pub(crate) limit: usize,
    /// Most wrong responses of one question.
    pub(crate) per_question: usize,
    /// Takes only responses of at most this many tokens.
    pub(crate) longest: Option<usize>,
    /// Which random numbers the rollouts draw with.
    pub(crate) keys: RolloutKeys,
    /// What they share; never changes an outcome.
    pub(crate) sharing: Sharing,
    /// Which scores are wanted.
    pub(crate) scores: Scores,
    /// Whether the last content token is a position.
    pub(crate) last_position: LastPosition,
    /// Whether rollouts end once their answer is settled; never changes an outcome.
    pub(crate) early_stop: bool,
    /// Most tokens for one response.
    pub(crate) max_tokens: Option<u64>,
    /// Sequences decoded together; never changes an outcome.
    pub(crate) max_batch: usize,
    /// Sequences of one response in a round.
    pub(crate) round: usize,
    /// Replacements of each critical token.
    pub(crate) replacements: u32,
    /// Temperature of a replacement's draw.
    pub(crate) replacement_temperature: f64,
    /// Nucleus mass of a replacement's draw.
    pub(crate) replacement_top_p: f64,
}

impl Default for RolloutSection {
    fn default() -> Self {
        let (rollout, replace) = (RolloutSettings::default(), ReplaceSettings::default());
        Self {
            n: rollout.n,
            of: Of::Samples,
            limit: 20,
            per_question: 1,
            longest: None,
            keys: rollout.keys,
            sharing: rollout.sharing,
            scores: rollout.scores,
            last_position: rollout.last_position,
            early_stop: true,
            max_tokens: rollout.max_tokens,
            max_batch: 64,
            round: rollout.round,
            replacements: replace.n,
            replacement_temperature: replace.temperature,
            replacement_top_p: replace.top_p,
        }
    }
}

impl RolloutSection {
    /// How rollouts are drawn.
    pub(crate) fn settings(&self, seed: u64) -> RolloutSettings {
        RolloutSettings {
            n: self.n,
            keys: self.keys,
            sharing: self.sharing,
            scores: self.scores,
            last_position: self.last_position,
            max_tokens: self.max_tokens,
            round: self.round,
            seed,
            ..RolloutSettings::default()
        }
    }

    /// How replacements are drawn.
    pub(crate) fn replacing(&self, seed: u64) -> ReplaceSettings {
        ReplaceSettings {
            n: self.replacements,
            temperature: self.replacement_temperature,
            top_p: self.replacement_top_p,
            seed,
        }
    }

    /// Adds what is out of range.
    pub(super) fn check(&self, faults: &mut Vec<String>) {
        if let Err(e) = self.settings(0).validate() {
            faults.push(format!("rollout.{e}"));
        }
        let least = [
            ("limit", self.limit),
            ("per_question", self.per_question),
            ("max_batch", self.max_batch),
            ("replacements", self.replacements as usize),
        ];
        for (name, value) in least {
            if value == 0 {
                faults.push(format!("rollout.{name} = 0: at least 1 is expected"));
            }
        }
        if !(self.replacement_temperature.is_finite() && self.replacement_temperature > 0.0) {
            faults.push(format!(
                "rollout.replacement_temperature = {}: a number above 0 is expected, or every replacement is the same",
                self.replacement_temperature
            ));
        }
        if !(self.replacement_top_p > 0.0 && self.replacement_top_p <= 1.0) {
            faults.push(format!(
                "rollout.replacement_top_p = {}: a number in (0, 1] is expected; 1 truncates nothing",
                self.replacement_top_p
            ));
        }
    }
}
