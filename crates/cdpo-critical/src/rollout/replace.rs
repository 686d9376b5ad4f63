//! Replacing critical tokens (Figure 2): wrong responses with the position of their critical token go in; for each, responses that
//! keep what stands before it and go on with another token come out, right or wrong.
//!
//! The replacement is drawn from the model's distribution at that position with the critical token masked out and the rest
//! renormalised: masked first, then truncated if at all. It may be an end token. What follows it is drawn as any response of the data
//! set is.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use cdpo_data::Replacement;
use cdpo_sample::draw::draw;
use cdpo_sample::{Branch, Branches, Rollout, SampleParams, Trunk, TrunkId};
use serde::{Deserialize, Serialize};

use super::settings::check_count;
use super::wrong::Wrong;
use crate::error::{Error, Result};

/// A critical token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Critical {
    /// The response.
    pub wrong: Wrong,
    /// The token's position, from 1.
    pub position: usize,
}

/// How replacements are drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplaceSettings {
    /// Replacements of each critical token, each with one response.
    pub n: u32,
    /// Temperature of the replacement's draw; the paper's 1.
    pub temperature: f64,
    /// Nucleus mass of the replacement's draw, after masking; 1 truncates nothing.
    pub top_p: f64,
    /// Seed of every draw.
    pub seed: u64,
}

impl Default for ReplaceSettings {
    fn default() -> Self {
        Self {
            n: 64,
            temperature: 1.0,
            top_p: 1.0,
            seed: 0,
        }
    }
}

/// What became of one response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// Its place among those given.
    pub index: usize,
    /// The replacements, in the order of their draws.
    pub without: Vec<Replacement>,
    /// Tokens drawn; what several drew as one counts once.
    pub generated: u64,
}

/// A response under way.
struct Live {
    index: usize,
    trunk: TrunkId,
    ids: Vec<u32>,
    ended: Vec<Option<(bool, u32)>>,
}

/// Draws from the first `tokens` logits, one of which is masked out; `None` if a logit is not finite.
fn draw_without(
    logits: &[f32],
    tokens: usize,
    masked: u32,
    params: &SampleParams,
    units: &[f64],
) -> Option<Vec<u32>> {
    let masked = masked as usize;
    let mut rest = logits.to_vec();
    rest.remove(masked);
    let tokens = tokens - usize::from(masked < tokens);
    let back = |id: u32| id + u32::from(id as usize >= masked);
    Some(
        draw(&rest, tokens, params, units)?
            .into_iter()
            .map(|one| back(one.id))
            .collect(),
    )
}

/// Draws `settings.n` responses without each critical token. `right(i, text)` says whether a response to the question of
/// `criticals[i]` is right; `done` gets each result and `progress` how many sequences are under way, and both may end the call.
///
/// # Errors
/// Settings out of range; a position outside its response; a response that the sampler could not have drawn; failures of the model.
pub fn replace(
    branches: &mut Branches<'_>,
    criticals: &[Critical],
    settings: &ReplaceSettings,
    right: &dyn Fn(usize, &str) -> bool,
    done: &mut dyn FnMut(Replaced) -> Result<ControlFlow<()>>,
    progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let params = SampleParams {
        temperature: settings.temperature,
        top_p: settings.top_p,
        top_k: None,
        logps: false,
        ..branches.params().clone()
    };
    params.validate()?;
    check_count(settings.n)?;
    let mut live: Vec<Live> = Vec::new();
    let mut next = 0;
    while next < criticals.len() || !live.is_empty() {
        while next < criticals.len()
            && branches.sequences() < branches.max_batch()
            && (live.is_empty() || branches.fits(&criticals[next].wrong.trunk()))
        {
            live.push(open(branches, next, &criticals[next], settings, &params)?);
            next += 1;
        }
        branches.step()?;
        for ended in branches.ended() {
            let Some(one) = live.iter_mut().find(|one| one.trunk == ended.trunk) else {
                continue;
            };
            let keep = criticals[one.index].position - 1;
            let end = (right(one.index, &ended.text), (ended.tokens - keep) as u32);
            for tag in ended.tags {
                one.ended[tag as usize] = Some(end);
            }
        }
        let (over, under_way): (Vec<Live>, Vec<Live>) = live
            .into_iter()
            .partition(|one| one.ended.iter().all(Option::is_some));
        live = under_way;
        for one in over {
            let generated = branches.generated(one.trunk);
            branches.close(one.trunk);
            let without = one
                .ids
                .iter()
                .zip(&one.ended)
                .map(|(&id, ended)| {
                    let (right, tokens) = ended.unwrap_or_default();
                    Replacement { id, right, tokens }
                })
                .collect();
            let replaced = Replaced {
                index: one.index,
                without,
                generated,
            };
            if done(replaced)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        if progress(branches.sequences()).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn open(
    branches: &mut Branches<'_>,
    index: usize,
    critical: &Critical,
    settings: &ReplaceSettings,
    params: &SampleParams,
) -> Result<Live> {
    let Critical { wrong, position } = critical;
    let at = position.wrapping_sub(1);
    let Some(&masked) = wrong.ids.get(at) else {
        return Err(Error::Position {
            problem_id: wrong.problem_id.clone(),
            sample: wrong.sample,
            position: *position,
            tokens: wrong.ids.len(),
        });
    };
    let trunk = Trunk {
        response_ids: wrong.ids[..at].to_vec(),
        ..wrong.trunk()
    };
    let key = wrong.key(settings.seed, "replacement");
    let units: Vec<f64> = (0..u64::from(settings.n))
        .map(|i| key.with(i).with(at as u64).unit())
        .collect();
    let tokens = branches.tokens();
    let (trunk, mut rows) = branches.open(&trunk, |p, logits| {
        (p == at).then(|| draw_without(logits, tokens, masked, params, &units))
    })?;
    let ids = rows
        .pop()
        .flatten()
        .flatten()
        .ok_or_else(|| Error::Logits {
            problem_id: wrong.problem_id.clone(),
            sample: wrong.sample,
        })?;
    let mut groups: BTreeMap<u32, Vec<Rollout>> = BTreeMap::new();
    for (i, &id) in ids.iter().enumerate() {
        let i = i as u64;
        groups.entry(id).or_default().push(Rollout {
            tag: i,
            key: key.with(i),
        });
    }
    for (id, rollouts) in groups {
        branches.submit(Branch {
            trunk,
            keep: at,
            drawn: Vec::new(),
            first: Some(id),
            pause: usize::MAX,
            rollouts,
        })?;
    }
    Ok(Live {
        index,
        trunk,
        ended: vec![None; ids.len()],
        ids,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masking_comes_before_truncation_and_renormalises_the_rest() {
        // Probabilities 0.6, 0.2, 0.1, 0.1 become 0.5, 0.25, 0.25 without the first.
        let logits: Vec<f32> = [0.6f32, 0.2, 0.1, 0.1].iter().map(|p| p.ln()).collect();
        let units: Vec<f64> = (0..400).map(|i| (f64::from(i) + 0.5) / 400.0).collect();
        let count = |params: &SampleParams| {
            let mut counts = [0; 4];
            for id in draw_without(&logits, 4, 0, params, &units).unwrap() {
                counts[id as usize] += 1;
            }
            counts
        };
        assert_eq!(count(&SampleParams::default()), [0, 200, 100, 100]);
        let truncated = SampleParams {
            top_p: 0.7,
            ..SampleParams::default()
        };
        // Of 0.5, 0.25, 0.25 the first two hold 0.7; of the unmasked four the nucleus would have been the first two alone.
        assert_eq!(count(&truncated), [0, 267, 133, 0]);
        // Of 0.6, 0.2, 0.1, 0.1 the last is a row that is never drawn; 0.75 and 0.25 are left without the second.
        let drawn = draw_without(&logits, 3, 1, &SampleParams::default(), &units).unwrap();
        let of = |id| drawn.iter().filter(|&&d| d == id).count();
        assert_eq!([of(0), of(1), of(2), of(3)], [343, 0, 57, 0]);
    }
}
