//! The settings that belong to losses: which loss has which, their ranges, the values they take when left out.
//!
//! Goes in: a user's [`TrainSettings`]. Comes out: [`LossSettings`] in which every value is known, or faults, one for each
//! number out of range and for each setting that the method does not have.

use super::TrainSettings;
use crate::losses::{
    Dpo, Dpop, Ipo, PairLoss, ReferenceCompat, SimPo, Tdpo, TdpoForm, TisForm, TisWeights,
    WeightUse, WeightedDpo,
};
use crate::method::{Loss, Method};
use crate::policy::Parameters;

/// What losses are built from. A loss reads what is its own and no other field.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct LossSettings {
    /// KL coefficient, `> 0`.
    pub gamma: f64,
    /// Probability that a label is flipped, in `[0, 0.5)`.
    pub label_smoothing: f64,
    /// Weight of the divergences in TDPO2, `>= 0`.
    pub tdpo_alpha: f64,
    /// IPO's regularization, `> 0`.
    pub ipo_tau: f64,
    /// Whether IPO's log-ratios are divided by their tokens.
    pub ipo_per_token: bool,
    /// SimPO's scale, `> 0`.
    pub simpo_beta: f64,
    /// SimPO's margin, `>= 0`.
    pub simpo_margin: f64,
    /// DPOP's penalty, `>= 0`.
    pub dpop_lambda: f64,
    /// TIS-DPO's weights.
    pub tis: TisWeights,
}

impl Loss {
    /// The loss on pairs, or `None` for plain fine-tuning on single responses.
    pub fn on_pairs(self, settings: &LossSettings) -> Option<Box<dyn PairLoss>> {
        let LossSettings {
            gamma,
            label_smoothing,
            ..
        } = *settings;
        let weighted = |weights| {
            Box::new(WeightedDpo {
                gamma,
                label_smoothing,
                weights,
            })
        };
        let tdpo = |form| {
            Box::new(Tdpo {
                gamma,
                label_smoothing,
                form,
            })
        };
        Some(match self {
            Self::Sft => return None,
            // RPO's other term is added by the training step, as it is for every loss with `sft_term > 0`.
            Self::Dpo | Self::Rpo => Box::new(Dpo {
                gamma,
                label_smoothing,
            }),
            Self::Tdpo1 => tdpo(TdpoForm::One),
            Self::Tdpo2 => tdpo(TdpoForm::Two {
                alpha: settings.tdpo_alpha,
            }),
            Self::Cdpo | Self::CdpoRollout => weighted(WeightUse::Rejected),
            Self::WeightedDpo => weighted(WeightUse::Either),
            Self::TisDpo => weighted(WeightUse::Contrast(settings.tis)),
            Self::CdpoReferenceCompat => Box::new(ReferenceCompat {
                gamma,
                label_smoothing,
            }),
            Self::Ipo => Box::new(Ipo {
                tau: settings.ipo_tau,
                per_token: settings.ipo_per_token,
            }),
            Self::SimPo => Box::new(SimPo {
                beta: settings.simpo_beta,
                margin: settings.simpo_margin,
                label_smoothing,
            }),
            Self::Dpop => Box::new(Dpop {
                gamma,
                label_smoothing,
                lambda: settings.dpop_lambda,
            }),
        })
    }
}

fn logistic(loss: Loss) -> bool {
    loss != Loss::Sft && loss != Loss::Ipo
}

/// One number that losses have.
struct Number {
    name: &'static str,
    of: fn(&TrainSettings) -> Option<f64>,
    ok: fn(f64) -> bool,
    range: &'static str,
    belongs: fn(Loss) -> bool,
}

const POSITIVE: (fn(f64) -> bool, &str) = (|x| x > 0.0, "be greater than 0");
const NOT_NEGATIVE: (fn(f64) -> bool, &str) = (|x| x >= 0.0, "be at least 0");

impl Number {
    const fn new(
        name: &'static str,
        of: fn(&TrainSettings) -> Option<f64>,
        (ok, range): (fn(f64) -> bool, &'static str),
        belongs: fn(Loss) -> bool,
    ) -> Self {
        Self {
            name,
            of,
            ok,
            range,
            belongs,
        }
    }
}

const NUMBERS: [Number; 13] = [
    Number::new(
        "gamma",
        |s| s.gamma,
        POSITIVE,
        |l| logistic(l) && l != Loss::SimPo,
    ),
    Number::new(
        "label_smoothing",
        |s| s.label_smoothing,
        (|x| (0.0..0.5).contains(&x), "lie in [0, 0.5)"),
        logistic,
    ),
    Number::new("sft_term", |s| s.sft_term, NOT_NEGATIVE, |l| l != Loss::Sft),
    Number::new(
        "tdpo_alpha",
        |s| s.tdpo_alpha,
        NOT_NEGATIVE,
        |l| l == Loss::Tdpo2,
    ),
    Number::new("ipo_tau", |s| s.ipo_tau, POSITIVE, |l| l == Loss::Ipo),
    Number::new(
        "simpo_beta",
        |s| s.simpo_beta,
        POSITIVE,
        |l| l == Loss::SimPo,
    ),
    Number::new(
        "simpo_margin",
        |s| s.simpo_margin,
        NOT_NEGATIVE,
        |l| l == Loss::SimPo,
    ),
    Number::new(
        "dpop_lambda",
        |s| s.dpop_lambda,
        NOT_NEGATIVE,
        |l| l == Loss::Dpop,
    ),
    Number::new("tis_low", |s| s.tis_low, (|_| true, "be a number"), tis),
    Number::new("tis_high", |s| s.tis_high, (|_| true, "be a number"), tis),
    Number::new("tis_floor", |s| s.tis_floor, NOT_NEGATIVE, tis),
    Number::new("tis_ceiling", |s| s.tis_ceiling, NOT_NEGATIVE, tis),
    Number::new("tis_mu", |s| s.tis_mu, NOT_NEGATIVE, tis),
];

fn tis(loss: Loss) -> bool {
    loss == Loss::TisDpo
}

/// Names of the settings that belong to losses, of any method.
pub fn loss_settings() -> impl Iterator<Item = &'static str> {
    let choices = ["ipo_per_token", "tis_form"];
    NUMBERS.iter().map(|n| n.name).chain(choices)
}

/// Names of the settings that a method's loss has; the others of [`loss_settings`] are refused for it.
pub fn loss_settings_of(method: Method) -> Vec<&'static str> {
    let loss = method.loss();
    let has = |name: &str| match name {
        "ipo_per_token" => loss == Loss::Ipo,
        "tis_form" => tis(loss),
        _ => NUMBERS.iter().any(|n| n.name == name && (n.belongs)(loss)),
    };
    loss_settings().filter(|name| has(name)).collect()
}

/// Faults of the loss's settings.
pub(super) fn check(settings: &TrainSettings, faults: &mut Vec<String>) {
    let method = settings.method;
    let foreign = |name: &str| format!("{name} has no meaning for method {method}; remove it");
    for n in &NUMBERS {
        let Some(x) = (n.of)(settings) else { continue };
        if !(n.ok)(x) || !x.is_finite() {
            faults.push(format!("{} must {}, not {x}", n.name, n.range));
        }
        if !(n.belongs)(method.loss()) {
            faults.push(foreign(n.name));
        }
    }
    if settings.ipo_per_token.is_some() && method.loss() != Loss::Ipo {
        faults.push(foreign("ipo_per_token"));
    }
    if settings.tis_form.is_some() && !tis(method.loss()) {
        faults.push(foreign("tis_form"));
    }
    if tis(method.loss()) {
        check_tis(settings, faults);
    }
    let whole_model = settings.parameters == Some(Parameters::All);
    if whole_model && matches!(method.loss(), Loss::Tdpo1 | Loss::Tdpo2) {
        faults.push(format!(
            "method {method} runs its reference beside the policy in every step, which needs parameters = \"lora\""
        ));
    }
}

/// Combinations of TIS-DPO's settings.
fn check_tis(settings: &TrainSettings, faults: &mut Vec<String>) {
    let w = weights(settings);
    if w.low >= w.high {
        faults.push(format!(
            "tis_low ({}) must be less than tis_high ({})",
            w.low, w.high
        ));
    }
    let (others, form): (&[_], _) = match w.form {
        TisForm::Linear => (&[("tis_mu", settings.tis_mu)], "linear"),
        TisForm::Exponential => (
            &[
                ("tis_floor", settings.tis_floor),
                ("tis_ceiling", settings.tis_ceiling),
            ],
            "exponential",
        ),
    };
    for (name, _) in others.iter().filter(|(_, value)| value.is_some()) {
        faults.push(format!(
            "{name} has no meaning for tis_form = \"{form}\"; remove it"
        ));
    }
    if w.form == TisForm::Linear && w.floor > w.ceiling {
        faults.push(format!(
            "tis_floor ({}) must not be greater than tis_ceiling ({})",
            w.floor, w.ceiling
        ));
    }
}

fn weights(settings: &TrainSettings) -> TisWeights {
    let d = TisWeights::default();
    TisWeights {
        form: settings.tis_form.unwrap_or_default(),
        low: settings.tis_low.unwrap_or(d.low),
        high: settings.tis_high.unwrap_or(d.high),
        floor: settings.tis_floor.unwrap_or(d.floor),
        ceiling: settings.tis_ceiling.unwrap_or(d.ceiling),
        mu: settings.tis_mu.unwrap_or(d.mu),
    }
}

/// What was left out takes the paper's value, or that of the authors' code for losses that are not the paper's.
pub(super) fn complete(settings: &TrainSettings) -> LossSettings {
    LossSettings {
        gamma: settings.gamma.unwrap_or(1.0),
        label_smoothing: settings.label_smoothing.unwrap_or(0.0),
        tdpo_alpha: settings.tdpo_alpha.unwrap_or(0.5),
        ipo_tau: settings.ipo_tau.unwrap_or(0.1),
        ipo_per_token: settings.ipo_per_token.unwrap_or(true),
        simpo_beta: settings.simpo_beta.unwrap_or(2.0),
        simpo_margin: settings.simpo_margin.unwrap_or(0.5),
        dpop_lambda: settings.dpop_lambda.unwrap_or(50.0),
        tis: weights(settings),
    }
}

/// RPO's term is its own; any other loss has one only if asked.
pub(super) fn sft_term(settings: &TrainSettings) -> f64 {
    let left_out = if settings.method.loss() == Loss::Rpo {
        1.0
    } else {
        0.0
    };
    settings.sft_term.unwrap_or(left_out)
}

/// The same in a user's form: what the method has is written out, nothing else.
pub(super) fn resolve(loss: &LossSettings, sft_term: f64, method: Method) -> TrainSettings {
    let names = loss_settings_of(method);
    let own = |name: &str, x: f64| names.contains(&name).then_some(x);
    let TisWeights {
        form,
        low,
        high,
        floor,
        ceiling,
        mu,
    } = loss.tis;
    let linear = form == TisForm::Linear;
    TrainSettings {
        method,
        gamma: own("gamma", loss.gamma),
        label_smoothing: own("label_smoothing", loss.label_smoothing),
        sft_term: own("sft_term", sft_term),
        tdpo_alpha: own("tdpo_alpha", loss.tdpo_alpha),
        ipo_tau: own("ipo_tau", loss.ipo_tau),
        ipo_per_token: names
            .contains(&"ipo_per_token")
            .then_some(loss.ipo_per_token),
        simpo_beta: own("simpo_beta", loss.simpo_beta),
        simpo_margin: own("simpo_margin", loss.simpo_margin),
        dpop_lambda: own("dpop_lambda", loss.dpop_lambda),
        tis_form: names.contains(&"tis_form").then_some(form),
        tis_low: own("tis_low", low),
        tis_high: own("tis_high", high),
        tis_floor: own("tis_floor", floor).filter(|_| linear),
        tis_ceiling: own("tis_ceiling", ceiling).filter(|_| linear),
        tis_mu: own("tis_mu", mu).filter(|_| !linear),
        ..TrainSettings::default()
    }
}
