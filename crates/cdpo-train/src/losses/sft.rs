//! Supervised fine-tuning: negative log-likelihood of a response's tokens.
//!
//! `loss = - (alpha / n) sum_t p_t`, where `n` is the number of response tokens in the **whole optimizer step**, over
//! all its examples and accumulated micro-batches. Every token weighs the same, however examples were split.
//!
//! The same function is the SFT loss (`alpha = 1`) and the optional term that RPO adds to a preference loss (Pang et
//! al. 2024, arXiv 2404.19733; TRL's `rpo_alpha`), where `p` is the chosen response and `n` counts the chosen
//! responses' tokens of the step. TRL takes that mean over each micro-batch; with one micro-batch a step both agree.

/// What [`nll`] makes of one response.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NllTerms {
    /// The response's share of the step's loss.
    pub loss: f64,
    /// `d loss / d p_t`, the same for every token.
    pub gradient: f64,
}

/// Share of one response `policy [T]` in the step's `alpha * mean_t NLL`; `step_tokens` is `n` above.
pub fn nll(policy: &[f32], alpha: f64, step_tokens: usize) -> NllTerms {
    let scale = alpha / step_tokens as f64;
    NllTerms {
        loss: -scale * policy.iter().map(|&p| f64::from(p)).sum::<f64>(),
        gradient: -scale,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_responses_add_up_to_the_mean_over_all_their_tokens() {
        let (a, b) = ([-1.0f32, -3.0], [-0.5f32]);
        let loss = nll(&a, 1.0, 3).loss + nll(&b, 1.0, 3).loss;
        assert!((loss - 4.5 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn gradient_is_the_finite_difference() {
        let h = 0.25f32; // exact in f32, and the loss is linear
        let at = |p: f32| nll(&[-1.0, p, -2.0], 0.7, 5).loss;
        let numeric = (at(-1.5 + h) - at(-1.5 - h)) / f64::from(2.0 * h);
        assert!((nll(&[-1.0, -1.5, -2.0], 0.7, 5).gradient - numeric).abs() < 1e-15);
    }
}
