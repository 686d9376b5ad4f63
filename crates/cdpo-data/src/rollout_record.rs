//! What the rollouts of one wrong response reported: its critical token, with the counts that it rests on.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::order;
use crate::record::{FINITE, Record, check_ids, check_per_token, check_text};
use crate::trajectory::Finish;

/// Which conditions the critical token meets (Lin et al. 2025, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CriticalKind {
    /// No rollout from it is right, and every later position stays under 5 %.
    Both,
    /// No rollout from it is right, but a later position is at or over 5 %; the first such token, since none meets both.
    OnlyFirst,
    /// No position has score 0.
    None,
    /// The budget ended before the definition was settled.
    Unsettled,
}

impl CriticalKind {
    /// The name in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::OnlyFirst => "only_first",
            Self::None => "none",
            Self::Unsettled => "unsettled",
        }
    }
}

/// Which random numbers rollouts draw with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutKeys {
    /// Rollout j draws the token at a position with one number, whatever position it started from (common random numbers).
    #[default]
    Common,
    /// Each position's rollouts have numbers of their own.
    Independent,
}

/// The rollouts of one position: completions of the response up to and including its token.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PositionScore {
    /// Rollouts known to end right.
    pub successes: u32,
    /// Rollouts known not to end right.
    pub failures: u32,
    /// Whether some of the `n` rollouts are not known, because the critical token does not depend on them.
    pub partial: bool,
    /// Lower end of the score's interval: 95 % (Wilson), as if every unknown rollout were wrong.
    pub low: f64,
    /// Upper end: as if every unknown rollout were right.
    pub high: f64,
}

impl PositionScore {
    /// The score, where all rollouts are known.
    pub fn score(&self) -> Option<f64> {
        let known = self.successes + self.failures;
        (!self.partial && known > 0).then(|| f64::from(self.successes) / f64::from(known))
    }
}

/// What the rollouts cost, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RolloutCost {
    /// Tokens drawn, end tokens included; what several rollouts drew as one counts once.
    pub generated: u64,
    /// Tokens of prompt and response computed to begin with; a prefix that responses share is not among them.
    pub prefilled: u64,
    /// Tokens that every rollout of every position draws if each is drawn by itself.
    pub exhaustive: u64,
    /// Whether `exhaustive` was counted; else it is estimated from the lengths of the rollouts drawn, and too low where those ended
    /// once their answer was settled.
    pub exhaustive_counted: bool,
    /// Rollouts that ended, by themselves or because they were settled.
    pub rollouts: u64,
}

/// The critical token of one wrong response.
///
/// Positions count the response's content tokens from 1; `positions[t - 1]` belongs to `ids[t - 1]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutRecord {
    /// The question's id.
    pub problem_id: String,
    /// The response's number among the question's samples.
    pub sample: u32,
    /// The question's own ids, without exemplars.
    pub prompt_ids: Vec<u32>,
    /// The response's content ids `[T]`, no terminator.
    pub ids: Vec<u32>,
    /// How the response ended.
    pub finish: Finish,
    /// Rollouts of each position.
    pub n: u32,
    /// Which random numbers they drew with.
    pub keys: RolloutKeys,
    /// What the critical token meets.
    pub kind: CriticalKind,
    /// Its position, from 1; absent iff `kind` is `none` or `unsettled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<usize>,
    /// The positions `[T]`; without the last one if the last token is no position.
    pub positions: Vec<PositionScore>,
    /// Log-probability of each id at temperature 1 under the model that rolls out `[T]`.
    pub token_logps: Vec<f32>,
    /// Entropy in nats of the distribution that each id was drawn from, at temperature 1 `[T]`.
    pub entropies: Vec<f32>,
    /// What it cost.
    pub cost: RolloutCost,
}

impl Record for RolloutRecord {
    fn check(&self) -> Result<(), String> {
        check_text("problem_id", &self.problem_id)?;
        check_ids("prompt_ids", &self.prompt_ids)?;
        let tokens = self.ids.len();
        if !(tokens.saturating_sub(1)..=tokens).contains(&self.positions.len()) {
            return Err(format!(
                "positions has {} entries but ids has {tokens} tokens: one a token is expected, or one less",
                self.positions.len()
            ));
        }
        for (t, at) in self.positions.iter().enumerate() {
            let known = u64::from(at.successes) + u64::from(at.failures);
            if known > u64::from(self.n) || at.partial != (known < u64::from(self.n)) {
                return Err(format!(
                    "positions[{t}] has {} right and {} wrong rollouts of {} and partial = {}: they do not fit",
                    at.successes, at.failures, self.n, at.partial
                ));
            }
            if !(0.0 <= at.low && at.low <= at.high && at.high <= 1.0) {
                return Err(format!(
                    "positions[{t}] has the interval {} to {}: shares in order are expected",
                    at.low, at.high
                ));
            }
        }
        let settled = matches!(self.kind, CriticalKind::Both | CriticalKind::OnlyFirst);
        match self.position {
            Some(t) if settled && (1..=self.positions.len()).contains(&t) => {}
            None if !settled => {}
            position => {
                return Err(format!(
                    "position is {position:?} with kind {:?} and {} positions: they do not fit",
                    self.kind.name(),
                    self.positions.len()
                ));
            }
        }
        check_per_token(
            "token_logps",
            Some(&self.token_logps),
            ("ids", tokens),
            FINITE,
        )?;
        check_per_token(
            "entropies",
            Some(&self.entropies),
            ("ids", tokens),
            0.0..=f32::MAX,
        )
    }

    fn order(&self, other: &Self) -> Ordering {
        order::by_id_and_sample(
            (&self.problem_id, self.sample),
            (&other.problem_id, other.sample),
        )
    }
}

/// One rollout of a round: the place where it leaves the response, its number, whether it is right, and the tokens of the whole
/// response that it ends with, an end token included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundOutcome(pub u32, pub u32, pub bool, pub u32);

/// Rollouts that were set aside before their end: the place where they left the response, their numbers, and the ids that they drew from
/// there on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundAside(pub u32, pub Vec<u32>, pub Vec<u32>);

/// Rollouts of one response that were drawn together: kept while the stage runs, so that a kill costs one round and not the response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutRound {
    /// The question's id.
    pub problem_id: String,
    /// The response's number among the question's samples.
    pub sample: u32,
    /// Which of the response's rounds this is, from 0.
    pub round: u32,
    /// Tokens drawn in it.
    pub generated: u64,
    /// The rollouts that ended, by place and number.
    pub units: Vec<RoundOutcome>,
    /// Those that were set aside, by place and number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aside: Vec<RoundAside>,
}

impl Record for RolloutRound {
    fn check(&self) -> Result<(), String> {
        check_text("problem_id", &self.problem_id)?;
        if self.units.is_empty() && self.aside.is_empty() {
            return Err("units and aside are empty: a round draws at least one rollout".into());
        }
        if let Some(i) = self
            .aside
            .iter()
            .position(|one| one.1.is_empty() || one.2.is_empty())
        {
            return Err(format!("aside[{i}] has no rollout or no token"));
        }
        Ok(())
    }

    fn order(&self, other: &Self) -> Ordering {
        order::by_id_and_sample(
            (&self.problem_id, self.sample),
            (&other.problem_id, other.sample),
        )
        .then(self.round.cmp(&other.round))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> RolloutRecord {
        let at = |successes, failures, high| PositionScore {
            successes,
            failures,
            partial: successes + failures < 64,
            low: 0.0,
            high,
        };
        RolloutRecord {
            problem_id: "q/1".into(),
            sample: 3,
            prompt_ids: vec![5, 6],
            ids: vec![7, 8],
            finish: Finish::Eos,
            n: 64,
            keys: RolloutKeys::Common,
            kind: CriticalKind::Both,
            position: Some(2),
            positions: vec![at(4, 10, 0.9), at(0, 64, 0.06)],
            token_logps: vec![-0.5, -1.0],
            entropies: vec![0.5, 0.0],
            cost: RolloutCost::default(),
        }
    }

    #[test]
    fn a_record_comes_back() {
        let line = serde_json::to_string(&record()).unwrap();
        assert!(line.contains(r#""kind":"both","position":2"#), "{line}");
        assert_eq!(
            serde_json::from_str::<RolloutRecord>(&line).unwrap(),
            record()
        );
        assert_eq!(record().check(), Ok(()));
        let scores: Vec<_> = record()
            .positions
            .iter()
            .map(PositionScore::score)
            .collect();
        assert_eq!(
            scores,
            [None, Some(0.0)],
            "a partial position has an interval and no score"
        );
    }

    #[test]
    fn counts_that_do_not_fit_are_refused() {
        type Change = fn(&mut RolloutRecord);
        let broken: [(&str, Change); 6] = [
            ("do not fit", |r| r.positions[1].failures = 65),
            ("do not fit", |r| r.positions[0].partial = false),
            ("shares in order", |r| r.positions[0].low = 0.95),
            ("position is None", |r| r.position = None),
            ("position is Some(3)", |r| r.position = Some(3)),
            ("token_logps has 1 values", |r| {
                r.token_logps.pop();
            }),
        ];
        for (reason, change) in broken {
            let mut record = record();
            change(&mut record);
            let told = record.check().unwrap_err();
            assert!(told.contains(reason), "{told}");
        }
    }

    #[test]
    fn a_round_keeps_what_was_set_aside_and_is_not_empty() {
        let mut round = RolloutRound {
            problem_id: "q/1".into(),
            sample: 3,
            round: 2,
            generated: 7,
            units: Vec::new(),
            aside: vec![RoundAside(4, vec![0, 9], vec![5, 6])],
        };
        assert_eq!(round.check(), Ok(()));
        let line = serde_json::to_string(&round).unwrap();
        assert!(
            line.ends_with(r#""units":[],"aside":[[4,[0,9],[5,6]]]}"#),
            "{line}"
        );
        assert_eq!(serde_json::from_str::<RolloutRound>(&line).unwrap(), round);
        round.aside[0].2.clear();
        assert!(round.check().unwrap_err().contains("aside[0]"));
        round.aside.clear();
        assert!(round.check().unwrap_err().contains("at least one rollout"));
    }
}
