//! Rotary frequencies: base, scalings, and the check of a scaling's settings.
//!
//! Goes in: theta, the head width and a [`RopeScaling`]. Comes out: frequencies in radians per position, in f64.

use std::f64::consts::TAU;

/// How the rotary frequencies are changed for contexts longer than the model was first trained on.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RopeScaling {
    /// Unchanged frequencies.
    None,
    /// Every frequency divided by `factor`.
    Linear {
        /// Ratio of the new to the original context.
        factor: f64,
    },
    /// Llama 3.1's: long wavelengths divided by `factor`, short ones kept, a linear blend between.
    Llama3 {
        /// Divisor of the longest wavelengths.
        factor: f64,
        /// Wavelengths above `original_max_position / low_freq_factor` are divided.
        low_freq_factor: f64,
        /// Wavelengths below `original_max_position / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Context of the first training, in tokens.
        original_max_position: usize,
    },
    /// YaRN (Peng et al. 2023, arXiv 2309.00071), as `transformers` computes it: long wavelengths divided by `factor`, short ones
    /// kept, a linear blend between, by the number of turns within the original context; cosines and sines grow by a factor.
    Yarn {
        /// Divisor of the longest wavelengths.
        factor: f64,
        /// Frequencies that turn more often than this within the original context are kept.
        beta_fast: f64,
        /// Frequencies that turn less often than this are divided.
        beta_slow: f64,
        /// Context of the first training, in tokens.
        original_max_position: usize,
        /// Factor of cosines and sines.
        attention_factor: f64,
        /// Whether the ends of the blend are whole indices.
        truncate: bool,
    },
    /// Dynamic NTK: in `transformers` the base grows with the length of a sequence once that passes the model's context, for all of its
    /// tokens at once. Within the context, which no sequence passes here, nothing changes.
    Dynamic {
        /// How fast the base would grow.
        factor: f64,
    },
    /// One divisor for each frequency, `[head_dim / 2]`: how a GGUF file stores a scaling it has no name for.
    Divisors(Vec<f32>),
}

/// `theta^(-2i / head_dim)` for `i` in `0..head_dim / 2`.
pub(super) fn plain_inv_freq(theta: f64, head_dim: usize) -> Vec<f64> {
    (0..head_dim / 2)
        .map(|i| theta.powf(-((2 * i) as f64) / head_dim as f64))
        .collect()
}

impl RopeScaling {
    /// The scaled frequencies for the plain ones, which are those of `theta`.
    pub(super) fn apply(&self, plain: &[f64], theta: f64) -> Vec<f64> {
        match self {
            Self::None | Self::Dynamic { .. } => plain.to_vec(),
            Self::Yarn {
                factor,
                beta_fast,
                beta_slow,
                original_max_position,
                truncate,
                ..
            } => {
                let dim = 2.0 * plain.len() as f64;
                let original = *original_max_position as f64;
                // The index at which a frequency turns so many times within the original context.
                let index = |turns: f64| dim * (original / (turns * TAU)).ln() / (2.0 * theta.ln());
                let (mut low, mut high) = (index(*beta_fast), index(*beta_slow));
                if *truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                (low, high) = (low.max(0.0), high.min(dim - 1.0));
                if low == high {
                    high += 0.001;
                }
                let blend = |(i, f): (usize, &f64)| {
                    let divided = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
                    f / factor * divided + f * (1.0 - divided)
                };
                plain.iter().enumerate().map(blend).collect()
            }
            Self::Linear { factor } => plain.iter().map(|f| f / factor).collect(),
            Self::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position,
            } => {
                let original = *original_max_position as f64;
                let scale = |&f: &f64| {
                    let wavelength = TAU / f;
                    if wavelength < original / high_freq_factor {
                        f
                    } else if wavelength > original / low_freq_factor {
                        f / factor
                    } else {
                        let smooth = (original / wavelength - low_freq_factor)
                            / (high_freq_factor - low_freq_factor);
                        (1.0 - smooth) * f / factor + smooth * f
                    }
                };
                plain.iter().map(scale).collect()
            }
            Self::Divisors(divisors) => plain
                .iter()
                .zip(divisors)
                .map(|(f, &d)| f / f64::from(d))
                .collect(),
        }
    }

    /// What cosines and sines are multiplied with.
    pub(super) fn attention_factor(&self) -> f64 {
        match self {
            Self::Yarn {
                attention_factor, ..
            } => *attention_factor,
            _ => 1.0,
        }
    }

    /// What is wrong with the settings for a head of `pairs` rotated pairs.
    pub(super) fn faults(&self, pairs: usize) -> Vec<String> {
        let positive = |name: &str, value: f64| {
            (!(value.is_finite() && value > 0.0))
                .then(|| format!("rope scaling: {name} {value} is not positive"))
        };
        match self {
            Self::None => Vec::new(),
            Self::Linear { factor } | Self::Dynamic { factor } => {
                positive("factor", *factor).into_iter().collect()
            }
            Self::Yarn {
                factor,
                beta_fast,
                beta_slow,
                original_max_position,
                attention_factor,
                ..
            } => [
                positive("factor", *factor),
                positive("beta_fast", *beta_fast),
                positive("beta_slow", *beta_slow),
                positive("attention_factor", *attention_factor),
                positive(
                    "original_max_position_embeddings",
                    *original_max_position as f64,
                ),
                (beta_fast < beta_slow).then(|| {
                    format!("rope scaling: beta_fast {beta_fast} must not be below beta_slow {beta_slow}")
                }),
            ]
            .into_iter()
            .flatten()
            .collect(),
            Self::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position,
            } => {
                let mut faults: Vec<String> = [
                    positive("factor", *factor),
                    positive("low_freq_factor", *low_freq_factor),
                    positive("high_freq_factor", *high_freq_factor),
                    positive(
                        "original_max_position_embeddings",
                        *original_max_position as f64,
                    ),
                ]
                .into_iter()
                .flatten()
                .collect();
                if high_freq_factor <= low_freq_factor {
                    faults.push(format!(
                        "rope scaling: high_freq_factor {high_freq_factor} must exceed low_freq_factor {low_freq_factor}"
                    ));
                }
                faults
            }
            Self::Divisors(divisors) => {
                let mut faults = Vec::new();
                if divisors.len() != pairs {
                    faults.push(format!(
                        "rope scaling: {} divisors for {pairs} rotated pairs",
                        divisors.len()
                    ));
                }
                if let Some(bad) = divisors.iter().find(|d| !(d.is_finite() && **d > 0.0)) {
                    faults.push(format!("rope scaling: the divisor {bad} is not positive"));
                }
                faults
            }
        }
    }

    /// The named scaling whose divisors are `divisors` (to f32 accuracy), else the divisors themselves.
    ///
    /// GGUF stores Llama 3's scaling as a tensor of divisors only; the published settings are tried.
    pub(crate) fn from_divisors(divisors: Vec<f32>, theta: f64) -> Self {
        let plain = plain_inv_freq(theta, 2 * divisors.len());
        let fits = |candidate: &Self| {
            let scaled = candidate.apply(&plain, theta);
            plain
                .iter()
                .zip(&scaled)
                .zip(&divisors)
                .all(|((p, s), &d)| (p / s / f64::from(d) - 1.0).abs() < 1e-5)
        };
        if fits(&Self::None) {
            return Self::None;
        }
        for factor in [8.0, 32.0] {
            let candidate = Self::Llama3 {
                factor,
                low_freq_factor: 1.0,
                high_freq_factor: 4.0,
                original_max_position: 8192,
            };
            if fits(&candidate) {
                return candidate;
            }
        }
        Self::Divisors(divisors)
    }
}
