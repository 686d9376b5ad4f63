//! The one training loop: every method, fresh or resumed.
//!
//! Goes in: a policy (an adapter or a whole model), examples, reference, checked settings, a folder. Comes out: the trained
//! policy and every step's metrics. The folder afterwards holds `checkpoints/`, `metrics.jsonl`, `timings.jsonl`, `tensorboard/` and, for
//! methods with a reference, `reference.bin`. Run again on the same folder it goes on from the last checkpoint, and ends
//! with the bits of a run that was never interrupted.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use cdpo_model::{Adapter, AdapterStack, Arena, Recompute};

use crate::batch::Objective;
use crate::checkpoint::{self, State};
use crate::error::{Error, Result};
use crate::example::{self, Item, LeftOut, TrainSet};
use crate::journal::Journal;
use crate::metrics::StepMetrics;
use crate::optimizer::AdamW;
use crate::plan::Plan;
use crate::policy::Policy;
use crate::reference;
use crate::settings::{Checked, Faults, TrainSettings};
use crate::step::Trainer;

/// Everything a run starts from.
#[derive(Debug)]
pub struct Job<'a, 'p> {
    /// What to train.
    pub policy: Policy<'p>,
    /// Identifies the base model's content (`Checkpoint::content_id`), for resuming and for the reference cache. When all
    /// parameters are trained, that of the model as it is given.
    pub model_id: &'a str,
    /// What the policy is compared with: frozen adapters on the base, none being the base itself.
    pub reference: &'a [&'a Adapter],
    /// What to train on.
    pub examples: &'a TrainSet,
    /// Tokens that stand before every prompt (few-shot exemplars); usually none.
    pub prefix_ids: &'a [u32],
    /// The settings.
    pub settings: &'a TrainSettings,
    /// The run's folder; made if it is not there.
    pub dir: &'a Path,
    /// Where the reference's log-probabilities are kept; several runs may share it, one after the other.
    /// `None`: `reference.bin` in `dir`.
    pub reference_cache: Option<&'a Path>,
}

/// What a run tells while it works. The observer's `Break` stops it: after a step, with a checkpoint of that step.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Something the user should know; not an error.
    Warning(&'a str),
    /// Training is about to start.
    Started {
        /// Examples that are trained on.
        examples: usize,
        /// Steps done in an earlier sitting.
        done: u64,
        /// Steps in all.
        total_steps: u64,
        /// Steps of warm-up.
        warmup_steps: u64,
    },
    /// The reference's log-probabilities of an example were computed.
    Reference {
        /// Examples done.
        done: usize,
        /// Examples in all.
        all: usize,
    },
    /// An optimizer step is done.
    Step(&'a StepMetrics),
    /// A checkpoint was written.
    Checkpoint {
        /// Steps done.
        step: u64,
        /// Its folder.
        path: &'a Path,
    },
}

/// Looks at [`Event`]s.
pub type Observer<'o> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'o;

/// What a run ends with.
#[derive(Debug)]
pub struct TrainReport<'p> {
    /// The adapter or the model, trained as far as the run went.
    pub policy: Policy<'p>,
    /// Whether all steps were done; otherwise the observer stopped the run.
    pub finished: bool,
    /// Steps done, in all sittings.
    pub steps: u64,
    /// Steps in all.
    pub total_steps: u64,
    /// Tokens computed in all sittings, prompts included, the reference's not.
    pub tokens: u64,
    /// Every step's metrics, earlier sittings included.
    pub metrics: Vec<StepMetrics>,
    /// Examples that were left out.
    pub left_out: LeftOut,
}

/// Trains.
///
/// # Errors
/// If the settings are faulty, no example is left, the warm-up does not end within the run, a number is not finite, a
/// parameter has no gradient, a file cannot be read or written, or the folder holds another run.
pub fn run<'p>(job: Job<'_, 'p>, observer: &mut Observer<'_>) -> Result<TrainReport<'p>> {
    let settings = job.settings.validate()?;
    if settings.parameters != job.policy.parameters() {
        return Err(Faults(vec![format!(
            "parameters is {:?}, but the run was given {:?} to train",
            settings.parameters,
            job.policy.parameters()
        )])
        .into());
    }
    let loss = settings.method.loss().on_pairs(&settings.loss);
    let needs_reference = loss.as_ref().is_some_and(|l| l.needs_reference());
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
    let weights = loss.as_ref().map(|l| l.weights());
    let context = job.policy.model().config().max_positions;
    let (items, left_out) = example::prepare(
        job.examples,
        &settings,
        weights,
        job.prefix_ids.len(),
        context,
    )?;
    let mut plan = Plan::new(items.len(), &settings);
    let schedule = settings.schedule(plan.total_steps);
    if schedule.warmup_steps >= plan.total_steps {
        return Err(Error::WarmUp {
            warmup_steps: schedule.warmup_steps,
            total_steps: plan.total_steps,
            examples: items.len(),
            per_step: settings.examples_per_step(),
            epochs: plan.epoch(plan.total_steps),
        });
    }
    std::fs::create_dir_all(job.dir).map_err(|e| Error::io(job.dir, "create the folder", e))?;

    let identity = identity(&job, &settings, &items);
    let mut params = job.policy.params()?;
    let mut adamw = AdamW::new(settings.adamw, &params);
    let last = checkpoint::list(job.dir)?.pop();
    let state = match &last {
        Some(path) => checkpoint::read(path, &identity, &mut params, &mut adamw)?,
        None => State::new(0, 0, identity),
    };
    let (journal, metrics) = Journal::resume(job.dir, state.step)?;
    let mut flow = ControlFlow::Continue(());
    if let Some(warning) = left_out.warning(&settings) {
        flow = observer(Event::Warning(&warning));
    }
    let mut report = TrainReport {
        policy: job.policy,
        finished: false,
        steps: state.step,
        total_steps: plan.total_steps,
        tokens: state.tokens,
        metrics,
        left_out,
    };
    report.finished = report.steps >= plan.total_steps;
    if report.finished || flow.is_break() {
        report.policy.set(&params)?;
        return Ok(report);
    }

    let objective = loss.map_or(Objective::Sft, |loss| {
        Objective::Pairs(loss, settings.sft_term)
    });
    let reference = if needs_reference {
        // The policy still has its values from the start.
        let base = report.policy.model();
        let stack = AdapterStack::frozen(job.reference);
        let default = job.dir.join("reference.bin");
        let path = job.reference_cache.unwrap_or(&default);
        let score = |p: &crate::batch::Packed| Ok(base.score(&p.forest, &stack, &p.targets)?);
        let progress = |done, all| observer(Event::Reference { done, all });
        let values = reference::logps(
            &items,
            job.prefix_ids,
            &model_identity(job.model_id, job.reference),
            path,
            score,
            progress,
        )?;
        let Some(values) = values else {
            report.policy.set(&params)?;
            return Ok(report);
        };
        values
    } else {
        Vec::new()
    };
    report.policy.set(&params)?;
    let started = Event::Started {
        examples: items.len(),
        done: report.steps,
        total_steps: plan.total_steps,
        warmup_steps: schedule.warmup_steps,
    };
    if observer(started).is_break() {
        return Ok(report);
    }

    let mut trainer = Trainer {
        prefix: job.prefix_ids,
        items: &items,
        reference: &reference,
        reference_adapters: job.reference,
        objective,
        settings: &settings,
        grads: Arena::zeros(params.layout().clone()),
        params,
        adamw,
        journal,
        last_checkpoint: last,
    };
    let mut state = state;
    while state.step < plan.total_steps {
        let begun = Instant::now();
        let chosen = plan.step(state.step);
        let learning_rate = schedule.at(state.step);
        let epoch = plan.epoch(state.step + 1);
        let (metrics, tokens) =
            trainer.step(&mut report.policy, &chosen, &state, learning_rate, epoch)?;
        state.step += 1;
        state.tokens += tokens;
        trainer.journal.append(&metrics, begun.elapsed(), tokens)?;
        let stop = observer(Event::Step(&metrics)).is_break();
        report.metrics.push(metrics);
        (report.steps, report.tokens) = (state.step, state.tokens);
        report.finished = state.step == plan.total_steps;
        if stop || report.finished || state.step.is_multiple_of(settings.checkpoint_every) {
            let path = checkpoint::write(
                job.dir,
                &state,
                &trainer.params,
                &trainer.adamw,
                settings.keep_checkpoints,
            )?;
            let stop = observer(Event::Checkpoint {
                step: state.step,
                path: &path,
            })
            .is_break()
                || stop;
            trainer.last_checkpoint = Some(path);
            if stop {
                break;
            }
        }
    }
    Ok(report)
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
