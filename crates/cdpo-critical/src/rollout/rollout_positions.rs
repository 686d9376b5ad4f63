//! Where rollouts leave the response: the tokens that they draw along it go in; which rollouts of which positions are one and the
//! same comes out.
//!
//! With common random numbers rollout j draws the token at a position with one number, whatever position it started from. So if it
//! draws y_{t+1} behind y_t, it is rollout j of position t + 1; and rollout j of position t is the one that leaves the response at
//! the first place p > t where rollout j draws something else than y_p, or at p = T + 1, behind the end.

use std::ops::RangeInclusive;

/// Names one rollout to be drawn: the place where it leaves the response, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RolloutId {
    pub(super) place: u32,
    pub(super) rollout: u32,
}

/// Which rollouts of which positions are one and the same.
#[derive(Debug)]
pub(super) enum RolloutPositions {
    /// Each rollout of each position is its own; the place is the position.
    Own,
    /// Common random numbers.
    Shared(Shared),
}

#[derive(Debug)]
pub(super) struct Shared {
    /// Of each rollout, the places where it leaves the response, ascending; the last is T + 1.
    leaves: Vec<Vec<u32>>,
    /// The tokens drawn there instead; none behind a response that is as long as may be.
    tokens: Vec<Vec<Option<u32>>>,
}

impl RolloutPositions {
    /// `drawn[p - 2][j]` is what rollout j draws at place p, for the places 2..=T+1, or 2..=T where nothing can be drawn behind
    /// the end. `ids` are the response's.
    pub(super) fn shared(ids: &[u32], drawn: &[Vec<u32>], n: u32) -> Self {
        let (mut leaves, mut tokens) = (Vec::new(), Vec::new());
        for j in 0..n as usize {
            let (mut own_leaves, mut own_tokens) = (Vec::new(), Vec::new());
            for place in 2..=ids.len() + 1 {
                let drawn = drawn.get(place - 2).map(|row| row[j]);
                if drawn.is_none() || drawn != ids.get(place - 1).copied() {
                    own_leaves.push(place as u32);
                    own_tokens.push(drawn);
                }
            }
            leaves.push(own_leaves);
            tokens.push(own_tokens);
        }
        Self::Shared(Shared { leaves, tokens })
    }

    /// The name of rollout j of a position.
    pub(super) fn id(&self, position: usize, rollout: u32) -> RolloutId {
        let place = match self {
            Self::Own => position as u32,
            Self::Shared(shared) => {
                let leaves = &shared.leaves[rollout as usize];
                leaves[leaves.partition_point(|&place| place as usize <= position)]
            }
        };
        RolloutId { place, rollout }
    }

    /// The positions that a rollout is one of.
    pub(super) fn serves(&self, id: RolloutId) -> RangeInclusive<usize> {
        match self {
            Self::Own => id.place as usize..=id.place as usize,
            Self::Shared(shared) => {
                let leaves = &shared.leaves[id.rollout as usize];
                let at = leaves.partition_point(|&place| place < id.place);
                let first = if at == 0 { 1 } else { leaves[at - 1] };
                first as usize..=id.place as usize - 1
            }
        }
    }

    /// How many of the response's tokens a rollout keeps, and what it has drawn behind them.
    pub(super) fn branch(&self, id: RolloutId) -> (usize, Option<u32>) {
        match self {
            Self::Own => (id.place as usize, None),
            Self::Shared(shared) => {
                let leaves = &shared.leaves[id.rollout as usize];
                let at = leaves.partition_point(|&place| place < id.place);
                (
                    id.place as usize - 1,
                    shared.tokens[id.rollout as usize][at],
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The response 5 6 7; rollout 0 follows it to the end, rollout 1 leaves at place 2 and behind the end, rollout 2 at place 3.
    fn positions() -> RolloutPositions {
        RolloutPositions::shared(
            &[5, 6, 7],
            &[vec![6, 9, 6], vec![7, 7, 4], vec![0, 8, 0]],
            3,
        )
    }

    fn id(place: u32, rollout: u32) -> RolloutId {
        RolloutId { place, rollout }
    }

    #[test]
    fn a_rollout_that_draws_the_responses_own_token_is_that_of_the_next_position() {
        let positions = positions();
        let at = |rollout| [1, 2, 3].map(|t| positions.id(t, rollout).place);
        assert_eq!(at(0), [4, 4, 4]);
        assert_eq!(at(1), [2, 4, 4]);
        assert_eq!(at(2), [3, 3, 4]);
        assert_eq!(positions.branch(id(4, 0)), (3, Some(0)));
        assert_eq!(positions.branch(id(2, 1)), (1, Some(9)));
        assert_eq!(positions.branch(id(3, 2)), (2, Some(4)));
    }

    #[test]
    fn every_rollout_of_every_position_is_served_by_its_id() {
        for positions in [positions(), RolloutPositions::Own] {
            for t in 1..=3 {
                for j in 0..3 {
                    let id = positions.id(t, j);
                    let served: Vec<usize> = positions.serves(id).collect();
                    assert!(served.contains(&t));
                    for other in 1..=3 {
                        assert_eq!(
                            served.contains(&other),
                            positions.id(other, j) == id,
                            "{positions:?}: rollout {j} of {other} and of {t}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_is_drawn_behind_a_response_as_long_as_may_be() {
        let positions = RolloutPositions::shared(&[5, 6], &[vec![6, 1]], 2);
        assert_eq!(positions.branch(positions.id(1, 0)), (2, None));
        assert_eq!(positions.branch(positions.id(1, 1)), (1, Some(1)));
        assert_eq!(positions.branch(positions.id(2, 1)), (2, None));
    }
}
