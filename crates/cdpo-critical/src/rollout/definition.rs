//! The definition of a critical token: the number of right rollouts at every position in; the token out.
//!
//! A position's correctness score is the share of its `n` rollouts whose answer is right. The critical token is the first position
//! t with (1) score(t) = 0 and (2) score(u) < 5 % at every later position u. If no position meets both, the first that meets (1)
//! is reported, as such. In integers: a score is at or over 5 % iff 20 * successes >= n.

use serde::{Deserialize, Serialize};

/// Where a trajectory's critical token is. Positions count the response's content tokens from 1; its terminator is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// The first position that meets both conditions.
    Both {
        /// The position, from 1.
        position: usize,
    },
    /// No position meets both; this is the first with score 0.
    OnlyFirst {
        /// The position, from 1.
        position: usize,
    },
    /// No position has score 0.
    None,
}

impl Finding {
    /// The critical position, whichever conditions it meets.
    pub fn position(self) -> Option<usize> {
        match self {
            Self::Both { position } | Self::OnlyFirst { position } => Some(position),
            Self::None => None,
        }
    }
}

/// Whether the last content token is a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastPosition {
    /// Yes: positions are 1..=T, the definition.
    #[default]
    Include,
    /// No: 1..=T-1, as the paper's released code does.
    Exclude,
}

impl LastPosition {
    /// How many positions a response of `tokens` content tokens has.
    pub fn positions(self, tokens: usize) -> usize {
        match self {
            Self::Include => tokens,
            Self::Exclude => tokens.saturating_sub(1),
        }
    }
}

/// The fewest successes of `n` that put a score at or over 5 %: the smallest s with 20 s >= n. 4 for the paper's 64.
pub fn over_floor(n: u32) -> u32 {
    n.div_ceil(20)
}

/// The definition applied to the successes of `n` rollouts at every position: `successes[t - 1]` belongs to position t.
///
/// # Panics
/// If `n` is 0 or a count exceeds it.
pub fn find(successes: &[u32], n: u32) -> Finding {
    assert!(n > 0, "a score needs at least one rollout");
    assert!(
        successes.iter().all(|&count| count <= n),
        "more successes than rollouts"
    );
    let under = |count: u32| u64::from(count) * 20 < u64::from(n);
    let both =
        |t: &usize| successes[*t] == 0 && successes[t + 1..].iter().all(|&count| under(count));
    if let Some(t) = (0..successes.len()).find(both) {
        return Finding::Both { position: t + 1 };
    }
    match successes.iter().position(|&count| count == 0) {
        Some(t) => Finding::OnlyFirst { position: t + 1 },
        None => Finding::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_percent_of_64_rollouts_are_four_successes() {
        assert_eq!(over_floor(64), 4);
        assert_eq!(
            (
                over_floor(1),
                over_floor(20),
                over_floor(21),
                over_floor(40),
                over_floor(41)
            ),
            (1, 1, 2, 2, 3)
        );
        for n in 1..500 {
            let floor = over_floor(n);
            assert!(20 * floor >= n && 20 * (floor - 1) < n, "n = {n}");
        }
    }

    #[test]
    fn the_critical_token_is_the_first_zero_whose_successors_all_stay_under_five_percent() {
        let both = |position| Finding::Both { position };
        assert_eq!(
            find(&[30, 12, 0, 3, 0, 0], 64),
            both(3),
            "3 of 64 is under 5 %"
        );
        assert_eq!(find(&[30, 12, 0, 4, 0, 0], 64), both(5), "4 of 64 is over");
        assert_eq!(find(&[0, 0, 0], 64), both(1));
        assert_eq!(
            find(&[40, 0], 64),
            both(2),
            "the last token has no successor to fail on"
        );
        assert_eq!(find(&[5, 3, 2, 0, 1], 64), both(4));
    }

    #[test]
    fn without_a_token_that_meets_both_conditions_the_first_zero_is_reported_as_such() {
        assert_eq!(
            find(&[9, 0, 7, 0, 20, 1], 64),
            Finding::OnlyFirst { position: 2 }
        );
        assert_eq!(find(&[9, 1, 7, 2], 64), Finding::None);
        assert_eq!(find(&[], 64), Finding::None);
        assert_eq!(
            (
                Finding::OnlyFirst { position: 2 }.position(),
                Finding::None.position()
            ),
            (Some(2), None)
        );
    }

    #[test]
    fn the_last_position_can_be_left_out() {
        assert_eq!(
            (
                LastPosition::Include.positions(7),
                LastPosition::Exclude.positions(7)
            ),
            (7, 6)
        );
        assert_eq!(LastPosition::Exclude.positions(0), 0);
    }
}
