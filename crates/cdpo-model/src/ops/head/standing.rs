//! Where a token stands among all others: a row of logits goes in; the token's rank and the best other tokens come out.

/// The standing of one target among the vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// 1 for the most probable token; of equal logits the lower id stands first.
    pub rank: u32,
    /// The most probable tokens other than the target with their probabilities, best first; fewer only if the vocabulary is smaller.
    pub alternatives: Vec<(u32, f32)>,
}

impl Standing {
    /// Of `target` in a row of logits whose log-sum-exp is `log_sum`, with the `best` other tokens.
    pub(super) fn of(logits: &[f32], target: u32, log_sum: f64, best: usize) -> Self {
        let own = logits[target as usize];
        let mut rank = 1;
        // Ids of the best so far, best first; few enough to be leaders by insertion.
        let mut leaders: Vec<u32> = Vec::with_capacity(best + 1);
        let mut bar = f32::NEG_INFINITY;
        for (id, &logit) in logits.iter().enumerate() {
            let id = id as u32;
            if id == target {
                continue;
            }
            rank += u32::from(logit > own || (logit == own && id < target));
            if leaders.len() < best || logit > bar {
                let at = leaders.partition_point(|&other| logits[other as usize] >= logit);
                leaders.insert(at, id);
                leaders.truncate(best);
                bar = leaders.last().map_or(bar, |&last| logits[last as usize]);
            }
        }
        let probability = |id: u32| (f64::from(logits[id as usize]) - log_sum).exp().min(1.0);
        Self {
            rank,
            alternatives: leaders
                .into_iter()
                .map(|id| (id, probability(id) as f32))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_sum(logits: &[f32]) -> f64 {
        logits.iter().map(|&l| f64::from(l).exp()).sum::<f64>().ln()
    }

    #[test]
    fn rank_and_alternatives_are_those_of_the_sorted_probabilities() {
        // Sorted: 4 (2.0), 1 (1.5), 6 (1.5), 0 (0.5), 3 (-1), 5 (-1), 2 (-3).
        let logits = [0.5f32, 1.5, -3.0, -1.0, 2.0, -1.0, 1.5];
        let order = [4u32, 1, 6, 0, 3, 5, 2];
        for (place, &target) in order.iter().enumerate() {
            let standing = Standing::of(&logits, target, log_sum(&logits), 3);
            assert_eq!(standing.rank as usize, place + 1);
            let others: Vec<u32> = order.iter().copied().filter(|&id| id != target).collect();
            let ids: Vec<u32> = standing.alternatives.iter().map(|a| a.0).collect();
            assert_eq!(ids, others[..3]);
            for &(id, p) in &standing.alternatives {
                let softmax = (f64::from(logits[id as usize]) - log_sum(&logits)).exp();
                assert!((f64::from(p) - softmax).abs() < 1e-7);
            }
        }
    }

    #[test]
    fn a_vocabulary_that_is_too_small_gives_what_it_has() {
        let logits = [0.0f32, 1.0];
        let standing = Standing::of(&logits, 0, log_sum(&logits), 3);
        assert_eq!((standing.rank, standing.alternatives.len()), (2, 1));
        assert!(
            Standing::of(&[0.0], 0, 0.0, 3).alternatives.is_empty(),
            "there is no other token"
        );
    }
}
