//! The training methods by name: a loss, and where policy and reference start.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// Negative log-likelihood of the responses.
    Sft,
    /// Direct preference optimization.
    Dpo,
    /// TokenDPO, first form.
    Tdpo1,
    /// TokenDPO, second form.
    Tdpo2,
    /// DPO and the chosen responses' negative log-likelihood.
    Rpo,
    /// The paper's loss: DPO whose rejected tokens weigh `1 - s_t`, `s_t` being contrastive scores.
    Cdpo,
    /// The paper's loss with weights from rollouts in the place of contrastive scores.
    CdpoRollout,
    /// The per-position loss of the paper's released code.
    CdpoReferenceCompat,
    /// DPO with whatever weights the data's `chosen_weights` and `rejected_weights` hold.
    WeightedDpo,
    /// A squared distance to a fixed margin.
    Ipo,
    /// Length-normalised log-probabilities against a margin, without a reference.
    SimPo,
    /// DPO that penalises a falling chosen log-probability.
    Dpop,
    /// DPO with token weights from both sides' contrastive log-probabilities.
    TisDpo,
}

/// Which examples a method learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Examples {
    /// Right responses alone.
    Responses,
    /// Pairs, of which no per-token list is read.
    Pairs,
    /// Pairs with what the contrastive models say of their tokens, or with weights of the user's own.
    ScoredPairs,
    /// Pairs whose `rejected_weights` come from rollouts.
    RolloutPairs,
}

impl Loss {
    /// All losses.
    pub const ALL: [Self; 13] = [
        Self::Sft,
        Self::Dpo,
        Self::Tdpo1,
        Self::Tdpo2,
        Self::Rpo,
        Self::Cdpo,
        Self::CdpoRollout,
        Self::CdpoReferenceCompat,
        Self::WeightedDpo,
        Self::Ipo,
        Self::SimPo,
        Self::Dpop,
        Self::TisDpo,
    ];

    /// The name in recipes.
    pub fn name(self) -> &'static str {
        self.names()[0]
    }

    /// Its names as a method that starts from the base, and from the fine-tuned model.
    fn names(self) -> [&'static str; 2] {
        match self {
            Self::Sft => ["sft", "sft"],
            Self::Dpo => ["dpo", "sft+dpo"],
            Self::Tdpo1 => ["tdpo1", "sft+tdpo1"],
            Self::Tdpo2 => ["tdpo2", "sft+tdpo2"],
            Self::Rpo => ["rpo", "sft+rpo"],
            Self::Cdpo => ["cdpo", "sft+cdpo"],
            Self::CdpoRollout => ["cdpo-rollout", "sft+cdpo-rollout"],
            Self::CdpoReferenceCompat => ["cdpo-reference-compat", "sft+cdpo-reference-compat"],
            Self::WeightedDpo => ["weighted-dpo", "sft+weighted-dpo"],
            Self::Ipo => ["ipo", "sft+ipo"],
            Self::SimPo => ["simpo", "sft+simpo"],
            Self::Dpop => ["dpop", "sft+dpop"],
            Self::TisDpo => ["tis-dpo", "sft+tis-dpo"],
        }
    }
}

/// What is trained: in recipes a loss's name, with `sft+` in front of a preference loss where policy and reference start
/// from the fine-tuned model instead of the base (`sft+dpo`, `sft+tdpo2`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Method {
    loss: Loss,
    from_sft: bool,
}

impl Method {
    /// Fine-tuning on single responses.
    pub const SFT: Self = Self::of(Loss::Sft);
    /// DPO from the base.
    pub const DPO: Self = Self::of(Loss::Dpo);
    /// The paper's method.
    pub const CDPO: Self = Self::of(Loss::Cdpo);

    /// A loss, started from the base model.
    pub const fn of(loss: Loss) -> Self {
        Self {
            loss,
            from_sft: false,
        }
    }

    /// A preference loss whose policy and reference start from the fine-tuned model; `None` for fine-tuning itself.
    fn after_sft(loss: Loss) -> Option<Self> {
        (loss != Loss::Sft).then_some(Self {
            loss,
            from_sft: true,
        })
    }

    /// All methods, those that start from the base first.
    pub fn all() -> impl Iterator<Item = Self> {
        let from_base = Loss::ALL.into_iter().map(Self::of);
        from_base.chain(Loss::ALL.into_iter().filter_map(Self::after_sft))
    }

    /// The loss.
    pub fn loss(self) -> Loss {
        self.loss
    }

    /// Whether policy and reference start from the model fine-tuned on the right responses (the result of `sft`): the
    /// caller puts its adapter into [`crate::Policy`] and [`crate::Job::reference`].
    pub fn starts_from_sft(self) -> bool {
        self.from_sft
    }

    /// The name in recipes.
    pub fn name(self) -> &'static str {
        self.loss.names()[usize::from(self.from_sft)]
    }

    /// Which examples it learns from.
    pub fn examples(self) -> Examples {
        match self.loss {
            Loss::Sft => Examples::Responses,
            Loss::Cdpo | Loss::CdpoReferenceCompat | Loss::WeightedDpo | Loss::TisDpo => {
                Examples::ScoredPairs
            }
            Loss::CdpoRollout => Examples::RolloutPairs,
            Loss::Dpo
            | Loss::Tdpo1
            | Loss::Tdpo2
            | Loss::Rpo
            | Loss::Ipo
            | Loss::SimPo
            | Loss::Dpop => Examples::Pairs,
        }
    }

    /// Whether the method learns from preference pairs.
    pub fn takes_pairs(self) -> bool {
        self.loss != Loss::Sft
    }
}

impl Default for Method {
    fn default() -> Self {
        Self::CDPO
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no method has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no method `{0}`; methods are {names}, and `sft+` in front of any but sft starts it from the fine-tuned model",
    names = Loss::ALL.map(Loss::name).join(", ")
)]
pub struct UnknownMethod(pub String);

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(name: &str) -> Result<Self, UnknownMethod> {
        Self::all()
            .find(|m| m.name() == name)
            .ok_or_else(|| UnknownMethod(name.to_owned()))
    }
}

impl TryFrom<String> for Method {
    type Error = UnknownMethod;

    fn try_from(name: String) -> Result<Self, UnknownMethod> {
        name.parse()
    }
}

impl From<Method> for String {
    fn from(method: Method) -> Self {
        method.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_and_no_two_are_the_same() {
        let names: std::collections::BTreeSet<&str> = Method::all().map(Method::name).collect();
        assert_eq!(names.len(), 2 * Loss::ALL.len() - 1);
        for method in Method::all() {
            assert_eq!(method.name().parse(), Ok(method));
            let text = serde_json::to_string(&method).unwrap();
            assert_eq!(serde_json::from_str::<Method>(&text).unwrap(), method);
        }
        for name in ["sft", "sft+dpo", "sft+tdpo1", "tdpo2", "rpo", "tis-dpo"] {
            assert!(names.contains(name), "{name}");
        }
    }

    #[test]
    fn starting_from_the_fine_tuned_model_changes_the_start_and_nothing_else() {
        let (plain, after): (Method, Method) =
            ("cdpo".parse().unwrap(), "sft+cdpo".parse().unwrap());
        assert_eq!(plain.loss(), after.loss());
        assert_eq!(plain.examples(), after.examples());
        assert!(after.starts_from_sft() && !plain.starts_from_sft());
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        for name in ["orpo", "sft+sft", "sft+", "sft+sft+dpo", "DPO"] {
            let error = name.parse::<Method>().unwrap_err().to_string();
            assert!(
                error.contains(&format!("no method `{name}`; methods are sft, dpo,")),
                "{error}"
            );
        }
    }
}
