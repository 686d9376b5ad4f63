//! Critical tokens by rollouts (Lin et al. 2025, section 2).
//!
//! [`definition`] says what a critical token is, given the number of right rollouts at every position. [`search()`] finds it from part
//! of the outcomes; both are pure logic over a table. [`roll_out`] draws the outcomes with a model: wrong responses go in, each
//! one's critical token comes out, with the counts that it rests on and what they cost. [`replace()`] draws what happens without it.

mod course;
pub mod definition;
mod drive;
mod live;
mod outcomes;
mod places;
pub mod replace;
mod search;
mod settings;
mod surprise;
mod weights;
mod wrong;

pub use definition::{Finding, LastPosition, find, over_floor};
pub use drive::{Event, Progress as RolloutProgress, RolledOut, roll_out};
pub use outcomes::Outcomes;
pub use replace::{Critical, ReplaceSettings, Replaced, replace};
pub use search::{Need, Progress, search};
pub use settings::{RolloutSettings, Scores, Sharing};
pub use weights::weigh;
pub use wrong::Wrong;
