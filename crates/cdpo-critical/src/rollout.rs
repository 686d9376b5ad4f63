//! Critical tokens by rollouts (Lin et al. 2025, section 2).
//!
//! `definition` says what a critical token is, given the number of right rollouts at every position. [`search()`] finds it from part
//! of the outcomes; both are pure logic over a table. [`roll_out`] draws the outcomes with a model: wrong responses go in, each
//! one's critical token comes out, with the counts that it rests on and what they cost. [`replace()`] draws what happens without it.

mod active_response;
mod definition;
mod drive;
mod outcomes;
mod planner;
mod replace;
mod rollout_positions;
mod search;
mod settings;
mod surprise;
mod weights;
mod wrong_response;

pub use definition::{Finding, LastPosition, find, over_floor};
pub use drive::{RolledOut, RolloutEvent, RolloutProgress, roll_out};
pub use outcomes::Outcomes;
pub use replace::{CriticalToken, ReplaceSettings, Replaced, replace};
pub use search::{Need, SearchProgress, search};
pub use settings::{RolloutSettings, Scores, Sharing};
pub use weights::weigh;
pub use wrong_response::WrongResponse;
