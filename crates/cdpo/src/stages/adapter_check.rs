//! Whether an adapter that was handed to a server is really in: one prompt, drawn with it and without it, held against the model here.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context as _, bail};
use cdpo_model::{AdapterStack, LoraConfig};
use cdpo_sample::{
    Completion, Error, Request, SampleParams, Sampler as _, ServerSampler, ServerSettings,
};

use super::apart::{Apart, BOUND, logps};
use super::serving;
use crate::messages;
use crate::run::Run;
use crate::stage::{Compared, Demand};

/// Samples and tokens that are drawn at each server.
const SAMPLES: u32 = 2;
const TOKENS: usize = 32;
/// Seconds for which a server may be away before it is passed over.
const PATIENCE: f64 = 10.0;
/// A change of a log-probability, in nats, that no server's rounding hides.
const VISIBLE: f64 = 0.01;

/// What a check asks of the model here: samples of every server, with the adapters and without.
pub(super) fn demand(settings: &ServerSettings, adapters: Vec<LoraConfig>) -> Demand {
    Demand::Compared(Compared {
        samples: SAMPLES * settings.urls.len() as u32,
        most: Some(TOKENS),
        by: vec![adapters, Vec::new()],
    })
}

/// Draws a prompt of `request` at each server with the adapter in `folder` and without it.
///
/// # Errors
/// If a server answers as the base does, or its log-probabilities are further than [`BOUND`] from the model's on average; or if no
/// server can be asked.
pub(super) fn check(
    run: &mut Run,
    settings: &ServerSettings,
    folder: &Path,
    request: &Request,
) -> anyhow::Result<()> {
    let adapter = run
        .base
        .adapter(folder)
        .with_context(|| format!("the adapter {} does not fit", folder.display()))?;
    let prompt = [request.prefix_ids.as_slice(), &request.prompt_ids].concat();
    let (name, folder) = serving::served(folder)?;
    let mut shown = 0;
    for url in &settings.urls {
        let one = ServerSettings {
            urls: vec![url.clone()],
            give_up: PATIENCE.min(settings.give_up),
            ..settings.clone()
        };
        let mut sampler = serving::sampler(run, &one)?.with_adapter(&name, &folder)?;
        let with = few(&mut sampler, request);
        for (url, reason) in sampler.release() {
            messages::warn(format_args!("{url} still has the adapter: {reason}"));
        }
        drop(sampler);
        let with = with?;
        let without = few(&mut serving::sampler(run, &one)?, request)?;
        let (Some(with), Some(without)) = (with, without) else {
            messages::warn(format_args!(
                "{url} is away: that the adapter is in could not be shown there"
            ));
            continue;
        };
        let model = run.base.loaded()?;
        let seen = Seen::of(&with, &without, &mut |ids| {
            Ok((
                logps(model, &AdapterStack::frozen(&[&adapter]), &prompt, ids)?,
                logps(model, &AdapterStack::base(), &prompt, ids)?,
            ))
        })?;
        seen.judge()
            .map_err(|reason| anyhow::anyhow!("{url}: {reason}"))?;
        messages::say(format_args!(
            "adapter {name} is in at {url}: {:.4} nats from ours on average, the base {:.4}",
            seen.with.mean, seen.base.mean
        ));
        shown += 1;
    }
    if shown == 0 {
        bail!("no server could be shown to have the adapter");
    }
    Ok(())
}

/// Some samples of a prompt; `None` if the server is away.
fn few(
    sampler: &mut ServerSampler<'_>,
    request: &Request,
) -> anyhow::Result<Option<Vec<Completion>>> {
    let request = Request {
        samples: (0..SAMPLES).collect(),
        ..request.clone()
    };
    let params = SampleParams {
        max_new_tokens: TOKENS,
        logps: true,
        ..SampleParams::default()
    };
    let mut all: Vec<(u32, Completion)> = Vec::new();
    let drawn = sampler.sample(
        &[request],
        &params,
        &mut |_, sample, completion| {
            all.push((sample, completion));
            ControlFlow::Continue(())
        },
        &mut |_| crate::interrupt::flow(),
    );
    match drawn {
        Err(Error::ServersGone { .. }) => return Ok(None),
        Err(e) => return Err(e.into()),
        Ok(flow) if flow.is_break() => return Err(crate::outcome::Interrupted.into()),
        Ok(_) => {}
    }
    all.sort_by_key(|(sample, _)| *sample);
    Ok(Some(all.into_iter().map(|(_, one)| one).collect()))
}

/// What a server's samples show.
#[derive(Debug, PartialEq)]
struct Seen {
    /// Its log-probabilities with the adapter from ours with the adapter.
    with: Apart,
    /// The same from ours without the adapter.
    base: Apart,
    /// Ours with the adapter from ours without.
    ours: Apart,
    /// Whether the server answers otherwise without the adapter.
    differs: bool,
}

/// Our log-probabilities of ids, with the adapter and without.
type Ours<'a> = dyn FnMut(&[u32]) -> anyhow::Result<(Vec<f32>, Vec<f32>)> + 'a;

impl Seen {
    fn of(
        with: &[Completion],
        without: &[Completion],
        ours: &mut Ours<'_>,
    ) -> anyhow::Result<Self> {
        let (mut theirs, mut adapted, mut base) = (Vec::new(), Vec::new(), Vec::new());
        for one in with {
            let (Some(ids), Some(logps)) = (&one.ids, &one.token_logps) else {
                continue;
            };
            if ids.is_empty() || logps.len() != ids.len() {
                continue;
            }
            let (a, b) = ours(ids)?;
            theirs.extend(logps);
            adapted.extend(a);
            base.extend(b);
        }
        let apart = |a: &[f32], b: &[f32]| Apart::of(a.iter().copied().zip(b.iter().copied()));
        let same =
            |(a, b): (&Completion, &Completion)| a.ids == b.ids && a.token_logps == b.token_logps;
        Ok(Self {
            with: apart(&theirs, &adapted),
            base: apart(&theirs, &base),
            ours: apart(&adapted, &base),
            differs: !with.iter().zip(without).all(same),
        })
    }

    fn judge(&self) -> Result<(), String> {
        if self.with.tokens == 0 {
            return Err(
                "the responses to the first question are empty or have no log-probabilities, so nothing shows that the adapter is in".into(),
            );
        }
        if !self.differs && self.ours.mean > VISIBLE {
            return Err(format!(
                "it answers with the adapter as it does without, although the adapter changes log-probabilities by {:.3} nats on average: \
                 it is not in",
                self.ours.mean
            ));
        }
        if self.with.mean > BOUND {
            return Err(format!(
                "its log-probabilities with the adapter are {:.3} nats from ours on average, more than {BOUND} (from the base's {:.3}): it \
                 has another adapter, or another base",
                self.with.mean, self.base.mean
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cdpo_sample::Finish;

    use super::*;

    fn completion(logps: &[f32]) -> Vec<Completion> {
        vec![Completion {
            text: "a".into(),
            ids: Some(vec![7; logps.len()]),
            token_logps: Some(logps.to_vec()),
            finish: Finish::Length,
            reencoded: false,
        }]
    }

    fn judged(with: &[f32], without: &[f32], ours: &[f32], base: &[f32]) -> Result<(), String> {
        let seen = Seen::of(&completion(with), &completion(without), &mut |_| {
            Ok((ours.to_vec(), base.to_vec()))
        });
        seen.unwrap().judge()
    }

    #[test]
    fn a_response_without_log_probabilities_is_left_out_whole() {
        let mut with = completion(&[-9.0]);
        with[0].token_logps = None;
        with.extend(completion(&[-1.0, -2.0]));
        let seen = Seen::of(&with, &with, &mut |ids| {
            Ok(if ids.len() == 1 {
                (vec![-9.0], vec![-9.0])
            } else {
                (vec![-1.0, -2.0], vec![-1.0, -2.0])
            })
        })
        .unwrap();
        assert_eq!((seen.with.tokens, seen.ours.tokens), (2, 2));
        assert!(seen.with.mean.abs() < 1e-9, "{seen:?}");
    }

    #[test]
    fn an_adapter_is_in_if_it_changes_the_server_as_it_changes_the_model() {
        let (ours, base) = ([-1.0, -2.0], [-1.5, -1.5]);
        judged(&[-1.05, -1.98], &[-1.52, -1.5], &ours, &base).unwrap();
        // The server ignores it.
        let error = judged(&[-1.52, -1.5], &[-1.52, -1.5], &ours, &base).unwrap_err();
        assert!(error.contains("not in"), "{error}");
        // It has another one.
        let error = judged(&[-0.2, -2.9], &[-1.52, -1.5], &ours, &base).unwrap_err();
        assert!(error.contains("another adapter"), "{error}");
        // One that changes next to nothing cannot be told from none.
        judged(&[-1.5, -1.5], &[-1.5, -1.5], &[-1.501, -1.499], &base).unwrap();
        assert!(judged(&[], &[], &[], &[]).is_err());
    }
}
