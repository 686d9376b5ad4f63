//! The training methods by name, and the loss that each builds from its settings.

use serde::{Deserialize, Serialize};

use crate::losses::{Dpo, PairLoss, ReferenceCompat, WeightUse, WeightedDpo};

/// What is trained. In recipes: `sft`, `dpo`, `cdpo`, `weighted-dpo`, `cdpo-reference-compat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Negative log-likelihood of the responses.
    Sft,
    /// Direct preference optimization.
    Dpo,
    /// The paper's loss: DPO whose rejected tokens weigh `1 - s_t`.
    #[default]
    Cdpo,
    /// DPO with whatever weights the data's `chosen_weights` and `rejected_weights` hold.
    WeightedDpo,
    /// The per-position loss of the paper's released code.
    CdpoReferenceCompat,
}

/// The settings that losses share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossSettings {
    /// KL coefficient, `> 0`.
    pub gamma: f64,
    /// Probability that a label is flipped, in `[0, 0.5)`.
    pub label_smoothing: f64,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 5] = [
        Self::Sft,
        Self::Dpo,
        Self::Cdpo,
        Self::WeightedDpo,
        Self::CdpoReferenceCompat,
    ];

    /// The name in recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sft => "sft",
            Self::Dpo => "dpo",
            Self::Cdpo => "cdpo",
            Self::WeightedDpo => "weighted-dpo",
            Self::CdpoReferenceCompat => "cdpo-reference-compat",
        }
    }

    /// The preference loss, or `None` for plain fine-tuning on single responses.
    pub fn pair_loss(self, settings: LossSettings) -> Option<Box<dyn PairLoss>> {
        let LossSettings {
            gamma,
            label_smoothing,
        } = settings;
        let weighted = |weights| {
            Box::new(WeightedDpo {
                gamma,
                label_smoothing,
                weights,
            })
        };
        Some(match self {
            Self::Sft => return None,
            Self::Dpo => Box::new(Dpo {
                gamma,
                label_smoothing,
            }),
            Self::Cdpo => weighted(WeightUse::Rejected),
            Self::WeightedDpo => weighted(WeightUse::Either),
            Self::CdpoReferenceCompat => Box::new(ReferenceCompat {
                gamma,
                label_smoothing,
            }),
        })
    }

    /// Whether the method learns from preference pairs.
    pub fn takes_pairs(self) -> bool {
        self != Self::Sft
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
