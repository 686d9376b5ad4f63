//! What a training run is given, what it tells while it works, and what it ends with.

use std::ops::ControlFlow;
use std::path::Path;

use cdpo_model::Adapter;

use crate::example::{LeftOut, TrainSet};
use crate::metrics::StepMetrics;
use crate::policy::Policy;
use crate::settings::TrainSettings;

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
pub enum TrainEvent<'a> {
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

/// Looks at [`TrainEvent`]s.
pub type Observer<'o> = dyn FnMut(TrainEvent<'_>) -> ControlFlow<()> + 'o;

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
