//! Learning-rate schedules, with the values of transformers' `get_scheduler`.

use serde::{Deserialize, Serialize};

/// How the learning rate changes after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// Half a cosine from 1 to 0.
    Cosine,
    /// A straight line from 1 to 0.
    Linear,
    /// Stays at 1.
    Constant,
}

/// A learning rate for every optimizer step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The learning rate at its highest.
    pub peak: f64,
    /// What follows the warm-up.
    pub decay: Decay,
    /// Steps of linear warm-up from 0.
    pub warmup_steps: u64,
    /// Steps in all.
    pub total_steps: u64,
}

impl Schedule {
    /// The learning rate of the `step`-th update, counted from 0. As in transformers the first step of a warm-up has
    /// learning rate 0 and step `warmup_steps` the peak.
    pub fn at(&self, step: u64) -> f64 {
        self.peak * self.factor(step)
    }

    fn factor(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return step as f64 / self.warmup_steps as f64;
        }
        let span = self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear => (self.total_steps.saturating_sub(step) as f64 / span).max(0.0),
            Decay::Cosine => {
                let progress = (step - self.warmup_steps) as f64 / span;
                (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())).max(0.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(decay: Decay) -> Schedule {
        Schedule {
            peak: 2.0,
            decay,
            warmup_steps: 4,
            total_steps: 12,
        }
    }

    #[test]
    fn warmup_rises_in_equal_steps_from_zero_to_the_peak() {
        for decay in [Decay::Cosine, Decay::Linear, Decay::Constant] {
            let values: Vec<f64> = (0..=4).map(|s| schedule(decay).at(s)).collect();
            assert_eq!(values, [0.0, 0.5, 1.0, 1.5, 2.0]);
        }
    }

    #[test]
    fn decay_meets_its_half_way_point_and_its_end() {
        let half = |decay| schedule(decay).at(8);
        assert!((half(Decay::Cosine) - 1.0).abs() < 1e-15);
        assert_eq!(half(Decay::Linear), 1.0);
        assert_eq!(half(Decay::Constant), 2.0);
        assert!(schedule(Decay::Cosine).at(12) < 1e-15);
        assert_eq!(schedule(Decay::Linear).at(12), 0.0);
    }
}
