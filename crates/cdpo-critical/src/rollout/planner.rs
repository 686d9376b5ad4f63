//! The planner of one response: outcomes go in as they are known; what to draw next, and in the end the finding, come out.
//!
//! It goes in rounds: a round's sequences are chosen from the outcomes of the rounds before, and the next one is chosen when all
//! of them have ended or been set aside. So what is drawn for a response depends on nothing but the response and the settings, not on the batch or
//! on the other responses beside it, and the rounds of a call that was cut short are the same when they are repeated.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::definition::{Finding, find, over_floor};
use super::outcomes::Outcomes;
use super::rollout_positions::{RolloutId, RolloutPositions};
use super::search::{SearchProgress, search};
use super::settings::{RolloutSettings, Scores, Sharing};

/// Where a sequence branches off, which its rollouts have in common: where they leave the response and with which tokens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct BranchPoint {
    pub(super) place: u32,
    /// The rollout, if it shares its sequence with no other.
    alone: Option<u32>,
    /// What they had drawn when they were set aside, `first` included; empty for those that were not begun.
    pub(super) drawn: Arc<[u32]>,
    pub(super) first: Option<u32>,
}

/// A sequence to draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) branch_point: BranchPoint,
    pub(super) keep: usize,
    /// Tokens of the whole response at which it is set aside.
    pub(super) pause: usize,
    pub(super) rollouts: Vec<u32>,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextRound {
    /// A round.
    Draw(Vec<Group>),
    /// The end, with the finding if it is settled.
    Over(Option<Finding>),
}

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drawn {
    pub(super) right: bool,
    /// Tokens of the whole response, an end token included.
    pub(super) tokens: u32,
}

/// Chooses one response's rounds from the outcomes that are known.
#[derive(Debug)]
pub(super) struct RolloutPlanner {
    settings: RolloutSettings,
    /// Tokens of the response.
    tokens: usize,
    outcomes: Outcomes,
    rollout_positions: RolloutPositions,
    drawn: HashMap<RolloutId, Drawn>,
    /// What those had drawn that were set aside.
    aside: HashMap<RolloutId, Arc<[u32]>>,
    /// Whether some may have ended before they would by themselves.
    settles: bool,
}

impl RolloutPlanner {
    /// The planner of a response of so many tokens, whose rollouts may end once they are settled.
    pub(super) fn new(
        settings: &RolloutSettings,
        tokens: usize,
        rollout_positions: RolloutPositions,
        settles: bool,
    ) -> Self {
        let positions = settings.last_position.positions(tokens);
        Self {
            settings: settings.clone(),
            tokens,
            outcomes: Outcomes::new(positions, settings.n),
            rollout_positions,
            drawn: HashMap::new(),
            aside: HashMap::new(),
            settles,
        }
    }

    pub(super) fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }

    /// Rollouts that have ended.
    pub(super) fn rollouts(&self) -> u64 {
        self.drawn.len() as u64
    }

    /// Notes how a rollout ended.
    ///
    /// # Panics
    /// If it had another outcome before: the caller draws each rollout once.
    pub(super) fn note(&mut self, id: RolloutId, drawn: Drawn) {
        self.drawn.insert(id, drawn);
        self.aside.remove(&id);
        let last = self.outcomes.positions();
        for position in self.rollout_positions.serves(id).filter(|&t| t <= last) {
            assert!(
                self.outcomes.record(position, id.rollout, drawn.right),
                "rollout {} of position {position} has two outcomes",
                id.rollout
            );
        }
    }

    /// Notes what a rollout had drawn when it was set aside.
    pub(super) fn note_aside(&mut self, id: RolloutId, drawn: Arc<[u32]>) {
        self.aside.insert(id, drawn);
    }

    /// What comes next, given the tokens spent.
    pub(super) fn plan(&self, spent: u64) -> NextRound {
        let over_budget = self.settings.max_tokens.is_some_and(|most| spent >= most);
        match self.settings.scores {
            Scores::Full => {
                let groups = self.rest();
                if groups.is_empty() {
                    let successes: Vec<u32> = (1..=self.outcomes.positions())
                        .map(|t| self.outcomes.successes(t))
                        .collect();
                    NextRound::Over(Some(find(&successes, self.settings.n)))
                } else if over_budget {
                    NextRound::Over(self.finding())
                } else {
                    NextRound::Draw(groups)
                }
            }
            Scores::Needed => match search(&self.outcomes, usize::MAX) {
                SearchProgress::Found(finding) => NextRound::Over(Some(finding)),
                SearchProgress::Needs(_) if over_budget => NextRound::Over(None),
                SearchProgress::Needs(needs) => NextRound::Draw(
                    self.choose(needs.into_iter().map(|need| (need.position, need.at_least))),
                ),
            },
        }
    }

    fn finding(&self) -> Option<Finding> {
        match search(&self.outcomes, 1) {
            SearchProgress::Found(finding) => Some(finding),
            SearchProgress::Needs(_) => None,
        }
    }

    /// A round of the sequences that `needs` ask for, those first that are first.
    fn choose(&self, needs: impl Iterator<Item = (usize, u32)>) -> Vec<Group> {
        let mut round = Round::default();
        for (position, at_least) in needs {
            let (coming, mut missing): (Vec<RolloutId>, Vec<RolloutId>) = self
                .outcomes
                .unknown(position)
                .map(|rollout| self.rollout_positions.id(position, rollout))
                .partition(|id| round.ids.contains(id));
            let wanted = (self.wanted(position, at_least) as usize).saturating_sub(coming.len());
            if wanted > 0 && !missing.is_empty() {
                let reach = |id| *self.rollout_positions.serves(id).start();
                // Of each sequence: how many share it, and the furthest position in front that one of them serves.
                let mut shares: HashMap<BranchPoint, (usize, usize)> = HashMap::new();
                for &id in &missing {
                    let (size, first) = shares
                        .entry(self.branch_point(id))
                        .or_insert((0, usize::MAX));
                    *size += 1;
                    *first = reach(id).min(*first);
                }
                // Left unknown should be what has turned out long, else what shares its sequence with few, else what does not serve
                // the positions further in front.
                missing.sort_by_cached_key(|&id| {
                    let branch_point = self.branch_point(id);
                    let (size, first) = shares[&branch_point];
                    let alone = usize::MAX - size;
                    let aside = !branch_point.drawn.is_empty();
                    (aside, alone, first, branch_point, reach(id), id.rollout)
                });
                for id in missing.into_iter().take(wanted) {
                    round.add(id, self.branch_point(id));
                }
            }
            if round.groups.len() >= self.settings.round {
                break;
            }
        }
        self.groups(round, self.patience())
    }

    /// Tokens of the whole response at which a rollout is set aside: well beyond the median of those begun, each as long as it is so
    /// far, or, before there are any, beyond the response itself. Those that were settled before a draw say nothing of it.
    fn patience(&self) -> usize {
        let ended = self.drawn.iter().filter_map(|(&id, drawn)| {
            let tokens = drawn.tokens as usize;
            (tokens > self.rollout_positions.branch(id).0).then_some(tokens)
        });
        let aside = self.aside.iter().map(|(&id, drawn)| self.length(id, drawn));
        let mut lengths: Vec<usize> = ended.chain(aside).collect();
        let middle = lengths.len() / 2;
        let usual = if lengths.is_empty() {
            self.tokens
        } else {
            *lengths.select_nth_unstable(middle).1
        };
        usual.saturating_add(self.settings.patience)
    }

    /// Tokens of the whole response when a rollout was set aside.
    fn length(&self, id: RolloutId, drawn: &[u32]) -> usize {
        self.rollout_positions.branch(id).0 + drawn.len()
    }

    /// How many more rollouts of a position to draw: what can settle it at least. As long as no rollout is right, as many as are known
    /// already, for then it is likely that none will be; then half of what the next success is likely to take. So a position is
    /// settled in few rounds, and little is drawn in vain.
    fn wanted(&self, position: usize, at_least: u32) -> u32 {
        let (right, wrong) = (
            self.outcomes.successes(position),
            self.outcomes.failures(position),
        );
        let n = self.settings.n;
        let under = n - over_floor(n) + 1;
        let most = if wrong < under { under } else { n } - wrong;
        let likely = if right == 0 {
            wrong
        } else {
            (right + wrong) / (2 * right)
        };
        at_least.max(likely).min(most)
    }

    /// All rollouts that are not known, a round of them.
    fn rest(&self) -> Vec<Group> {
        let mut round = Round::default();
        'all: for position in (1..=self.outcomes.positions()).rev() {
            for rollout in self.outcomes.unknown(position) {
                let id = self.rollout_positions.id(position, rollout);
                round.add(id, self.branch_point(id));
            }
            // Rollouts of one position stay together, for those that draw the same tokens are one sequence.
            if round.groups.len() >= self.settings.round.max(64) {
                break 'all;
            }
        }
        self.groups(round, usize::MAX)
    }

    fn branch_point(&self, id: RolloutId) -> BranchPoint {
        let drawn = self.aside.get(&id).cloned().unwrap_or_default();
        BranchPoint {
            place: id.place,
            alone: (self.settings.sharing != Sharing::Tree).then_some(id.rollout),
            first: self
                .rollout_positions
                .branch(id)
                .1
                .filter(|_| drawn.is_empty()),
            drawn,
        }
    }

    fn groups(&self, round: Round, patience: usize) -> Vec<Group> {
        let group = |(branch_point, mut rollouts): (BranchPoint, Vec<u32>)| {
            rollouts.sort_unstable();
            let place = branch_point.place;
            let rollout = rollouts[0];
            let (keep, _) = self.rollout_positions.branch(RolloutId { place, rollout });
            // What was set aside and is needed all the same goes on for as long again.
            let drawn = branch_point.drawn.len();
            let longer = (keep + drawn).saturating_add(drawn.max(self.settings.patience));
            Group {
                branch_point,
                keep,
                pause: patience.max(longer),
                rollouts,
            }
        };
        round.groups.into_iter().map(group).collect()
    }

    /// Tokens that every rollout of every position would draw by itself, and whether they were counted. If not: one that ended once
    /// it was settled is taken to be no longer, so that the estimate is too low; one that was set aside is as long as those are on
    /// average that turned out longer than it was then, or as it was if none did; those of a position that were not begun are as
    /// long as the others on average; and a position without any is as its nearest neighbour with one.
    pub(super) fn exhaustive(&self) -> (u64, bool) {
        let n = u64::from(self.settings.n);
        let positions = self.outcomes.positions();
        let mut counted = !self.settles;
        let mut totals: Vec<u32> = self.drawn.values().map(|drawn| drawn.tokens).collect();
        totals.sort_unstable();
        let longer_than = |tokens: usize| {
            let longer = &totals[totals.partition_point(|&one| one as usize <= tokens)..];
            let sum: f64 = longer.iter().map(|&one| f64::from(one)).sum();
            if longer.is_empty() {
                tokens as f64
            } else {
                sum / longer.len() as f64
            }
        };
        // Mean length of the whole response over the rollouts of each position.
        let lengths: Vec<Option<f64>> = (1..=positions)
            .map(|t| {
                let (mut sum, mut known, mut aside) = (0.0, 0u64, 0u64);
                for rollout in 0..self.settings.n {
                    let id = self.rollout_positions.id(t, rollout);
                    if let Some(drawn) = self.drawn.get(&id) {
                        sum += f64::from(drawn.tokens);
                        known += 1;
                    } else if let Some(drawn) = self.aside.get(&id) {
                        sum += longer_than(self.length(id, drawn));
                        aside += 1;
                    }
                }
                counted &= known == n;
                let begun = known + aside;
                (begun > 0).then(|| sum / begun as f64)
            })
            .collect();
        let nearest = |t: usize| {
            let after = lengths[t..].iter().flatten().next();
            let before = lengths[..t].iter().rev().flatten().next();
            after.or(before).copied()
        };
        let total: f64 = (0..positions)
            .filter_map(|t| Some((nearest(t)? - (t + 1) as f64) * n as f64))
            .sum();
        (total.round().max(0.0) as u64, counted)
    }
}

/// A round under construction.
#[derive(Default)]
struct Round {
    groups: BTreeMap<BranchPoint, Vec<u32>>,
    ids: HashSet<RolloutId>,
}

impl Round {
    fn add(&mut self, id: RolloutId, branch_point: BranchPoint) {
        if self.ids.insert(id) {
            self.groups
                .entry(branch_point)
                .or_default()
                .push(id.rollout);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of two sequences of two rollouts each, the one that holds the rollout of most positions is drawn, and drawn whole.
    #[test]
    fn sequences_of_one_size_are_not_cut_for_the_positions_that_they_serve() {
        let settings = RolloutSettings {
            n: 40, // two right ones put a position over 5 %
            ..RolloutSettings::default()
        };
        let row = |drawn: &dyn Fn(u32) -> u32| (0..settings.n).map(drawn).collect::<Vec<u32>>();
        let drawn = [
            row(&|j| if j == 20 || j == 21 { 9 } else { 6 }),
            row(&|j| if j == 11 { 9 } else { 7 }),
            row(&|j| match j {
                10 | 11 => 100,
                20 | 21 => 101,
                _ => 200 + j,
            }),
        ];
        let rollout_positions = RolloutPositions::shared(&[5, 6, 7], &drawn, settings.n);
        let reach = |rollout_positions: &RolloutPositions, j| {
            *rollout_positions.serves(rollout_positions.id(3, j)).start()
        };
        assert_eq!(
            [10, 11, 20, 21].map(|j| reach(&rollout_positions, j)),
            [1, 3, 2, 2]
        );
        let planner = RolloutPlanner::new(&settings, 3, rollout_positions, false);
        let NextRound::Draw(groups) = planner.plan(0) else {
            panic!("nothing is known yet");
        };
        let rollouts: Vec<_> = groups.iter().map(|group| group.rollouts.clone()).collect();
        assert_eq!(rollouts, [vec![10, 11]]);
    }
}
