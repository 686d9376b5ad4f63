//! A response whose rollouts are under way: its trunk, its course, and the round being drawn.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cdpo_data::RolloutKeys;
use cdpo_data::rollout::{RolloutRound, RoundAside, RoundUnit};
use cdpo_model::Key;
use cdpo_sample::draw::draw;
use cdpo_sample::{Branch, Branches, Rollout, TrunkId};

use super::course::{Course, Drawn, Group};
use super::places::{Places, Unit};
use super::settings::{RolloutSettings, Sharing};
use super::surprise::surprise;
use super::wrong::Wrong;
use crate::error::{Error, Result};

/// A response under way.
pub(super) struct Live {
    pub(super) index: usize,
    pub(super) trunk: TrunkId,
    pub(super) course: Course,
    key: Key,
    pub(super) token_logps: Vec<f32>,
    pub(super) entropies: Vec<f32>,
    /// Tokens drawn in the rounds that have ended.
    pub(super) spent: u64,
    /// Rounds that have ended.
    pub(super) rounds: u32,
    /// Places and rollouts of the round under way, and what became of each.
    pending: HashMap<u64, Option<Fate>>,
    /// Tokens that the trunk's branches had drawn when it began.
    pub(super) before: u64,
}

/// What became of a rollout in a round.
enum Fate {
    Ended(Drawn),
    Aside(Arc<[u32]>),
}

/// The tag of a unit among a trunk's branches.
fn tag(unit: Unit) -> u64 {
    u64::from(unit.place) << 32 | u64::from(unit.rollout)
}

fn unit(tag: u64) -> Unit {
    Unit {
        place: (tag >> 32) as u32,
        rollout: tag as u32,
    }
}

impl Live {
    /// Computes the response and finds where its rollouts leave it.
    pub(super) fn open(
        branches: &mut Branches<'_>,
        index: usize,
        wrong: &Wrong,
        settings: &RolloutSettings,
    ) -> Result<Self> {
        let trunk = wrong.trunk();
        let key = wrong.key(settings.seed, "rollout");
        let tokens = wrong.ids.len();
        let n = u64::from(settings.n);
        let shared = settings.keys == RolloutKeys::Common && settings.sharing != Sharing::None;
        // Nothing is drawn behind a response that is as long as may be.
        let last = tokens - usize::from(tokens > 0 && tokens == branches.budget(&trunk));
        let (params, among) = (branches.params().clone(), branches.tokens());
        let (trunk, rows) = branches.open(&trunk, |p, logits| {
            let drawn = if shared && (1..=last).contains(&p) {
                let units: Vec<f64> = (0..n).map(|j| key.with(j).with(p as u64).unit()).collect();
                draw(logits, among, &params, &units)
            } else {
                Some(Vec::new())
            };
            let ids = drawn.map(|drawn| drawn.iter().map(|one| one.id).collect::<Vec<u32>>());
            (ids, surprise(logits, wrong.ids.get(p).copied()))
        })?;
        let not_finite = || Error::Logits {
            problem_id: wrong.problem_id.clone(),
            sample: wrong.sample,
        };
        let surprises: Option<Vec<(f32, f32)>> = rows[..tokens]
            .iter()
            .map(|(_, surprise)| *surprise)
            .collect();
        let (token_logps, entropies) = surprises.ok_or_else(not_finite)?.into_iter().unzip();
        let places = if shared {
            let drawn: Option<Vec<Vec<u32>>> = rows
                .into_iter()
                .take(last + 1)
                .skip(1)
                .map(|(ids, _)| ids)
                .collect();
            let drawn = drawn.ok_or_else(not_finite)?;
            Places::shared(&wrong.ids, &drawn, settings.n)
        } else {
            Places::Own
        };
        Ok(Self {
            index,
            trunk,
            course: Course::new(settings, tokens, places, branches.settles()),
            key,
            token_logps,
            entropies,
            spent: 0,
            rounds: 0,
            pending: HashMap::new(),
            before: 0,
        })
    }

    /// Whether a round has begun that is not closed.
    pub(super) fn has_round(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether rollouts of the round have not ended.
    pub(super) fn is_drawing(&self) -> bool {
        self.pending.values().any(Option::is_none)
    }

    /// Hands the round's rollouts to `branches`.
    pub(super) fn submit(
        &mut self,
        branches: &mut Branches<'_>,
        groups: Vec<Group>,
        keys: RolloutKeys,
    ) -> Result<()> {
        self.before = branches.generated(self.trunk);
        for group in groups {
            let rollouts = group.rollouts.iter().map(|&rollout| {
                let key = self.key.with(u64::from(rollout));
                let place = group.stem.place;
                Rollout {
                    tag: tag(Unit { place, rollout }),
                    key: match keys {
                        RolloutKeys::Common => key,
                        RolloutKeys::Independent => key.with(u64::from(place)),
                    },
                }
            });
            let rollouts: Vec<Rollout> = rollouts.collect();
            self.pending
                .extend(rollouts.iter().map(|one| (one.tag, None)));
            branches.submit(Branch {
                trunk: self.trunk,
                keep: group.keep,
                drawn: group.stem.drawn.to_vec(),
                first: group.stem.first,
                pause: group.pause,
                rollouts,
            })?;
        }
        Ok(())
    }

    /// Moves a round's outcomes into the course.
    pub(super) fn close_round(&mut self, wrong: &Wrong, generated: u64) -> RolloutRound {
        let mut units: Vec<RoundUnit> = Vec::with_capacity(self.pending.len());
        let mut aside: BTreeMap<(u32, Arc<[u32]>), Vec<u32>> = BTreeMap::new();
        for (tag, fate) in self.pending.drain() {
            let Unit { place, rollout } = unit(tag);
            match fate {
                Some(Fate::Ended(Drawn { right, tokens })) => {
                    units.push(RoundUnit(place, rollout, right, tokens));
                }
                Some(Fate::Aside(drawn)) => aside.entry((place, drawn)).or_default().push(rollout),
                None => {}
            }
        }
        units.sort_unstable_by_key(|unit| (unit.0, unit.1));
        let aside = aside.into_iter().map(|((place, drawn), mut rollouts)| {
            rollouts.sort_unstable();
            RoundAside(place, rollouts, drawn.to_vec())
        });
        let mut aside: Vec<RoundAside> = aside.collect();
        aside.sort_unstable_by_key(|aside| (aside.0, aside.1[0]));
        let round = RolloutRound {
            problem_id: wrong.problem_id.clone(),
            sample: wrong.sample,
            round: self.rounds,
            generated,
            units,
            aside,
        };
        self.enter(&round);
        round
    }

    /// Enters an ended round into the course.
    fn enter(&mut self, round: &RolloutRound) {
        for &RoundUnit(place, rollout, right, tokens) in &round.units {
            self.course
                .note(Unit { place, rollout }, Drawn { right, tokens });
        }
        for RoundAside(place, rollouts, drawn) in &round.aside {
            let drawn: Arc<[u32]> = drawn.as_slice().into();
            for &rollout in rollouts {
                let place = *place;
                self.course
                    .note_aside(Unit { place, rollout }, Arc::clone(&drawn));
            }
        }
        self.spent += round.generated;
        self.rounds += 1;
    }

    /// Enters a round that an earlier call drew, if it is the one that is planned.
    pub(super) fn repeat(&mut self, groups: &[Group], round: &RolloutRound) -> Result<()> {
        let planned: BTreeMap<(u32, u32), &Group> = groups
            .iter()
            .flat_map(|group| {
                let name = move |&rollout| ((group.stem.place, rollout), group);
                group.rollouts.iter().map(name)
            })
            .collect();
        let ended = round.units.iter().map(|unit| (unit.0, unit.1));
        let aside = round
            .aside
            .iter()
            .flat_map(|aside| aside.1.iter().map(|&rollout| (aside.0, rollout)));
        let mut drawn: Vec<(u32, u32)> = ended.chain(aside).collect();
        drawn.sort_unstable();
        // A sequence is set aside where it was to pause, with what it began with.
        let as_planned = |RoundAside(place, rollouts, drawn): &RoundAside| {
            rollouts.iter().all(|&rollout| {
                planned.get(&(*place, rollout)).is_some_and(|group| {
                    let begun = group.stem.drawn.iter().copied().chain(group.stem.first);
                    drawn.iter().copied().take(begun.clone().count()).eq(begun)
                        && group.keep + drawn.len() == group.pause
                })
            })
        };
        if !planned.keys().eq(&drawn) || !round.aside.iter().all(as_planned) {
            return Err(Error::OtherRounds {
                problem_id: round.problem_id.clone(),
                sample: round.sample,
                round: round.round,
            });
        }
        self.enter(round);
        Ok(())
    }
}

/// Notes how branches ended, each text graded once, and what was set aside.
pub(super) fn deliver(
    live: &mut [Live],
    branches: &mut Branches<'_>,
    right: &dyn Fn(usize, &str) -> bool,
) {
    for aside in branches.set_aside() {
        let Some(one) = live.iter_mut().find(|one| one.trunk == aside.trunk) else {
            continue;
        };
        let drawn: Arc<[u32]> = aside.drawn.into();
        for tag in aside.tags {
            one.pending
                .insert(tag, Some(Fate::Aside(Arc::clone(&drawn))));
        }
    }
    for ended in branches.ended() {
        let Some(one) = live.iter_mut().find(|one| one.trunk == ended.trunk) else {
            continue;
        };
        let drawn = Drawn {
            right: right(one.index, &ended.text),
            tokens: ended.tokens as u32,
        };
        for tag in ended.tags {
            one.pending.insert(tag, Some(Fate::Ended(drawn)));
        }
    }
}
