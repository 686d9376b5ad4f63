//! How surprising a token is: logits and a token in; its log-probability and the distribution's entropy out.

/// Log-probability of `id` under the softmax of `logits` at temperature 1, and the entropy of that distribution, in nats; `None` if
/// a logit is not finite.
pub(super) fn surprise(logits: &[f32], id: Option<u32>) -> Option<(f32, f32)> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut total, mut mean) = (0.0f64, 0.0f64);
    for &logit in logits {
        let below = f64::from(logit - max);
        let weight = below.exp();
        total += weight;
        mean += weight * below;
    }
    let log_total = total.ln();
    let entropy = log_total - mean / total;
    // A logit that is not finite leaves none: ∞ - ∞, or 0 · ∞.
    if !entropy.is_finite() {
        return None;
    }
    let logp = id.and_then(|id| logits.get(id as usize));
    let logp = logp.map_or(0.0, |&logit| (f64::from(logit - max) - log_total) as f32);
    // Rounding may leave a certain distribution a hair below 0.
    Some((logp, entropy.max(0.0) as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surprise_by_hand() {
        // Probabilities 1/2, 1/4, 1/4.
        let logits = [2.0f32.ln() + 7.0, 7.0, 7.0];
        let (logp, entropy) = surprise(&logits, Some(2)).unwrap();
        assert!((logp - 0.25f32.ln()).abs() < 1e-6, "{logp}");
        assert!(
            (entropy - 1.5 * std::f32::consts::LN_2).abs() < 1e-6,
            "{entropy}"
        );
        assert_eq!(surprise(&[3.0], Some(0)), Some((0.0, 0.0)));
    }

    #[test]
    fn logits_that_are_not_finite_have_no_entropy() {
        for bad in [f32::NAN, f32::NEG_INFINITY, f32::INFINITY] {
            assert_eq!(surprise(&[1.0, bad], Some(0)), None);
        }
    }
}
