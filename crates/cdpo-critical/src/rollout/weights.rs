//! Weights of a wrong response's tokens from its rollouts: a pair and its full scores in; the pair with `1 - score` on its rejected
//! side out.
//!
//! It is cDPO's weight with the score that the contrastive one stands for: a token behind which no rollout succeeds weighs 1, one
//! that every rollout recovers from weighs 0. The terminator is no position of the definition; behind it the response is wrong for
//! good, so its score is 0 and its weight 1.

use cdpo_data::rollout_record::PositionScore;
use cdpo_data::{Pair, RolloutRecord};

use crate::error::{Error, Result};

/// `pair` with scores and weights from `record`, whose scores must be full.
///
/// # Errors
/// [`Error::Pair`] if the record is of another response, or a position's rollouts are not all known.
pub fn weigh(pair: &Pair, record: &RolloutRecord) -> Result<Pair> {
    let fault = |reason: String| Error::Pair {
        pair: format!(
            "pair of question {:?}, rejected sample {}",
            pair.problem_id, pair.rejected_sample
        ),
        reason,
    };
    let content = pair.rejected_ids.len() - usize::from(pair.rejected_terminated);
    if pair.rejected_ids[..content] != record.ids[..] {
        return Err(fault(
            "the rollouts are of another response; remove them and draw them again".into(),
        ));
    }
    let mut scores: Vec<f32> = Vec::with_capacity(pair.rejected_ids.len());
    for t in 0..content {
        let score = record.positions.get(t).and_then(PositionScore::score);
        let Some(score) = score else {
            return Err(fault(format!(
                "the rollouts of position {} are not all known; weights need full scores of every position",
                t + 1
            )));
        };
        scores.push(score as f32);
    }
    if pair.rejected_terminated {
        scores.push(0.0);
    }
    Ok(Pair {
        rejected_weights: Some(scores.iter().map(|score| 1.0 - score).collect()),
        rejected_scores: Some(scores),
        ..pair.clone()
    })
}

#[cfg(test)]
mod tests {
    use cdpo_data::rollout_record::RolloutCost;
    use cdpo_data::{CriticalKind, Finish, Record as _, RolloutKeys};

    use super::*;

    fn pair() -> Pair {
        serde_json::from_str(
            r#"{"prompt":"p","chosen":"c","rejected":"r","problem_id":"q/1","chosen_sample":0,"rejected_sample":2,
                "prompt_ids":[1],"chosen_ids":[2,9],"rejected_ids":[3,4,9],"chosen_terminated":true,"rejected_terminated":true}"#,
        )
        .unwrap()
    }

    fn record(counts: [(u32, u32); 2]) -> RolloutRecord {
        RolloutRecord {
            problem_id: "q/1".into(),
            sample: 2,
            prompt_ids: vec![1],
            ids: vec![3, 4],
            finish: Finish::Eos,
            n: 8,
            keys: RolloutKeys::Common,
            kind: CriticalKind::None,
            position: None,
            positions: counts
                .map(|(successes, failures)| PositionScore {
                    successes,
                    failures,
                    partial: successes + failures < 8,
                    low: 0.0,
                    high: 1.0,
                })
                .into(),
            token_logps: vec![-1.0; 2],
            entropies: vec![1.0; 2],
            cost: RolloutCost::default(),
        }
    }

    #[test]
    fn a_token_weighs_what_its_rollouts_miss_and_the_terminator_everything() {
        let weighed = weigh(&pair(), &record([(2, 6), (0, 8)])).unwrap();
        assert_eq!(weighed.rejected_weights, Some(vec![0.75, 1.0, 1.0]));
        assert_eq!(weighed.rejected_scores, Some(vec![0.25, 0.0, 0.0]));
        assert_eq!(weighed.check(), Ok(()));
    }

    #[test]
    fn partial_scores_and_other_responses_give_no_weights() {
        let told = weigh(&pair(), &record([(2, 6), (0, 7)])).unwrap_err();
        assert!(told.to_string().contains("position 2"), "{told}");
        let mut other = record([(2, 6), (0, 8)]);
        other.ids[0] = 7;
        let told = weigh(&pair(), &other).unwrap_err();
        assert!(told.to_string().contains("another response"), "{told}");
    }
}
