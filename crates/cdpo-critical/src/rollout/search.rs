//! The search for the critical token that draws only what the answer needs: known outcomes in; the finding, or the positions
//! whose rollouts to draw next, out.
//!
//! Let L be the last position at or over 5 %. Every position that meets condition (2) lies at or after L, and L itself is no zero, so
//! the critical token is the first zero after L, and nothing before L matters. Hence three steps, each over what is known:
//! 1. from the end backwards, settle each position as over (20 s >= n) or under (too many failures to get there), until one is over;
//! 2. from L + 1 forwards, find the first position all of whose rollouts fail; one success rules a position out;
//! 3. if there is none, find the first such position from the start: the fallback, which meets condition (1) alone.
//!
//! The search keeps no state besides the table, so it can be interrupted anywhere and goes on from any outcomes, in any order.

use super::definition::{Finding, over_floor};
use super::outcomes::Outcomes;

/// A position that must be known better before the search can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The position, from 1.
    pub position: usize,
    /// The fewest further rollouts that can settle it: draw at least one and at most all unknown ones; more than this many may be
    /// wasted.
    pub at_least: u32,
}

/// How far the known outcomes lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchProgress {
    /// The same finding as [`super::definition::find`] gives on the full table, whatever the unknown outcomes are.
    Found(Finding),
    /// The first is certainly needed; the others are those that follow if it settles as the search expects, to fill a batch.
    Needs(Vec<Need>),
}

/// Searches the known outcomes for the critical token. While it is not settled, up to `width` positions (at least one) are named
/// to draw rollouts at.
pub fn search(outcomes: &Outcomes, width: usize) -> SearchProgress {
    let width = width.max(1);
    let positions = outcomes.positions();
    let mut needs = Vec::new();
    let mut last_over = 0;
    for position in (1..=positions).rev() {
        match standing(outcomes, position) {
            Standing::Under => {}
            Standing::Over => {
                last_over = position;
                break;
            }
            Standing::Open { at_least } => {
                needs.push(Need { position, at_least });
                if needs.len() == width {
                    break;
                }
            }
        }
    }
    if !needs.is_empty() {
        return SearchProgress::Needs(needs);
    }
    match first_zero(outcomes, last_over + 1..=positions, width) {
        Zero::At(position) => return SearchProgress::Found(Finding::Both { position }),
        Zero::Needs(needs) => return SearchProgress::Needs(needs),
        Zero::Nowhere => {}
    }
    match first_zero(outcomes, 1..=last_over, width) {
        Zero::At(position) => SearchProgress::Found(Finding::OnlyFirst { position }),
        Zero::Needs(needs) => SearchProgress::Needs(needs),
        Zero::Nowhere => SearchProgress::Found(Finding::None),
    }
}

enum Standing {
    Over,
    Under,
    Open { at_least: u32 },
}

/// Whether a position's score is at or over 5 %, whatever its unknown rollouts give.
fn standing(outcomes: &Outcomes, position: usize) -> Standing {
    let floor = over_floor(outcomes.n());
    let failures_under = outcomes.n() - floor + 1;
    let (successes, failures) = (outcomes.successes(position), outcomes.failures(position));
    if successes >= floor {
        Standing::Over
    } else if failures >= failures_under {
        Standing::Under
    } else {
        Standing::Open {
            at_least: (floor - successes).min(failures_under - failures),
        }
    }
}

enum Zero {
    At(usize),
    Needs(Vec<Need>),
    Nowhere,
}

/// The first position of `range` all of whose rollouts fail.
fn first_zero(outcomes: &Outcomes, range: std::ops::RangeInclusive<usize>, width: usize) -> Zero {
    let mut needs = Vec::new();
    for position in range {
        if outcomes.successes(position) > 0 {
            continue;
        }
        if outcomes.failures(position) == outcomes.n() {
            // With needs before it, this one is the answer only if they all turn out not to be zeros.
            return if needs.is_empty() {
                Zero::At(position)
            } else {
                Zero::Needs(needs)
            };
        }
        // One success would rule it out.
        needs.push(Need {
            position,
            at_least: 1,
        });
        if needs.len() == width {
            break;
        }
    }
    if needs.is_empty() {
        Zero::Nowhere
    } else {
        Zero::Needs(needs)
    }
}
