//! Eq. 1 as it is written, over whole rows of logits in f64: the definition that the model's fused head is held to.

/// `log s` at `target`: the log-softmax of `(1 + ce_beta) z_p - ce_beta z_n`, where z are the two models' logits over the
/// vocabulary `[V]`, or their log-probabilities: softmax ignores what is added to a whole row.
///
/// # Panics
/// If the rows differ in length or `target` lies outside them.
pub fn log_score(positive: &[f64], negative: &[f64], target: usize, ce_beta: f64) -> f64 {
    assert_eq!(
        positive.len(),
        negative.len(),
        "both models have one vocabulary"
    );
    let mixed: Vec<f64> = positive
        .iter()
        .zip(negative)
        .map(|(&p, &n)| (1.0 + ce_beta) * p - ce_beta * n)
        .collect();
    log_softmax(&mixed, target)
}

/// `z_target - log sum_v exp(z_v)`, stable.
///
/// # Panics
/// If `target` lies outside the row.
pub fn log_softmax(logits: &[f64], target: usize) -> f64 {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|&logit| (logit - largest).exp()).sum();
    logits[target] - largest - sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ln(values: &[f64]) -> Vec<f64> {
        values.iter().map(|value| value.ln()).collect()
    }

    /// P_p = (1/2, 1/4, 1/4), P_n = (1/4, 1/2, 1/4), beta 1: P_p^2 / P_n = (1, 1/8, 1/4), so s = (8, 1, 2) / 11.
    #[test]
    fn a_score_by_hand() {
        let positive = ln(&[0.5, 0.25, 0.25]);
        let negative = ln(&[0.25, 0.5, 0.25]);
        for (target, expected) in [8.0 / 11.0, 1.0 / 11.0, 2.0 / 11.0].into_iter().enumerate() {
            assert!((log_score(&positive, &negative, target, 1.0).exp() - expected).abs() < 1e-15);
        }
        // beta 2: P_p^3 / P_n^2 = (2, 1/16, 1/4), so s = (32, 1, 4) / 37.
        assert!((log_score(&positive, &negative, 0, 2.0).exp() - 32.0 / 37.0).abs() < 1e-15);
    }

    #[test]
    fn without_a_negative_weight_the_score_is_the_positive_probability() {
        let positive = [1.0, -2.0, 0.5, 3.0];
        let negative = [0.0, 9.0, -4.0, 1.0];
        for target in 0..4 {
            assert_eq!(
                log_score(&positive, &negative, target, 0.0),
                log_softmax(&positive, target)
            );
        }
    }

    #[test]
    fn equal_models_give_their_own_probability_and_constants_do_not_matter() {
        let logits = [300.0, 299.0, 310.5, -50.0];
        let shifted: Vec<f64> = logits.iter().map(|logit| logit - 1234.5).collect();
        for target in 0..4 {
            let expected = log_softmax(&logits, target);
            assert!((log_score(&logits, &shifted, target, 1.0) - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn scores_of_a_vocabulary_sum_to_one() {
        let positive = [0.3, -1.0, 2.0, 0.0, 5.0];
        let negative = [1.3, -4.0, 2.5, 0.1, 0.0];
        let sum: f64 = (0..5)
            .map(|target| log_score(&positive, &negative, target, 1.0).exp())
            .sum();
        assert!((sum - 1.0).abs() < 1e-14);
    }
}
