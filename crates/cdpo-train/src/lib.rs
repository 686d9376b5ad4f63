//! Losses, optimizer, schedules, checkpoints and the one training loop.
//!
//! Goes in: an adapter on a model, or a model, examples as token ids, settings. Comes out: it trained, per-step metrics under TRL's
//! names, checkpoints from which a run goes on bit for bit.
//!
//! Data flow of one step, all in [`run()`]: the plan names the examples; each micro-batch becomes one token forest; the engine
//! gives per-token log-probabilities; the loss, a pure function, gives their derivatives; the engine turns these into
//! parameter gradients, which add up over micro-batches; clipping and AdamW change the parameters.
//!
//! ```
//! use cdpo_train::losses::nll;
//! use cdpo_train::{Examples, Method, TrainSettings};
//!
//! let method: Method = "sft+cdpo".parse()?;
//! assert!(method.starts_from_sft());
//! assert_eq!(method.examples(), Examples::ScoredPairs);
//!
//! // Settings left out take the paper's values; faults come all together.
//! assert!(TrainSettings::of(method).validate().is_ok());
//! let faulty = TrainSettings { gamma: Some(-1.0), ..TrainSettings::of(method) };
//! assert!(faulty.validate().unwrap_err().to_string().contains("gamma"));
//!
//! // A loss is a pure function of log-probabilities: a response's share in a step of three tokens, and its derivative.
//! let terms = nll(&[-1.0, -3.0], 1.0, 3);
//! assert!((terms.loss - 4.0 / 3.0).abs() < 1e-12 && (terms.gradient + 1.0 / 3.0).abs() < 1e-12);
//! # Ok::<(), cdpo_train::UnknownMethod>(())
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod batch;
mod checkpoint;
mod crc32c;
mod error;
mod example;
mod example_order;
mod job;
mod journal;
pub mod losses;
mod method;
mod metrics;
mod normalisers;
pub mod optimizer;
mod policy;
mod reference;
mod run;
#[cfg(test)]
mod run_tests;
mod schedule;
mod settings;
#[cfg(test)]
mod settings_tests;
mod step;
mod tensorboard;

pub use checkpoint::read_parameters;
pub use error::{Error, Faults, Result};
pub use example::{LeftOut, TrainSet};
pub use job::{Job, Observer, TrainEvent, TrainReport};
pub use journal::METRICS;
pub use method::{Examples, Loss, Method, UnknownMethod};
pub use metrics::{PairMetrics, StepMetrics};
pub use policy::{Parameters, Policy};
pub use run::run;
pub use schedule::{Decay, Schedule};
pub use settings::{
    Checked, Length, LossSettings, TrainSettings, WarmUp, loss_settings, loss_settings_of,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
