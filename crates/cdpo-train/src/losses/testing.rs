//! Pairs for the losses' tests, and the finite-difference check that every loss must pass.

use cdpo_model::Key;

use super::{PairInput, PairLoss, Side};

/// A pair as owned vectors: `[policy, reference]` of each side, `[chosen, rejected]` weights.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) chosen: [Vec<f32>; 2],
    pub(crate) rejected: [Vec<f32>; 2],
    pub(crate) weights: [Vec<f32>; 2],
    /// Per-token divergences of each side.
    pub(crate) kl: [Vec<f32>; 2],
    pub(crate) padded_positions: usize,
}

impl Case {
    /// Five chosen and seven rejected tokens with random log-probabilities and weights.
    pub(crate) fn mixed(seed: u64) -> Self {
        let key = Key::new(seed);
        let draw = |name: &str, n: usize, scale: f32| -> Vec<f32> {
            (0..n)
                .map(|t| key.with_str(name).with(t as u64).unit() as f32 * scale)
                .collect()
        };
        Self {
            chosen: [draw("pc", 5, -3.0), draw("qc", 5, -3.0)],
            rejected: [draw("pr", 7, -3.0), draw("qr", 7, -3.0)],
            weights: [draw("wc", 5, 1.0), draw("wr", 7, 1.0)],
            kl: [draw("kc", 5, 0.5), draw("kr", 7, 0.5)],
            padded_positions: 15,
        }
    }

    pub(crate) fn input(&self) -> PairInput<'_> {
        PairInput {
            chosen: Side {
                policy: &self.chosen[0],
                reference: &self.chosen[1],
                weights: &self.weights[0],
                kl: &self.kl[0],
            },
            rejected: Side {
                policy: &self.rejected[0],
                reference: &self.rejected[1],
                weights: &self.weights[1],
                kl: &self.kl[1],
            },
            padded_positions: self.padded_positions,
        }
    }
}

/// Central differences of `loss` with respect to every policy log-probability and divergence, against its gradient. The step
/// is exact in `f32` (the inputs' type) and the truncation error of a log-sigmoid with `gamma < 1` stays below
/// `h^2 / 6 * 0.1`. A divergence whose slope is 0 by the loss's own word (a stopped gradient) is not looked at.
pub(crate) fn check_gradient(loss: &dyn PairLoss) {
    let h = 1.0 / 1024.0f32;
    for seed in 0..3 {
        // Coarse grid so that adding h is exact.
        let mut case = Case::mixed(seed);
        let sides = case.chosen.iter_mut().chain(&mut case.rejected);
        sides
            .chain(&mut case.kl)
            .flatten()
            .for_each(|x| *x = (*x * 1024.0).round() / 1024.0);
        let terms = loss.terms(&case.input());
        let check = |what: &str, g: f64, at: &dyn Fn(&mut Case) -> &mut f32| {
            let moved = |delta: f32| {
                let mut moved = case.clone();
                *at(&mut moved) += delta;
                loss.terms(&moved.input()).loss
            };
            let numeric = (moved(h) - moved(-h)) / f64::from(2.0 * h);
            assert!(
                (g - numeric).abs() < 1e-8,
                "{loss:?}: {what}: {g} is not {numeric}"
            );
        };
        for (t, &g) in terms.chosen_gradient.iter().enumerate() {
            check(&format!("chosen token {t}"), g, &|c| &mut c.chosen[0][t]);
        }
        for (t, &g) in terms.rejected_gradient.iter().enumerate() {
            check(&format!("rejected token {t}"), g, &|c| {
                &mut c.rejected[0][t]
            });
        }
        for (side, g) in terms.kl_gradient.into_iter().enumerate() {
            if loss.needs_kl() && g != 0.0 {
                check(&format!("divergence {side}"), g, &|c| &mut c.kl[side][2]);
            }
        }
    }
}
