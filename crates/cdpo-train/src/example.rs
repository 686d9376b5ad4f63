//! Training examples as token ids: limits applied, weights chosen, content hashed.
//!
//! Goes in: SFT examples or pairs, checked settings. Comes out: [`Item`]s to train on and counts of what was left out.

use cdpo_data::{Pair, SftExample};
use cdpo_model::Key;

use crate::error::{Error, Result};
use crate::losses::{TisSide, WeightUse};
use crate::settings::Checked;

/// What to train on.
#[derive(Debug, Clone)]
pub enum TrainSet {
    /// Prompts with one response, for method `sft`.
    Sft(Vec<SftExample>),
    /// Preference pairs, for every other method.
    Pairs(Vec<Pair>),
}

/// One response of an item.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Response {
    /// Token ids `[T]`, end-of-sequence included where there is one.
    pub(crate) ids: Vec<u32>,
    /// Token weights `[T]`.
    pub(crate) weights: Vec<f32>,
}

/// One example: a prompt with one response (SFT) or two, chosen before rejected.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    /// For messages: question and samples.
    pub(crate) id: String,
    /// Content id, the name of the example's randomness.
    pub(crate) source: u64,
    pub(crate) prompt: Vec<u32>,
    pub(crate) responses: Vec<Response>,
}

impl Item {
    /// Tokens of the prompt with its longest response.
    pub(crate) fn longest(&self) -> usize {
        self.prompt.len()
            + self
                .responses
                .iter()
                .map(|r| r.ids.len())
                .max()
                .unwrap_or(0)
    }
}

/// Examples that were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeftOut {
    /// Their prompt is longer than `max_prompt_tokens`.
    pub long_prompt: usize,
    /// Their prompt with a response is longer than `max_tokens` or the model's context.
    pub long_sequence: usize,
    /// A response, or prompt and prefix together, has no token.
    pub empty: usize,
}

impl LeftOut {
    /// All of them.
    pub fn total(self) -> usize {
        self.long_prompt + self.long_sequence + self.empty
    }

    /// One line for people, or `None` if nothing was left out.
    pub(crate) fn warning(self, settings: &Checked) -> Option<String> {
        (self.total() > 0).then(|| {
            format!(
                "{} examples are left out: {} prompts longer than max_prompt_tokens ({}), {} sequences longer than max_tokens ({}) or the model's \
                 context, {} without tokens",
                self.total(),
                self.long_prompt,
                settings.max_prompt_tokens,
                self.long_sequence,
                settings.max_tokens,
                self.empty
            )
        })
    }
}

/// Makes items of a training set. `prefix` tokens stand before every prompt: no limit but the model's `context` counts them.
pub(crate) fn prepare(
    set: &TrainSet,
    settings: &Checked,
    weights: Option<WeightUse>,
    prefix: usize,
    context: usize,
) -> Result<(Vec<Item>, LeftOut)> {
    let all = match (set, weights) {
        (TrainSet::Sft(examples), None) => examples.iter().map(sft_item).collect(),
        (TrainSet::Pairs(pairs), Some(weights)) => pairs
            .iter()
            .map(|p| pair_item(p, weights))
            .collect::<Result<Vec<_>>>()?,
        (TrainSet::Sft(_), Some(_)) => {
            return Err(Error::NoExamples(format!(
                "method {} learns from preference pairs, but was given single responses",
                settings.method
            )));
        }
        (TrainSet::Pairs(_), None) => {
            return Err(Error::NoExamples(
                "method sft learns from single responses, but was given preference pairs".into(),
            ));
        }
    };
    let given = all.len();
    if given == 0 {
        return Err(Error::NoExamples(
            "there is no example to train on: the training set is empty".into(),
        ));
    }
    let mut left_out = LeftOut::default();
    let fits = |item: &Item| {
        if prefix + item.prompt.len() == 0 || item.responses.iter().any(|r| r.ids.is_empty()) {
            left_out.empty += 1;
        } else if item.prompt.len() > settings.max_prompt_tokens {
            left_out.long_prompt += 1;
        } else if item.longest() > settings.max_tokens || prefix + item.longest() > context {
            left_out.long_sequence += 1;
        } else {
            return true;
        }
        false
    };
    let items: Vec<Item> = all.into_iter().filter(fits).collect();
    if items.is_empty() {
        let why = left_out.warning(settings).unwrap_or_default();
        return Err(Error::NoExamples(format!(
            "no example is left to train on; {why}; raise the limits or shorten the data"
        )));
    }
    Ok((items, left_out))
}

fn sft_item(e: &SftExample) -> Item {
    let response = Response {
        ids: e.response_ids.clone(),
        weights: vec![1.0; e.response_ids.len()],
    };
    Item {
        id: format!("{} (sample {})", e.problem_id, e.sample),
        source: Key::new(0)
            .with_str(&e.problem_id)
            .with(e.sample.into())
            .bits(),
        prompt: e.prompt_ids.clone(),
        responses: vec![response],
    }
}

fn pair_item(p: &Pair, weights: WeightUse) -> Result<Item> {
    let [of_chosen, of_rejected] = PairFields { pair: p }.weights(weights)?;
    let response = |ids: &[u32], weights| Response {
        ids: ids.to_vec(),
        weights,
    };
    Ok(Item {
        source: Key::new(0)
            .with_str(&p.problem_id)
            .with(p.chosen_sample.into())
            .with(p.rejected_sample.into())
            .bits(),
        prompt: p.prompt_ids.clone(),
        responses: vec![
            response(&p.chosen_ids, of_chosen),
            response(&p.rejected_ids, of_rejected),
        ],
        id: pair_name(p),
    })
}

/// How messages name a pair.
fn pair_name(p: &Pair) -> String {
    format!(
        "{} (samples {} over {})",
        p.problem_id, p.chosen_sample, p.rejected_sample
    )
}

/// A pair's per-token numbers, each checked against its response when it is read.
struct PairFields<'a> {
    pair: &'a Pair,
}

impl PairFields<'_> {
    /// The weights of the chosen and of the rejected response's tokens.
    fn weights(&self, used: WeightUse) -> Result<[Vec<f32>; 2]> {
        let p = self.pair;
        let (chosen, rejected) = (p.chosen_weights.as_ref(), p.rejected_weights.as_ref());
        match used {
            WeightUse::None => Ok([ones(&p.chosen_ids), ones(&p.rejected_ids)]),
            WeightUse::Rejected if rejected.is_none() => Err(self.fault(
                "rejected_weights is missing; score the pairs first, or use method dpo".into(),
            )),
            WeightUse::Rejected => Ok([
                ones(&p.chosen_ids),
                self.or_ones("rejected_weights", &p.rejected_ids, rejected)?,
            ]),
            WeightUse::Either if rejected.is_none() && chosen.is_none() => Err(self.fault(
                "has neither rejected_weights nor chosen_weights; method weighted-dpo needs one of them".into(),
            )),
            WeightUse::Either => Ok([
                self.or_ones("chosen_weights", &p.chosen_ids, chosen)?,
                self.or_ones("rejected_weights", &p.rejected_ids, rejected)?,
            ]),
            WeightUse::Contrast(formula) => {
                let chosen = [
                    ("chosen_positive_logps", p.chosen_positive_logps.as_ref()),
                    ("chosen_negative_logps", p.chosen_negative_logps.as_ref()),
                ];
                let rejected = [
                    ("positive_logps", p.positive_logps.as_ref()),
                    ("negative_logps", p.negative_logps.as_ref()),
                ];
                let [positive, negative] = self.contrast(&p.chosen_ids, chosen)?;
                let of_chosen = formula.weights(positive, negative, TisSide::Chosen);
                let [positive, negative] = self.contrast(&p.rejected_ids, rejected)?;
                let of_rejected = formula.weights(positive, negative, TisSide::Rejected);
                Ok([of_chosen, of_rejected])
            }
        }
    }

    /// Both contrastive models' log-probabilities of a response.
    fn contrast<'f>(
        &self,
        ids: &[u32],
        fields: [(&str, Option<&'f Vec<f32>>); 2],
    ) -> Result<[&'f [f32]; 2]> {
        let mut found = [&[][..]; 2];
        for (to, (name, values)) in found.iter_mut().zip(fields) {
            let values = values.ok_or_else(|| {
                self.fault(format!(
                    "{name} is missing; score the pairs first: tis-dpo needs both contrastive models' log-probabilities of both responses"
                ))
            })?;
            self.check(name, ids, values)?;
            *to = values;
        }
        Ok(found)
    }

    fn or_ones(&self, name: &str, ids: &[u32], values: Option<&Vec<f32>>) -> Result<Vec<f32>> {
        let Some(values) = values else {
            return Ok(ones(ids));
        };
        self.check(name, ids, values)?;
        Ok(values.clone())
    }

    /// One finite number for each token.
    fn check(&self, name: &str, ids: &[u32], values: &[f32]) -> Result<()> {
        if values.len() != ids.len() {
            let (values, tokens) = (values.len(), ids.len());
            return Err(self.fault(format!("{name} has {values} values for {tokens} tokens")));
        }
        match values.iter().find(|x| !x.is_finite()) {
            Some(x) => Err(self.fault(format!("{name} holds {x}"))),
            None => Ok(()),
        }
    }

    fn fault(&self, reason: String) -> Error {
        Error::Example {
            id: pair_name(self.pair),
            reason,
        }
    }
}

fn ones(ids: &[u32]) -> Vec<f32> {
    vec![1.0; ids.len()]
}

/// Hash of all that training reads of the items, in order.
pub(crate) fn content_id(items: &[Item], prefix: &[u32]) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut ids = |values: &[u32]| {
        hasher.update(&(values.len() as u64).to_le_bytes());
        for v in values {
            hasher.update(&v.to_le_bytes());
        }
    };
    ids(prefix);
    for item in items {
        ids(&[item.source as u32, (item.source >> 32) as u32]);
        ids(&item.prompt);
        for response in &item.responses {
            ids(&response.ids);
            ids(&response
                .weights
                .iter()
                .map(|w| w.to_bits())
                .collect::<Vec<_>>());
        }
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrainSettings;

    fn example(prompt: usize, response: usize) -> SftExample {
        SftExample {
            problem_id: format!("q/{prompt}"),
            sample: 0,
            prompt: String::new(),
            response: String::new(),
            prompt_ids: vec![1; prompt],
            response_ids: vec![2; response],
            terminated: false,
        }
    }

    fn settings() -> Checked {
        TrainSettings {
            max_prompt_tokens: Some(5),
            max_tokens: Some(9),
            ..TrainSettings::of(crate::Method::SFT)
        }
        .validate()
        .unwrap()
    }

    #[test]
    fn examples_over_a_limit_are_left_out_and_counted() {
        let set = TrainSet::Sft(vec![
            example(5, 4),
            example(6, 1),
            example(5, 5),
            example(3, 0),
            example(0, 3),
        ]);
        let (items, left_out) = prepare(&set, &settings(), None, 0, 100).unwrap();
        assert_eq!(items.len(), 1);
        assert_eq!(
            left_out,
            LeftOut {
                long_prompt: 1,
                long_sequence: 1,
                empty: 2
            }
        );
        assert!(
            left_out
                .warning(&settings())
                .unwrap()
                .starts_with("4 examples are left out: 1 prompts longer")
        );
    }

    #[test]
    fn a_prefix_counts_against_the_context_only() {
        let set = TrainSet::Sft(vec![example(5, 4)]);
        assert!(prepare(&set, &settings(), None, 91, 100).is_ok());
        let error = prepare(&set, &settings(), None, 92, 100)
            .unwrap_err()
            .to_string();
        assert!(error.contains("no example is left"), "{error}");
    }
}
