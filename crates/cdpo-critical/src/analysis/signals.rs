//! Signals: what a wrong response's tokens may be ranked by when looking for its critical token. Numbers of each token in; one value
//! of each token, higher for a more critical one, out.

use std::borrow::Cow;

/// What is known of a response's content tokens `[T]`, one number each.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenNumbers {
    /// For each `ce_beta` judged, `s_t` of Eq. 1.
    pub scores: Vec<(f64, Vec<f32>)>,
    /// Log-probability under the positive model.
    pub positive_logps: Vec<f32>,
    /// Log-probability under the negative model.
    pub negative_logps: Vec<f32>,
    /// Log-probability under the base.
    pub base_logps: Vec<f32>,
    /// Entropy of the base's distribution that the token was drawn from.
    pub base_entropies: Vec<f32>,
}

/// A way to rank tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Signal {
    /// By 1 - s_t at this `ce_beta`, taken as -s_t: the same order, without the ties that rounding 1 - s_t to 1 would make.
    Contrast {
        /// Weight of the negative model.
        ce_beta: f64,
    },
    /// By log P_n - log P_p: the contrast without the rest of the vocabulary.
    LogRatio,
    /// By -log P_p: the positive model alone.
    PositiveSurprisal,
    /// By -log P of the base.
    BaseSurprisal,
    /// By the entropy of the base's distribution before the token.
    BaseEntropy,
    /// The earlier the more critical.
    Early,
    /// The later the more critical.
    Late,
    /// All alike: the expectation of a random order.
    Random,
}

impl Signal {
    /// All signals over these values of `ce_beta`, the contrasts first.
    pub fn all(ce_betas: &[f64]) -> Vec<Self> {
        let contrasts = ce_betas.iter().map(|&ce_beta| Self::Contrast { ce_beta });
        contrasts
            .chain([
                Self::LogRatio,
                Self::PositiveSurprisal,
                Self::BaseSurprisal,
                Self::BaseEntropy,
                Self::Early,
                Self::Late,
                Self::Random,
            ])
            .collect()
    }

    /// Whether it depends on the contrastive models.
    pub fn contrastive(self) -> bool {
        matches!(
            self,
            Self::Contrast { .. } | Self::LogRatio | Self::PositiveSurprisal
        )
    }

    /// The name in tables and files.
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Contrast { ce_beta } => return format!("1 - s, ce_beta {ce_beta}").into(),
            Self::LogRatio => "log P_n - log P_p",
            Self::PositiveSurprisal => "-log P_p",
            Self::BaseSurprisal => "-log P, base",
            Self::BaseEntropy => "entropy, base",
            Self::Early => "position, early first",
            Self::Late => "position, late first",
            Self::Random => "random",
        })
    }

    /// The value of each token `[T]`; none if `numbers` have no contrast at the signal's `ce_beta`.
    pub fn values(self, numbers: &TokenNumbers) -> Option<Vec<f64>> {
        let negated = |values: &[f32]| values.iter().map(|&v| -f64::from(v)).collect();
        let tokens = numbers.positive_logps.len();
        Some(match self {
            Self::Contrast { ce_beta } => {
                let (_, scores) = numbers.scores.iter().find(|(beta, _)| *beta == ce_beta)?;
                negated(scores)
            }
            Self::LogRatio => numbers
                .negative_logps
                .iter()
                .zip(&numbers.positive_logps)
                .map(|(&n, &p)| f64::from(n) - f64::from(p))
                .collect(),
            Self::PositiveSurprisal => negated(&numbers.positive_logps),
            Self::BaseSurprisal => negated(&numbers.base_logps),
            Self::BaseEntropy => numbers.base_entropies.iter().map(|&e| e.into()).collect(),
            Self::Early => (0..tokens).map(|t| -(t as f64)).collect(),
            Self::Late => (0..tokens).map(|t| t as f64).collect(),
            Self::Random => vec![0.0; tokens],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The token that each signal ranks first, in a response of three made so that every signal has its own.
    #[test]
    fn each_signal_ranks_the_token_first_that_it_should() {
        let numbers = TokenNumbers {
            scores: vec![(1.0, vec![0.9, 1e-30, 1e-9]), (0.5, vec![0.9, 0.3, 0.1])],
            positive_logps: vec![-5.0, -3.0, -0.1],
            negative_logps: vec![-6.0, -2.0, -0.2],
            base_logps: vec![-1.0, -1.5, -7.0],
            base_entropies: vec![2.0, 1.0, 0.5],
        };
        let first = |signal: Signal| {
            let values = signal.values(&numbers).unwrap();
            (0..3)
                .max_by(|&a, &b| values[a].total_cmp(&values[b]))
                .unwrap()
        };
        let expected = [
            (Signal::Contrast { ce_beta: 1.0 }, 1),
            (Signal::Contrast { ce_beta: 0.5 }, 2),
            (Signal::LogRatio, 1),
            (Signal::PositiveSurprisal, 0),
            (Signal::BaseSurprisal, 2),
            (Signal::BaseEntropy, 0),
            (Signal::Early, 0),
            (Signal::Late, 2),
        ];
        for (signal, token) in expected {
            assert_eq!(first(signal), token, "{}", signal.name());
        }
        assert_eq!(Signal::Random.values(&numbers).unwrap(), [0.0; 3]);
        assert_eq!(Signal::Contrast { ce_beta: 2.0 }.values(&numbers), None);
        let names: Vec<_> = Signal::all(&[0.5, 1.0])
            .into_iter()
            .map(Signal::name)
            .collect();
        assert_eq!(
            names[..3],
            [
                "1 - s, ce_beta 0.5",
                "1 - s, ce_beta 1",
                "log P_n - log P_p"
            ]
        );
    }
}
