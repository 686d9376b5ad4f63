//! The course of one response: outcomes go in as they are known; what to draw next, and in the end the finding, come out.
//!
//! It goes in rounds: a round's sequences are chosen from the outcomes of the rounds before, and the next one is chosen when all
//! of them have ended. So what is drawn for a response depends on nothing but the response and the settings, not on the batch or
//! on the other responses beside it, and a course that was cut short is the same when it is repeated.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::definition::{Finding, find, over_floor};
use super::outcomes::Outcomes;
use super::places::{Places, Unit};
use super::search::{Progress, search};
use super::settings::{RolloutSettings, Scores, Sharing};

/// A sequence to draw: rollouts that keep the same tokens and go on with the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) place: u32,
    pub(super) keep: usize,
    pub(super) first: Option<u32>,
    pub(super) rollouts: Vec<u32>,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
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

#[derive(Debug)]
pub(super) struct Course {
    settings: RolloutSettings,
    outcomes: Outcomes,
    places: Places,
    drawn: HashMap<Unit, Drawn>,
}

impl Course {
    pub(super) fn new(settings: &RolloutSettings, positions: usize, places: Places) -> Self {
        Self {
            settings: settings.clone(),
            outcomes: Outcomes::new(positions, settings.n),
            places,
            drawn: HashMap::new(),
        }
    }

    pub(super) fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }

    /// Rollouts drawn to their end.
    pub(super) fn rollouts(&self) -> u64 {
        self.drawn.len() as u64
    }

    /// Notes how a unit ended.
    ///
    /// # Panics
    /// If it had another outcome before: the caller draws each unit once.
    pub(super) fn note(&mut self, unit: Unit, drawn: Drawn) {
        self.drawn.insert(unit, drawn);
        let last = self.outcomes.positions();
        for position in self.places.serves(unit).filter(|&t| t <= last) {
            assert!(
                self.outcomes.record(position, unit.rollout, drawn.right),
                "rollout {} of position {position} has two outcomes",
                unit.rollout
            );
        }
    }

    /// What comes next, given the tokens spent.
    pub(super) fn plan(&self, spent: u64) -> Plan {
        let over_budget = self.settings.max_tokens.is_some_and(|most| spent >= most);
        match self.settings.scores {
            Scores::Full => {
                let groups = self.rest();
                if groups.is_empty() {
                    let successes: Vec<u32> = (1..=self.outcomes.positions())
                        .map(|t| self.outcomes.successes(t))
                        .collect();
                    Plan::Over(Some(find(&successes, self.settings.n)))
                } else if over_budget {
                    Plan::Over(self.finding())
                } else {
                    Plan::Draw(groups)
                }
            }
            Scores::Needed => match search(&self.outcomes, usize::MAX) {
                Progress::Found(finding) => Plan::Over(Some(finding)),
                Progress::Needs(_) if over_budget => Plan::Over(None),
                Progress::Needs(needs) => Plan::Draw(
                    self.choose(needs.into_iter().map(|need| (need.position, need.at_least))),
                ),
            },
        }
    }

    fn finding(&self) -> Option<Finding> {
        match search(&self.outcomes, 1) {
            Progress::Found(finding) => Some(finding),
            Progress::Needs(_) => None,
        }
    }

    /// A round of the sequences that `needs` ask for, those first that are first.
    fn choose(&self, needs: impl Iterator<Item = (usize, u32)>) -> Vec<Group> {
        let mut round = Round::default();
        for (position, at_least) in needs {
            let (coming, mut missing): (Vec<Unit>, Vec<Unit>) = self
                .outcomes
                .unknown(position)
                .map(|rollout| self.places.unit(position, rollout))
                .partition(|unit| round.units.contains(unit));
            let wanted = (self.wanted(position, at_least) as usize).saturating_sub(coming.len());
            if wanted > 0 && !missing.is_empty() {
                let mut size: HashMap<(u32, u64), usize> = HashMap::new();
                for &unit in &missing {
                    *size.entry(self.group(unit)).or_default() += 1;
                }
                // What shares a sequence costs least.
                missing.sort_by_key(|&unit| {
                    let group = self.group(unit);
                    let new = !round.groups.contains_key(&group);
                    (new, usize::MAX - size[&group], group, unit.rollout)
                });
                for unit in missing.into_iter().take(wanted) {
                    round.add(unit, self.group(unit));
                }
            }
            if round.groups.len() >= self.settings.round {
                break;
            }
        }
        self.groups(round)
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
                let unit = self.places.unit(position, rollout);
                round.add(unit, self.group(unit));
            }
            // Rollouts of one position stay together, for those that draw the same tokens are one sequence.
            if round.groups.len() >= self.settings.round.max(64) {
                break 'all;
            }
        }
        self.groups(round)
    }

    /// What rollouts of one sequence have in common.
    fn group(&self, unit: Unit) -> (u32, u64) {
        let own = match self.settings.sharing {
            Sharing::Tree => match self.places.branch(unit).1 {
                Some(id) => u64::from(id),
                None => 1 << 32,
            },
            Sharing::None | Sharing::Path => u64::from(unit.rollout),
        };
        (unit.place, own)
    }

    fn groups(&self, round: Round) -> Vec<Group> {
        let group = |((place, _), mut rollouts): ((u32, u64), Vec<u32>)| {
            rollouts.sort_unstable();
            let rollout = rollouts[0];
            let (keep, first) = self.places.branch(Unit { place, rollout });
            Group {
                place,
                keep,
                first,
                rollouts,
            }
        };
        round.groups.into_iter().map(group).collect()
    }

    /// Tokens that every rollout of every position would draw by itself, and whether they were counted: a position without a
    /// known rollout is taken to be as its nearest neighbour with one.
    pub(super) fn exhaustive(&self) -> (u64, bool) {
        let n = u64::from(self.settings.n);
        let positions = self.outcomes.positions();
        let mut counted = true;
        // Mean length of the whole response over the known rollouts of each position.
        let lengths: Vec<Option<f64>> = (1..=positions)
            .map(|t| {
                let (mut sum, mut known) = (0u64, 0u64);
                for rollout in 0..self.settings.n {
                    let unit = self.places.unit(t, rollout);
                    if let Some(drawn) = self.drawn.get(&unit) {
                        sum += u64::from(drawn.tokens);
                        known += 1;
                    }
                }
                counted &= known == n;
                (known > 0).then(|| sum as f64 / known as f64)
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
    groups: BTreeMap<(u32, u64), Vec<u32>>,
    units: HashSet<Unit>,
}

impl Round {
    fn add(&mut self, unit: Unit, group: (u32, u64)) {
        if self.units.insert(unit) {
            self.groups.entry(group).or_default().push(unit.rollout);
        }
    }
}
