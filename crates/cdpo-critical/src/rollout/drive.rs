//! Drawing the rollouts of many responses with one model: their courses side by side, so that the batch stays full.

use std::collections::HashMap;
use std::ops::ControlFlow;

use cdpo_data::rollout::{RolloutCost, RolloutRound, RoundUnit};
use cdpo_data::{Finish, RolloutKeys};
use cdpo_model::Key;
use cdpo_sample::draw::draw;
use cdpo_sample::{Branch, Branches, Ended, Rollout, Trunk, TrunkId};

use super::course::{Course, Drawn, Group, Plan};
use super::definition::Finding;
use super::places::{Places, Unit};
use super::settings::{RolloutSettings, Sharing};
use super::surprise::surprise;
use crate::error::{Error, Result};

/// A wrong response to find the critical token of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The question's id; with `sample` the name that its draws are keyed by.
    pub problem_id: String,
    /// Which of the question's responses it is.
    pub sample: u32,
    /// What stands before the question: exemplars, start token.
    pub prefix_ids: Vec<u32>,
    /// The question's own ids.
    pub prompt_ids: Vec<u32>,
    /// The response's content ids.
    pub ids: Vec<u32>,
    /// How it ended; only kept for the record.
    pub finish: Finish,
}

impl Wrong {
    /// The response as a trunk for branches.
    pub(super) fn trunk(&self) -> Trunk {
        Trunk {
            name: format!("{} sample {}", self.problem_id, self.sample),
            prefix_ids: self.prefix_ids.clone(),
            prompt_ids: self.prompt_ids.clone(),
            response_ids: self.ids.clone(),
        }
    }

    /// The root of a stream of draws for this response; no sampling draws from it.
    pub(super) fn key(&self, seed: u64, stream: &str) -> Key {
        Key::new(seed)
            .with_str(stream)
            .with_str(&self.problem_id)
            .with(u64::from(self.sample))
    }
}

/// What the rollouts of one response told.
#[derive(Debug, Clone, PartialEq)]
pub struct RolledOut {
    /// Its place among the responses given.
    pub index: usize,
    /// The critical token, if it is settled.
    pub finding: Option<Finding>,
    /// Right and wrong rollouts known at each position.
    pub counts: Vec<(u32, u32)>,
    /// Log-probability of each response token at temperature 1.
    pub token_logps: Vec<f32>,
    /// Entropy of the distribution at each response token, in nats, at temperature 1.
    pub entropies: Vec<f32>,
    /// What it cost.
    pub cost: RolloutCost,
}

/// How far a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Responses done in this call.
    pub done: usize,
    /// Responses given.
    pub total: usize,
    /// Tokens drawn so far, those of repeated rounds included.
    pub generated: u64,
    /// Of the responses that are done: tokens drawn.
    pub generated_done: u64,
    /// Of the responses that are done: tokens that all rollouts would take, as far as it is known.
    pub exhaustive_done: u64,
    /// Sequences under way or waiting.
    pub sequences: usize,
}

/// What the caller is told of, as it happens. `Break` ends the call.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step of the model is done.
    Step(&'a Progress),
    /// A round has ended: kept, it need not be drawn again.
    Round(RolloutRound),
    /// A response is done.
    Done(Box<RolledOut>),
}

/// A response under way.
struct Live {
    index: usize,
    trunk: TrunkId,
    course: Course,
    key: Key,
    token_logps: Vec<f32>,
    entropies: Vec<f32>,
    /// Tokens drawn in the rounds that have ended.
    spent: u64,
    /// Rounds that have ended.
    rounds: u32,
    /// Places and rollouts of the round under way, and how each ended.
    pending: HashMap<u64, Option<Drawn>>,
    /// Tokens that the trunk's branches had drawn when it began.
    before: u64,
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

/// Finds the critical token of each of `wrongs`.
///
/// `right(i, text)` says whether a response to the question of `wrongs[i]` is right. `rounds` are those that an earlier call with the
/// same settings told of (in any order); they are not drawn again. What is found for a response, and what it costs, depends neither on
/// the other responses nor on the batch.
///
/// # Errors
/// Settings out of range; a response that the sampler could not have drawn (see [`Branches::open`]); rounds of other settings;
/// failures of the model; whatever `sink` returns.
pub fn roll_out(
    branches: &mut Branches<'_>,
    wrongs: &[Wrong],
    settings: &RolloutSettings,
    rounds: &[RolloutRound],
    right: &dyn Fn(usize, &str) -> bool,
    sink: &mut dyn FnMut(Event<'_>) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    settings.validate()?;
    let mut known: HashMap<(String, u32, u32), &RolloutRound> = rounds
        .iter()
        .map(|round| {
            let name = (round.problem_id.clone(), round.sample, round.round);
            (name, round)
        })
        .collect();
    let mut progress = Progress {
        total: wrongs.len(),
        ..Progress::default()
    };
    let mut live: Vec<Live> = Vec::new();
    let mut next = 0;
    loop {
        while next < wrongs.len()
            && live.len() < branches.max_batch()
            && branches.sequences() < branches.max_batch()
            && (live.is_empty() || branches.fits(&wrongs[next].trunk()))
        {
            let mut one = open(branches, next, &wrongs[next], settings)?;
            next += 1;
            match go_on(
                branches, wrongs, settings, &mut known, right, sink, &mut one,
            )? {
                Stage::Drawing => live.push(one),
                Stage::Over(finding) => {
                    if finish(branches, one, finding, &mut progress, sink)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Stage::Broken => return Ok(ControlFlow::Break(())),
            }
        }
        if live.is_empty() && next == wrongs.len() {
            return Ok(ControlFlow::Continue(()));
        }
        branches.step()?;
        deliver(&mut live, branches.ended(), right);
        let mut at = 0;
        while at < live.len() {
            if live[at].pending.values().any(Option::is_none) {
                at += 1;
                continue;
            }
            match go_on(
                branches,
                wrongs,
                settings,
                &mut known,
                right,
                sink,
                &mut live[at],
            )? {
                Stage::Drawing => at += 1,
                Stage::Over(finding) => {
                    let one = live.remove(at);
                    if finish(branches, one, finding, &mut progress, sink)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Stage::Broken => return Ok(ControlFlow::Break(())),
            }
        }
        progress.generated = branches.spent().generated;
        progress.sequences = branches.sequences();
        if sink(Event::Step(&progress))?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

/// Computes the response and finds where its rollouts leave it.
fn open(
    branches: &mut Branches<'_>,
    index: usize,
    wrong: &Wrong,
    settings: &RolloutSettings,
) -> Result<Live> {
    let trunk = wrong.trunk();
    let key = wrong.key(settings.seed, "rollout");
    let tokens = wrong.ids.len();
    let n = u64::from(settings.n);
    let shared = settings.keys == RolloutKeys::Common && settings.sharing != Sharing::None;
    // Nothing is drawn behind a response that is as long as may be.
    let last = tokens - usize::from(tokens > 0 && tokens == branches.budget(&trunk));
    let params = branches.params().clone();
    let (trunk, rows) = branches.open(&trunk, |p, logits| {
        let drawn = if shared && (1..=last).contains(&p) {
            let units: Vec<f64> = (0..n).map(|j| key.with(j).with(p as u64).unit()).collect();
            draw(logits, &params, &units)
        } else {
            Some(Vec::new())
        };
        let ids = drawn.map(|drawn| drawn.iter().map(|one| one.id).collect::<Vec<u32>>());
        (ids, surprise(logits, wrong.ids.get(p).copied()))
    })?;
    let (token_logps, entropies) = rows[..tokens].iter().map(|(_, surprise)| *surprise).unzip();
    let places = if shared {
        let drawn: Option<Vec<Vec<u32>>> = rows
            .into_iter()
            .take(last + 1)
            .skip(1)
            .map(|(ids, _)| ids)
            .collect();
        let drawn = drawn.ok_or_else(|| Error::Logits {
            problem_id: wrong.problem_id.clone(),
            sample: wrong.sample,
        })?;
        Places::shared(&wrong.ids, &drawn, settings.n)
    } else {
        Places::Own
    };
    let positions = settings.last_position.positions(tokens);
    Ok(Live {
        index,
        trunk,
        course: Course::new(settings, positions, places),
        key,
        token_logps,
        entropies,
        spent: 0,
        rounds: 0,
        pending: HashMap::new(),
        before: 0,
    })
}

enum Stage {
    Drawing,
    Over(Option<Finding>),
    Broken,
}

/// Closes a response's round and begins the next, through all rounds that need no step of the model.
fn go_on(
    branches: &mut Branches<'_>,
    wrongs: &[Wrong],
    settings: &RolloutSettings,
    known: &mut HashMap<(String, u32, u32), &RolloutRound>,
    right: &dyn Fn(usize, &str) -> bool,
    sink: &mut dyn FnMut(Event<'_>) -> Result<ControlFlow<()>>,
    one: &mut Live,
) -> Result<Stage> {
    let wrong = &wrongs[one.index];
    loop {
        if !one.pending.is_empty() {
            let generated = branches.generated(one.trunk) - one.before;
            let round = close_round(one, wrong, generated);
            if sink(Event::Round(round))?.is_break() {
                return Ok(Stage::Broken);
            }
        }
        let groups = match one.course.plan(one.spent) {
            Plan::Over(finding) => return Ok(Stage::Over(finding)),
            Plan::Draw(groups) => groups,
        };
        let name = (wrong.problem_id.clone(), wrong.sample, one.rounds);
        if let Some(round) = known.remove(&name) {
            repeat(one, &groups, round)?;
            continue;
        }
        one.before = branches.generated(one.trunk);
        for group in groups {
            let rollouts = group.rollouts.iter().map(|&rollout| {
                let key = one.key.with(u64::from(rollout));
                Rollout {
                    tag: tag(Unit {
                        place: group.place,
                        rollout,
                    }),
                    key: match settings.keys {
                        RolloutKeys::Common => key,
                        RolloutKeys::Independent => key.with(u64::from(group.place)),
                    },
                }
            });
            let rollouts: Vec<Rollout> = rollouts.collect();
            one.pending
                .extend(rollouts.iter().map(|one| (one.tag, None)));
            branches.submit(Branch {
                trunk: one.trunk,
                keep: group.keep,
                first: group.first,
                rollouts,
            })?;
        }
        // Branches that end at once are this response's alone: what others ended was taken before.
        deliver(std::slice::from_mut(one), branches.ended(), right);
        if one.pending.values().any(Option::is_none) {
            return Ok(Stage::Drawing);
        }
    }
}

/// Notes how branches ended, each text graded once.
fn deliver(live: &mut [Live], ended: Vec<Ended>, right: &dyn Fn(usize, &str) -> bool) {
    for ended in ended {
        let Some(one) = live.iter_mut().find(|one| one.trunk == ended.trunk) else {
            continue;
        };
        let drawn = Drawn {
            right: right(one.index, &ended.text),
            tokens: ended.tokens as u32,
        };
        for tag in ended.tags {
            one.pending.insert(tag, Some(drawn));
        }
    }
}

/// Moves a round's outcomes into the course.
fn close_round(one: &mut Live, wrong: &Wrong, generated: u64) -> RolloutRound {
    let mut units: Vec<RoundUnit> = Vec::with_capacity(one.pending.len());
    for (tag, drawn) in one.pending.drain() {
        if let Some(drawn) = drawn {
            let unit = unit(tag);
            units.push(RoundUnit(
                unit.place,
                unit.rollout,
                drawn.right,
                drawn.tokens,
            ));
        }
    }
    units.sort_unstable_by_key(|unit| (unit.0, unit.1));
    let round = RolloutRound {
        problem_id: wrong.problem_id.clone(),
        sample: wrong.sample,
        round: one.rounds,
        generated,
        units,
    };
    enter(one, &round);
    round
}

/// Enters an ended round into the course.
fn enter(one: &mut Live, round: &RolloutRound) {
    for &RoundUnit(place, rollout, right, tokens) in &round.units {
        one.course
            .note(Unit { place, rollout }, Drawn { right, tokens });
    }
    one.spent += round.generated;
    one.rounds += 1;
}

/// Enters a round that an earlier call drew, if it is the one that is planned.
fn repeat(one: &mut Live, groups: &[Group], round: &RolloutRound) -> Result<()> {
    let mut planned: Vec<(u32, u32)> = groups
        .iter()
        .flat_map(|group| group.rollouts.iter().map(|&rollout| (group.place, rollout)))
        .collect();
    planned.sort_unstable();
    let drawn: Vec<(u32, u32)> = round.units.iter().map(|unit| (unit.0, unit.1)).collect();
    if planned != drawn {
        return Err(Error::OtherRounds {
            problem_id: round.problem_id.clone(),
            sample: round.sample,
            round: round.round,
        });
    }
    enter(one, round);
    Ok(())
}

fn finish(
    branches: &mut Branches<'_>,
    one: Live,
    finding: Option<Finding>,
    progress: &mut Progress,
    sink: &mut dyn FnMut(Event<'_>) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    let prefilled = branches.prefilled(one.trunk);
    branches.close(one.trunk);
    let outcomes = one.course.outcomes();
    let counts = (1..=outcomes.positions())
        .map(|t| (outcomes.successes(t), outcomes.failures(t)))
        .collect();
    let (exhaustive, exhaustive_counted) = one.course.exhaustive();
    let cost = RolloutCost {
        generated: one.spent,
        prefilled,
        exhaustive,
        exhaustive_counted,
        rollouts: one.course.rollouts(),
    };
    progress.done += 1;
    progress.generated_done += cost.generated;
    progress.exhaustive_done += cost.exhaustive;
    sink(Event::Done(Box::new(RolledOut {
        index: one.index,
        finding,
        counts,
        token_logps: one.token_logps,
        entropies: one.entropies,
        cost,
    })))
}
