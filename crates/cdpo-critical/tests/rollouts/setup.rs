//! A random model over a handful of letters, with which every response can be enumerated.

use std::collections::BTreeMap;

use cdpo_critical::rollout::{RolledOut, RolloutEvent, RolloutSettings, WrongResponse, roll_out};
use cdpo_data::rollout_record::RolloutRound;
use cdpo_model::source::TensorSource;
use cdpo_model::{Device, Key, Model, ModelConfig, Tokenizer};
use cdpo_sample::{Branches, LocalSampler, Request, SampleParams, Sampler as _};
use std::ops::ControlFlow;

pub(crate) const LETTERS: &str = "abcdefghijkl";

/// Weights keyed by name and element, of a size that makes the distributions neither flat nor certain.
struct Random;

impl TensorSource for Random {
    fn contains(&self, _: &str) -> bool {
        true
    }

    fn read(&self, name: &str, shape: &[usize]) -> cdpo_model::Result<Vec<f32>> {
        let key = Key::new(9).with_str(name);
        let scale = match name {
            "model.embed_tokens.weight" => 2.0,
            "lm_head.weight" => 1.2,
            _ => 0.6,
        };
        let n = shape.iter().product::<usize>() as u64;
        Ok((0..n)
            .map(|i| {
                if name.ends_with("norm.weight") {
                    1.0
                } else {
                    (scale * (key.with(i).unit() - 0.5)) as f32
                }
            })
            .collect())
    }
}

/// A model over the first so many letters; the end token is the id behind them.
pub(crate) fn model(letters: usize) -> Model {
    let vocabulary = letters + 1;
    let config = format!(
        r#"{{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": {vocabulary}, "hidden_size": 32,
        "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "hidden_act": "silu", "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": false, "eos_token_id": {letters}}}"#
    );
    let config = ModelConfig::from_hf_json(&config, "test").unwrap();
    let mut model = Model::load(&config, &Random, &Device::Cpu).unwrap();
    model.pack(true).unwrap();
    model
}

/// One token a letter, and an end token.
pub(crate) fn tokenizer(letters: usize) -> Tokenizer {
    let vocabulary: BTreeMap<String, usize> = LETTERS[..letters]
        .chars()
        .enumerate()
        .map(|(id, letter)| (letter.to_string(), id))
        .collect();
    let bytes = serde_json::json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": [{"id": letters, "content": "</s>", "special": true, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false}],
        "pre_tokenizer": bytes, "decoder": bytes,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": []},
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, json.to_string()).unwrap();
    Tokenizer::from_file(&path).unwrap()
}

pub(crate) fn with_threads<R: Send>(threads: usize, run: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
        .install(run)
}

/// Responses of the model itself that `right` denies, one or more for each of `questions` prompts.
pub(crate) fn wrongs(
    sampler: &mut LocalSampler<'_>,
    params: &SampleParams,
    questions: u64,
    right: &dyn Fn(&str) -> bool,
) -> Vec<WrongResponse> {
    let ids = |key: u64, n: usize| -> Vec<u32> {
        (0..n as u64)
            .map(|i| Key::new(key).with(i).below(4) as u32)
            .collect()
    };
    let requests: Vec<Request> = (0..questions)
        .map(|q| Request {
            problem_id: format!("q/{q}"),
            prefix_ids: ids(1 + q % 2, 35),
            prompt_ids: ids(10 + q, 3 + q as usize % 4),
            samples: (0..4).collect(),
        })
        .collect();
    let mut wrongs = Vec::new();
    let ended = sampler
        .sample(
            &requests,
            params,
            &mut |request, sample, completion| {
                if !right(&completion.text) {
                    wrongs.push(WrongResponse {
                        problem_id: request.problem_id.clone(),
                        sample,
                        prefix_ids: request.prefix_ids.clone(),
                        prompt_ids: request.prompt_ids.clone(),
                        ids: completion.ids.unwrap(),
                        finish: completion.finish,
                    });
                }
                ControlFlow::Continue(())
            },
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap();
    assert!(ended.is_continue());
    wrongs.sort_by(|a, b| (&a.problem_id, a.sample).cmp(&(&b.problem_id, b.sample)));
    assert!(!wrongs.is_empty(), "every sample is right");
    wrongs
}

/// What [`roll_out`] tells, by response; ends after `rounds` rounds if there are as many.
pub(crate) struct Told {
    pub(crate) done: BTreeMap<usize, RolledOut>,
    pub(crate) rounds: Vec<RolloutRound>,
}

pub(crate) fn run(
    sampler: &LocalSampler<'_>,
    params: &SampleParams,
    wrongs: &[WrongResponse],
    settings: &RolloutSettings,
    right: &dyn Fn(&str) -> bool,
) -> Told {
    run_upto(sampler, params, wrongs, settings, right, &[], usize::MAX).unwrap()
}

pub(crate) fn run_upto(
    sampler: &LocalSampler<'_>,
    params: &SampleParams,
    wrongs: &[WrongResponse],
    settings: &RolloutSettings,
    right: &dyn Fn(&str) -> bool,
    known: &[RolloutRound],
    most: usize,
) -> cdpo_critical::Result<Told> {
    upto(sampler, params, wrongs, settings, right, None, known, most)
}

/// A rule that says when a text is settled.
pub(crate) type Settled = fn(&str) -> Option<usize>;

/// [`run_upto`] with a rule that settles texts.
#[allow(clippy::too_many_arguments)]
pub(crate) fn upto(
    sampler: &LocalSampler<'_>,
    params: &SampleParams,
    wrongs: &[WrongResponse],
    settings: &RolloutSettings,
    right: &dyn Fn(&str) -> bool,
    settled: Option<Settled>,
    known: &[RolloutRound],
    most: usize,
) -> cdpo_critical::Result<Told> {
    let mut branches = Branches::new(sampler, params.clone()).unwrap();
    if let Some(settled) = settled {
        branches = branches.with_settled(Box::new(settled));
    }
    let mut told = Told {
        done: BTreeMap::new(),
        rounds: known.to_vec(),
    };
    let mut new = 0;
    let flow = roll_out(
        &mut branches,
        wrongs,
        settings,
        known,
        &|_, text| right(text),
        &mut |event| {
            match event {
                RolloutEvent::Step(_) => {}
                RolloutEvent::Round(round) => {
                    told.rounds.push(round);
                    new += 1;
                    if new == most {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                RolloutEvent::Done(one) => {
                    assert!(told.done.insert(one.index, *one).is_none());
                }
            }
            Ok(ControlFlow::Continue(()))
        },
    )?;
    assert_eq!(flow.is_break(), new == most);
    Ok(told)
}
