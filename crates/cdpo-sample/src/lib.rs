//! Sampling from a language model: many responses for many questions, batched on a shared key/value tree.
//!
//! Goes in: [`Request`]s (prompt ids and the sample indices wanted) and [`SampleParams`]. Comes out: a
//! [`Completion`] for each (question, sample), as soon as it is finished.
//!
//! What is sampled depends on the model, the prompt, the settings and the key `(seed, question id, sample index, response
//! position)` only: never on the batch, the order of requests, the cache's size or the number of threads. So a run that
//! was cut short is resumed by asking for what is missing. (Of samples that servers draw, [`server`] promises less.)

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
