//! Critical tokens: which trajectories to learn from, and how strongly each of their tokens points to a wrong answer.
//!
//! [`selection`] turns graded samples into the positive set, the negative set and the preference pairs; [`contrast`] scores
//! every token of a wrong response by two contrastive models (Lin et al. 2025, arXiv 2411.19943, Eq. 1); [`rollout`] holds the
//! definition of a critical token by rollouts and the search that needs only part of them; [`analysis`] tells what such tokens are.
//!
//! ```
//! use cdpo_critical::rollout::{Finding, find};
//!
//! // Right answers among 64 rollouts of each position of a wrong response. At the third none is right, and no later position
//! // reaches 5 % (4 of 64) again: its token is the critical one.
//! assert_eq!(find(&[30, 12, 0, 3, 0, 0], 64), Finding::Both { position: 3 });
//! // Were 4 right at the fourth, the response could still be saved there.
//! assert_eq!(find(&[30, 12, 0, 4, 0, 0], 64), Finding::Both { position: 5 });
//! ```

pub mod analysis;
pub mod contrast;
mod error;
pub mod rollout;
pub mod selection;

pub use contrast::{ContrastModels, ContrastSettings, ContrastSummary, score_pairs};
pub use error::{Error, PromptError, Result};
pub use selection::{Prompts, Selection, SelectionSettings, Verdicts, select};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
