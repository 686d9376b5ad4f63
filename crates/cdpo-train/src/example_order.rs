//! Which examples each optimizer step takes, and how many steps there are.

use cdpo_model::{Key, keyed};

use crate::settings::Checked;

/// The order of a whole run: a pure function of the seed, the number of examples and the settings.
#[derive(Debug, Clone)]
pub(crate) struct ExampleOrder {
    examples: usize,
    per_step: usize,
    seed: u64,
    pub(crate) steps_per_epoch: u64,
    pub(crate) total_steps: u64,
    /// The epoch whose order is at hand.
    cached: Option<(u64, Vec<usize>)>,
}

impl ExampleOrder {
    pub(crate) fn new(examples: usize, settings: &Checked) -> Self {
        let per_step = settings.examples_per_step();
        let steps_per_epoch = examples.div_ceil(per_step) as u64;
        Self {
            examples,
            per_step,
            seed: settings.seed,
            steps_per_epoch,
            total_steps: settings.total_steps(examples),
            cached: None,
        }
    }

    /// The examples of the `step`-th step, counted from 0. Each epoch takes every example once, in its own order; its last
    /// step may be smaller.
    pub(crate) fn step(&mut self, step: u64) -> Vec<usize> {
        let (epoch, within) = (
            step / self.steps_per_epoch,
            (step % self.steps_per_epoch) as usize,
        );
        if self
            .cached
            .as_ref()
            .is_none_or(|(cached, _)| *cached != epoch)
        {
            let key = Key::new(self.seed).with_str("shuffle").with(epoch);
            self.cached = Some((epoch, keyed::permutation(key, self.examples)));
        }
        let order = self.cached.as_ref().map_or(&[][..], |(_, order)| order);
        let start = within * self.per_step;
        order[start..(start + self.per_step).min(order.len())].to_vec()
    }

    /// Epochs done after `steps` steps.
    pub(crate) fn epoch(&self, steps: u64) -> f64 {
        steps as f64 / self.steps_per_epoch as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrainSettings;

    fn settings(epochs: f64) -> Checked {
        TrainSettings {
            batch_size: Some(2),
            accumulation: Some(2),
            epochs: Some(epochs),
            ..TrainSettings::default()
        }
        .validate()
        .unwrap()
    }

    #[test]
    fn every_epoch_takes_each_example_once_in_its_own_order() {
        let mut order = ExampleOrder::new(10, &settings(2.0));
        assert_eq!((order.steps_per_epoch, order.total_steps), (3, 6));
        let epochs: Vec<Vec<usize>> = (0..2)
            .map(|e| (0..3).flat_map(|s| order.step(3 * e + s)).collect())
            .collect();
        assert_ne!(epochs[0], epochs[1]);
        for mut epoch in epochs {
            epoch.sort_unstable();
            assert_eq!(epoch, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_step_does_not_depend_on_the_steps_asked_for_before() {
        let mut forward = ExampleOrder::new(10, &settings(3.0));
        let all: Vec<_> = (0..forward.total_steps).map(|s| forward.step(s)).collect();
        assert_eq!(ExampleOrder::new(10, &settings(3.0)).step(7), all[7]);
    }

    #[test]
    fn a_part_of_an_epoch_is_rounded_up_to_a_step() {
        assert_eq!(ExampleOrder::new(10, &settings(1.5)).total_steps, 5);
    }
}
