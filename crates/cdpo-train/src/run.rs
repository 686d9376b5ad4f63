//! The one training loop: every method, fresh or resumed.
//!
//! Goes in: a policy (an adapter or a whole model), examples, reference, checked settings, a folder. Comes out: the trained
//! policy and every step's metrics. The folder afterwards holds `checkpoints/`, `metrics.jsonl`, `timings.jsonl`, `tensorboard/` and, for
//! methods with a reference, `reference.bin`. Run again on the same folder it goes on from the last checkpoint, and ends
//! with the bits of a run that was never interrupted.

use std::ops::ControlFlow;
use std::time::Instant;

use cdpo_model::{Adapter, AdapterStack, Arena, Recompute};

use crate::batch::{Objective, Packed};
use crate::checkpoint::{self, State};
use crate::error::{Error, Faults, Result};
use crate::example::{self, Item, LeftOut};
use crate::example_order::ExampleOrder;
use crate::job::{Job, Observer, TrainEvent, TrainReport};
use crate::journal::Journal;
use crate::losses::PairLoss;
use crate::metrics::StepMetrics;
use crate::optimizer::AdamW;
use crate::policy::Policy;
use crate::reference;
use crate::schedule::Schedule;
use crate::settings::Checked;
use crate::step::Trainer;

/// Trains.
///
/// # Errors
/// If the settings are faulty, no example is left, the warm-up does not end within the run, a number is not finite, a
/// parameter has no gradient, a file cannot be read or written, or the folder holds another run.
pub fn run<'p>(job: Job<'_, 'p>, observer: &mut Observer<'_>) -> Result<TrainReport<'p>> {
    let mut run = Run::prepare(job)?;
    let mut flow = ControlFlow::Continue(());
    if let Some(warning) = run.left_out.warning(&run.trainer.settings) {
        flow = observer(TrainEvent::Warning(&warning));
    }
    if run.is_finished() {
        flow = ControlFlow::Break(());
    }
    if flow.is_continue() {
        // The policy still has its values from the start.
        flow = run.compute_reference(observer)?;
    }
    run.trainer.job.policy.set(&run.trainer.params)?;
    if flow.is_continue() {
        run.train(observer)?;
    }
    Ok(run.report())
}

/// A run under way. What it has done is in `trainer.state`, and nowhere else.
struct Run<'a, 'p> {
    trainer: Trainer<'a, 'p>,
    order: ExampleOrder,
    schedule: Schedule,
    journal: Journal,
    /// Every step's metrics, earlier sittings included.
    metrics: Vec<StepMetrics>,
    left_out: LeftOut,
}

impl<'a, 'p> Run<'a, 'p> {
    /// Checks all that was given, and takes up what an earlier sitting left in the folder. The policy keeps its values from
    /// the start.
    fn prepare(job: Job<'a, 'p>) -> Result<Self> {
        let settings = job.settings.validate()?;
        let loss = settings.method.loss().on_pairs(&settings.loss);
        check_policy(&job, &settings, loss.as_deref())?;
        let weights = loss.as_ref().map(|l| l.weights());
        let context = job.policy.model().config().max_positions;
        let (items, left_out) = example::prepare(
            job.examples,
            &settings,
            weights,
            job.prefix_ids.len(),
            context,
        )?;
        let order = ExampleOrder::new(items.len(), &settings);
        let schedule = settings.schedule(order.total_steps);
        if schedule.warmup_steps >= order.total_steps {
            return Err(Error::WarmUp {
                warmup_steps: schedule.warmup_steps,
                total_steps: order.total_steps,
                examples: items.len(),
                per_step: settings.examples_per_step(),
                epochs: order.epoch(order.total_steps),
            });
        }
        std::fs::create_dir_all(job.dir).map_err(|e| Error::io(job.dir, "create the folder", e))?;

        let identity = identity(&job, &settings, &items);
        let mut params = job.policy.params()?;
        let mut adamw = AdamW::new(settings.adamw, &params);
        let last_checkpoint = checkpoint::list(job.dir)?.pop();
        let state = match &last_checkpoint {
            Some(path) => checkpoint::read(path, &identity, &mut params, &mut adamw)?,
            None => State::new(0, 0, identity),
        };
        let (journal, metrics) = Journal::resume(job.dir, state.step)?;
        let objective = loss.map_or(Objective::Sft, |loss| {
            Objective::Pairs(loss, settings.sft_term)
        });
        Ok(Self {
            trainer: Trainer {
                job,
                items,
                reference: Vec::new(),
                objective,
                settings,
                params,
                adamw,
                state,
                last_checkpoint,
            },
            order,
            schedule,
            journal,
            metrics,
            left_out,
        })
    }

    fn is_finished(&self) -> bool {
        self.trainer.state.step >= self.order.total_steps
    }

    /// The reference's log-probabilities of every example, if the objective needs them; `Break` if the observer stopped it.
    fn compute_reference(&mut self, observer: &mut Observer<'_>) -> Result<ControlFlow<()>> {
        let trainer = &mut self.trainer;
        if !trainer.objective.needs_reference() {
            return Ok(ControlFlow::Continue(()));
        }
        let job = &trainer.job;
        let base = job.policy.model();
        let stack = AdapterStack::frozen(job.reference);
        let default = job.dir.join("reference.bin");
        let path = job.reference_cache.unwrap_or(&default);
        let score = |p: &Packed| Ok(base.score(&p.forest, &stack, &p.targets)?);
        let progress = |done, all| observer(TrainEvent::Reference { done, all });
        let values = reference::logps(
            &trainer.items,
            job.prefix_ids,
            &model_identity(job.model_id, job.reference),
            path,
            score,
            progress,
        )?;
        let Some(values) = values else {
            return Ok(ControlFlow::Break(()));
        };
        trainer.reference = values;
        Ok(ControlFlow::Continue(()))
    }

    /// The loop over the steps that are left.
    fn train(&mut self, observer: &mut Observer<'_>) -> Result<()> {
        let started = TrainEvent::Started {
            examples: self.trainer.items.len(),
            done: self.trainer.state.step,
            total_steps: self.order.total_steps,
            warmup_steps: self.schedule.warmup_steps,
        };
        if observer(started).is_break() {
            return Ok(());
        }
        let mut grads = Arena::zeros(self.trainer.params.layout().clone());
        while !self.is_finished() {
            let begun = Instant::now();
            let done = self.trainer.state.step;
            let chosen = self.order.step(done);
            let learning_rate = self.schedule.at(done);
            let epoch = self.order.epoch(done + 1);
            let before = self.trainer.state.tokens;
            let metrics = self
                .trainer
                .step(&chosen, learning_rate, epoch, &mut grads)?;
            let tokens = self.trainer.state.tokens - before;
            self.journal.append(&metrics, begun.elapsed(), tokens)?;
            let mut stop = observer(TrainEvent::Step(&metrics)).is_break();
            self.metrics.push(metrics);
            let step = self.trainer.state.step;
            let every = self.trainer.settings.checkpoint_every;
            if stop || self.is_finished() || step.is_multiple_of(every) {
                let path = self.trainer.write_checkpoint()?;
                stop |= observer(TrainEvent::Checkpoint { step, path }).is_break();
            }
            if stop {
                break;
            }
        }
        Ok(())
    }

    fn report(self) -> TrainReport<'p> {
        TrainReport {
            finished: self.is_finished(),
            steps: self.trainer.state.step,
            total_steps: self.order.total_steps,
            tokens: self.trainer.state.tokens,
            policy: self.trainer.job.policy,
            metrics: self.metrics,
            left_out: self.left_out,
        }
    }
}

/// Checks that what was given to train is what the settings say.
fn check_policy(job: &Job<'_, '_>, settings: &Checked, loss: Option<&dyn PairLoss>) -> Result<()> {
    if settings.parameters != job.policy.parameters() {
        return Err(Faults(vec![format!(
            "parameters is {:?}, but the run was given {:?} to train",
            settings.parameters,
            job.policy.parameters()
        )])
        .into());
    }
    let needs_reference = loss.is_some_and(super::losses::PairLoss::needs_reference);
    if let Policy::Adapter { under, .. } = job.policy
        && settings.method.starts_from_sft()
        && (under.is_empty() || (needs_reference && job.reference.is_empty()))
    {
        let lacks = if under.is_empty() {
            "there is no adapter under the trained one"
        } else {
            "its reference has no adapter"
        };
        return Err(Faults(vec![format!(
            "method {} starts from the fine-tuned model, but {lacks}",
            settings.method
        )])
        .into());
    }
    Ok(())
}

fn model_identity(model_id: &str, adapters: &[&Adapter]) -> String {
    let ids = adapters.iter().map(|a| a.content_id());
    std::iter::once(model_id.to_owned())
        .chain(ids)
        .collect::<Vec<_>>()
        .join("+")
}

/// All that the numbers of a run depend on, part by part, so that a difference can be named.
fn identity(job: &Job<'_, '_>, settings: &Checked, items: &[Item]) -> Vec<(String, String)> {
    // How often checkpoints are written and whether blocks are recomputed changes no number.
    let settings = Checked {
        checkpoint_every: 1,
        keep_checkpoints: 1,
        recompute: Recompute::Nothing,
        ..settings.clone()
    };
    [
        ("settings", format!("{settings:?}")),
        ("model", model_identity(job.model_id, job.policy.under())),
        ("reference", model_identity(job.model_id, job.reference)),
        ("adapter at the start", job.policy.start()),
        ("examples", example::content_id(items, job.prefix_ids)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
