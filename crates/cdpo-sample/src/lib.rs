//! Sampling from a language model: many responses for many questions, batched on a shared key/value tree.
//!
//! Goes in: [`Request`]s (prompt ids and the sample indices wanted) and [`SampleParams`]. Comes out: a
//! [`Completion`] for each (question, sample), as soon as it is finished.
//!
//! What is sampled depends on the model, the prompt, the settings and the key `(seed, question id, sample index, response
//! position)` only: never on the batch, the order of requests, the cache's size or the number of threads. So a run that
//! was cut short is resumed by asking for what is missing. (Of samples that servers draw, [`server`] promises less.)
//!
//! ```no_run
//! use std::ops::ControlFlow;
//!
//! use cdpo_model::source::{ModelSource, open};
//! use cdpo_model::{Device, Model, WeightOptions};
//! use cdpo_sample::{LocalSampler, Request, SampleParams, Sampler};
//!
//! let files = open(&ModelSource::Path("model.gguf".into()))?;
//! let weights = files.weights.as_ref();
//! let mut model = Model::load_as(&files.config, weights, &Device::Cpu, WeightOptions::default())?;
//! model.pack(false)?;
//! let request = Request {
//!     problem_id: "mine/1".into(),
//!     prompt_ids: files.tokenizer.encode("Question: What is 6 times 7?\nAnswer:")?,
//!     samples: (0..8).collect(),
//!     ..Request::default()
//! };
//! let params = SampleParams { temperature: 0.7, max_new_tokens: 64, ..SampleParams::default() };
//! let _ = LocalSampler::new(&model, &files.tokenizer).sample(
//!     &[request],
//!     &params,
//!     &mut |request, sample, completion| {
//!         println!("{} {sample}: {}", request.problem_id, completion.text);
//!         ControlFlow::Continue(())
//!     },
//!     &mut |_| ControlFlow::Continue(()),
//! )?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod branch;
mod decoder;
pub mod draw;
mod error;
mod exp;
mod local;
mod params;
mod room;
mod sampler;
mod schedule;
pub mod server;
mod stop;

pub use branch::{Aside, Branch, Branches, Ended, Rollout, Settled, Spent, Trunk, TrunkId};
pub use error::{Error, Result};
pub use local::LocalSampler;
pub use params::SampleParams;
pub use sampler::{Completion, Finish, Observer, Request, SampleProgress, Sampler, Sink};
pub use server::{ServerKind, ServerSampler, ServerSettings};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
