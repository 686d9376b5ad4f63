//! Problems, trajectories, preference pairs, prompt framing, JSONL and Parquet, and stage artifacts.
//!
//! Text and token ids go in and out; there are no tensors here. Every record type implements [`Record`]: it checks its own
//! counts and ranges, both when it is read (an error names path, line and reason) and before it is written. Files written here
//! are deterministic: the same records give the same bytes, and an `f32` comes back bit for bit.
//!
//! ```
//! use cdpo_data::wordmath::{self, Split};
//! use cdpo_data::{Framing, Problem, Record};
//!
//! let problem = wordmath::problems(0, Split::Test, 1).remove(0);
//! let prompt = Framing::gsm8k().prompt(&problem.question);
//! assert_eq!(prompt, format!("Question: {}\nAnswer:", problem.question));
//!
//! // A record checks itself before it is written, and after it is read.
//! assert!(problem.check().is_ok());
//! let unanswered = Problem { answer: String::new(), ..problem };
//! assert_eq!(unanswered.check(), Err("answer is empty".to_owned()));
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod artifact;
mod cell;
pub mod chat;
mod columns;
mod error;
pub mod exemplars;
mod framing;
pub mod given_pairs;
pub mod given_responses;
pub mod given_solutions;
mod graded;
pub mod jsonl;
mod lines;
pub mod order;
mod pair;
mod problem;
pub mod problems;
mod record;
pub mod replacement_record;
pub mod rollout_record;
mod rows;
mod sft;
mod table;
mod trajectory;
pub mod trl;
pub mod wordmath;

pub use error::{Error, Result};
pub use exemplars::{Exemplar, ExemplarSet};
pub use framing::Framing;
pub use given_solutions::GivenSolution;
pub use graded::Graded;
pub use pair::Pair;
pub use problem::Problem;
pub use record::{BadRow, OnBadRow, Record, Skipped};
pub use replacement_record::{Replacement, ReplacementRecord};
pub use rollout_record::{CriticalKind, RolloutKeys, RolloutRecord};
pub use sft::SftExample;
pub use trajectory::{Finish, Trajectory};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
