//! The crate's error type. Messages say what was expected and what to do.

use std::path::PathBuf;

/// Everything that is wrong with some settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<String>);

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "training settings: {}", self.0.join("; "))
    }
}

impl std::error::Error for Faults {}

/// Result of this crate's fallible calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why training cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings are out of range or contradict each other; all faults are listed.
    #[error("{0}")]
    Settings(#[from] Faults),
    /// The engine refused or failed.
    #[error(transparent)]
    Model(#[from] cdpo_model::Error),
    /// A file could not be read or written.
    #[error("{}: {what}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        what: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file of an earlier run is damaged or not of the expected form.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// An example cannot be trained on with these settings.
    #[error("example {id}: {reason}")]
    Example {
        /// The example's id.
        id: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// No example is left to train on.
    #[error("{0}")]
    NoExamples(String),
    /// The warm-up leaves no step at the peak learning rate.
    #[error(
        "warm-up of {warmup_steps} steps does not end within the run's {total_steps} steps ({examples} examples, {per_step} a step, {epochs} \
         epochs), so the learning rate would never reach its peak; set warmup_ratio (for example 0.1) instead of warmup_steps, or train for more epochs"
    )]
    WarmUp {
        /// Steps of warm-up.
        warmup_steps: u64,
        /// Steps in all.
        total_steps: u64,
        /// Examples in the training set.
        examples: usize,
        /// Examples an optimizer step takes.
        per_step: usize,
        /// Passes over the examples.
        epochs: f64,
    },
    /// A loss, log-probability or gradient is NaN or infinite.
    #[error("step {step}: not finite: {what}; examples: {}; {}", examples.join(", "), last_good(checkpoint.as_ref()))]
    NotFinite {
        /// The step, counted from 1.
        step: u64,
        /// What was not finite.
        what: String,
        /// Ids of the examples that were being computed.
        examples: Vec<String>,
        /// The last checkpoint before this step.
        checkpoint: Option<PathBuf>,
    },
    /// Some parameters that should be trained received no gradient.
    #[error(
        "no gradient reached {count} of the {all} trainable tensors, the first being `{first}`: every entry is exactly zero after the first step's \
         backward pass, so they would never be trained"
    )]
    NoGradient {
        /// Tensors without gradient.
        count: usize,
        /// All trainable tensors.
        all: usize,
        /// The name of the first.
        first: String,
    },
    /// The folder holds checkpoints of a run with other inputs or settings.
    #[error(
        "{}: the checkpoints here belong to a run with other {differs}; train into another folder, or remove this one to start afresh",
        path.display()
    )]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        differs: String,
    },
}

fn last_good(checkpoint: Option<&PathBuf>) -> String {
    match checkpoint {
        Some(path) => format!("last good checkpoint: {}", path.display()),
        None => "there is no checkpoint yet; lower the learning rate or check these examples' data"
            .to_owned(),
    }
}

impl Error {
    pub(crate) fn io(path: impl Into<PathBuf>, what: &'static str, source: std::io::Error) -> Self {
        Self::Io {
            path: path.into(),
            what,
            source,
        }
    }

    pub(crate) fn file(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::File {
            path: path.into(),
            reason: reason.into(),
        }
    }
}
