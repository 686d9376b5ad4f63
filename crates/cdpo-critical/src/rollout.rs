//! Critical tokens by rollouts (Lin et al. 2025, section 2): which outcomes of which rollouts are known goes in; the critical
//! token, or what must still be drawn to settle it, comes out. Pure logic over a table of outcomes: nothing is sampled here.

pub mod definition;
mod outcomes;
mod search;

pub use definition::{Finding, LastPosition, find, over_floor};
pub use outcomes::Outcomes;
pub use search::{Need, Progress, search};
