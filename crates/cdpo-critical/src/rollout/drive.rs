//! Drawing the rollouts of many responses with one model: their rounds side by side, so that the batch stays full.

use std::collections::HashMap;
use std::ops::ControlFlow;

use cdpo_data::rollout_record::{RolloutCost, RolloutRound};
use cdpo_sample::Branches;

use super::active_response::{ActiveResponse, deliver};
use super::definition::Finding;
use super::planner::NextRound;
use super::settings::RolloutSettings;
use super::wrong_response::WrongResponse;
use crate::error::Result;

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
pub struct RolloutProgress {
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
pub enum RolloutEvent<'a> {
    /// A step of the model is done.
    Step(&'a RolloutProgress),
    /// A round has ended: kept, it need not be drawn again.
    Round(RolloutRound),
    /// A response is done.
    Done(Box<RolledOut>),
}

/// Finds the critical token of each of `wrongs`.
///
/// `right(i, text)` says whether a response to the question of `wrongs[i]` is right; where the branches settle texts, their rule
/// has to be true of it. `rounds` are those that an earlier call with the same settings and the same such rule told of (in any
/// order); they are not drawn again. What is found for a response, and what it costs, depends neither on the other responses nor
/// on the batch.
///
/// # Errors
/// Settings out of range; a response that the sampler could not have drawn (see [`Branches::open`]); rounds of other settings;
/// failures of the model; whatever `sink` returns.
pub fn roll_out(
    branches: &mut Branches<'_>,
    wrongs: &[WrongResponse],
    settings: &RolloutSettings,
    rounds: &[RolloutRound],
    right: &dyn Fn(usize, &str) -> bool,
    sink: &mut dyn FnMut(RolloutEvent<'_>) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    settings.validate()?;
    let mut known: HashMap<(String, u32, u32), &RolloutRound> = rounds
        .iter()
        .map(|round| {
            let name = (round.problem_id.clone(), round.sample, round.round);
            (name, round)
        })
        .collect();
    let mut progress = RolloutProgress {
        total: wrongs.len(),
        ..RolloutProgress::default()
    };
    let mut active: Vec<ActiveResponse> = Vec::new();
    let mut next = 0;
    loop {
        while next < wrongs.len()
            && active.len() < branches.max_batch()
            && branches.sequences() < branches.max_batch()
            && (active.is_empty() || branches.fits(&wrongs[next].trunk()))
        {
            let mut one = ActiveResponse::open(branches, next, &wrongs[next], settings)?;
            next += 1;
            match go_on(
                branches, wrongs, settings, &mut known, right, sink, &mut one,
            )? {
                ResponseState::Drawing => active.push(one),
                ResponseState::Over(finding) => {
                    if finish(branches, one, finding, &mut progress, sink)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                ResponseState::Broken => return Ok(ControlFlow::Break(())),
            }
        }
        if active.is_empty() && next == wrongs.len() {
            return Ok(ControlFlow::Continue(()));
        }
        branches.step()?;
        deliver(&mut active, branches, right);
        let mut at = 0;
        while at < active.len() {
            if active[at].is_drawing() {
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
                &mut active[at],
            )? {
                ResponseState::Drawing => at += 1,
                ResponseState::Over(finding) => {
                    let one = active.remove(at);
                    if finish(branches, one, finding, &mut progress, sink)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                ResponseState::Broken => return Ok(ControlFlow::Break(())),
            }
        }
        progress.generated = branches.spent().generated;
        progress.sequences = branches.sequences();
        if sink(RolloutEvent::Step(&progress))?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

/// How a response stands when no more can be done for it without a step of the model.
enum ResponseState {
    /// Its round is under way.
    Drawing,
    /// Its last round is over.
    Over(Option<Finding>),
    /// The caller ended the call.
    Broken,
}

/// Closes a response's round and begins the next, through all rounds that need no step of the model.
fn go_on(
    branches: &mut Branches<'_>,
    wrongs: &[WrongResponse],
    settings: &RolloutSettings,
    known: &mut HashMap<(String, u32, u32), &RolloutRound>,
    right: &dyn Fn(usize, &str) -> bool,
    sink: &mut dyn FnMut(RolloutEvent<'_>) -> Result<ControlFlow<()>>,
    one: &mut ActiveResponse,
) -> Result<ResponseState> {
    let wrong = &wrongs[one.index];
    loop {
        if one.has_round() {
            let generated = branches.generated(one.trunk) - one.before;
            let round = one.close_round(wrong, generated);
            if sink(RolloutEvent::Round(round))?.is_break() {
                return Ok(ResponseState::Broken);
            }
        }
        let groups = match one.planner.plan(one.spent) {
            NextRound::Over(finding) => return Ok(ResponseState::Over(finding)),
            NextRound::Draw(groups) => groups,
        };
        let name = (wrong.problem_id.clone(), wrong.sample, one.rounds);
        if let Some(round) = known.remove(&name) {
            one.repeat(&groups, round)?;
            continue;
        }
        one.submit(branches, groups, settings.keys)?;
        // Branches that end at once are this response's alone: what others ended was taken before.
        deliver(std::slice::from_mut(one), branches, right);
        if one.is_drawing() {
            return Ok(ResponseState::Drawing);
        }
    }
}

fn finish(
    branches: &mut Branches<'_>,
    one: ActiveResponse,
    finding: Option<Finding>,
    progress: &mut RolloutProgress,
    sink: &mut dyn FnMut(RolloutEvent<'_>) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    let prefilled = branches.prefilled(one.trunk);
    branches.close(one.trunk);
    let outcomes = one.planner.outcomes();
    let counts = (1..=outcomes.positions())
        .map(|t| (outcomes.successes(t), outcomes.failures(t)))
        .collect();
    let (exhaustive, exhaustive_counted) = one.planner.exhaustive();
    let cost = RolloutCost {
        generated: one.spent,
        prefilled,
        exhaustive,
        exhaustive_counted,
        rollouts: one.planner.rollouts(),
    };
    progress.done += 1;
    progress.generated_done += cost.generated;
    progress.exhaustive_done += cost.exhaustive;
    sink(RolloutEvent::Done(Box::new(RolledOut {
        index: one.index,
        finding,
        counts,
        token_logps: one.token_logps,
        entropies: one.entropies,
        cost,
    })))
}
